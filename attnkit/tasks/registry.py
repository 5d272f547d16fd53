"""Every task, an entry each: what it reads, its configuration, the class that trains it and the class that serves it.

`task` and the model's `type` choose together what is trained, `task` and `reads` what serves a model directory, since
classifying texts and classifying images are one task to their user and read different data. Classes are named by
strings, so that this costs nothing until one is used.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from attnkit.printable import quoted

if TYPE_CHECKING:
    from attnkit.tasks.caption.config import CaptionConfig
    from attnkit.tasks.classify_images.config import ClassifyImagesConfig
    from attnkit.tasks.classify_text.config import ClassifyTextConfig
    from attnkit.tasks.language_model.config import LanguageModelConfig
    from attnkit.tasks.masked_language_model.config import MaskedLanguageModelConfig
    from attnkit.tasks.translate.config import TranslateConfig
    from attnkit.training.task import Task

    RunConfig: TypeAlias = (
        TranslateConfig
        | ClassifyTextConfig
        | LanguageModelConfig
        | MaskedLanguageModelConfig
        | ClassifyImagesConfig
        | CaptionConfig
    )
    """Any configuration: the union of the tasks' own."""


class Entry(NamedTuple):
    """A task: its name, what it reads, and in its folder of `attnkit.tasks` the "module:Class" of what serves its model
    directories, of its configuration and of what trains it. Of a task whose models come from elsewhere there is neither
    of these. also: other tasks that its model directories serve, each with the class that does."""

    task: str
    reads: str
    serving: str
    config: str | None = None
    training: str | None = None
    also: tuple[tuple[str, str], ...] = ()


ENTRIES = (
    Entry(
        "translate",
        "text",
        "translate.translator:Translator",
        "translate.config:TranslateConfig",
        "translate.training:TranslateTask",
    ),
    Entry(
        "classify",
        "text",
        "classify_text.classifier:Classifier",
        "classify_text.config:ClassifyTextConfig",
        "classify_text.training:ClassifyTextTask",
    ),
    Entry(
        "classify",
        "images",
        "classify_images.classifier:ImageClassifier",
        "classify_images.config:ClassifyImagesConfig",
        "classify_images.training:ClassifyImagesTask",
    ),
    Entry(
        "classify",
        "images-and-texts",
        "classify_images.zero_shot:ZeroShotClassifier",
        also=(("embed", "embed.embedder:Embedder"),),
    ),
    Entry(
        "caption",
        "images",
        "caption.captioner:Captioner",
        "caption.config:CaptionConfig",
        "caption.training:CaptionTask",
    ),
    Entry(
        "language-model",
        "text",
        "language_model.generator:Generator",
        "language_model.config:LanguageModelConfig",
        "language_model.training:LanguageModelTask",
    ),
    Entry(
        "masked-language-model",
        "text",
        "masked_language_model.filler:MaskFiller",
        "masked_language_model.config:MaskedLanguageModelConfig",
        "masked_language_model.training:MaskedLanguageModelTask",
    ),
    Entry("embed", "text", "embed.embedder:Embedder"),
    Entry(
        "summarize",
        "text",
        "summarize.summarizer:Summarizer",
        also=(("translate", "translate.translator:Translator"),),  # one that is told what to do by a prompt
    ),
)


def __getattr__(name: str) -> Any:
    if name == "RunConfig":
        return functools.reduce(operator.or_, config_types())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def task_names() -> list[str]:
    """What the `task` of a model directory may be."""
    return list(dict.fromkeys(entry.task for entry in ENTRIES))


def trained_tasks() -> list[str]:
    """What the `task` of a configuration may be."""
    return list(dict.fromkeys(entry.task for entry in ENTRIES if entry.config))


def config_types(task: str | None = None) -> list[type[RunConfig]]:
    """The configurations of a task, one for each thing that it reads, or of all tasks."""
    return [_imported(entry.config) for entry in ENTRIES if entry.config and task in (None, entry.task)]


def config_type(table: dict[str, Any], reads: Callable[[Any], str | None] = lambda model: None) -> type[RunConfig]:
    """The configuration that a decoded TOML table wants to be. reads: says what the model reads that `pretrained.model`
    names. Raises ValueError, "key: what is wrong"."""
    if "task" not in table:
        raise ValueError("task: expected a value, got nothing")
    task = table["task"]
    if not isinstance(task, str) or task not in trained_tasks():
        raise ValueError(f"task: invalid value {quoted(task)}; expected {_listed(set(trained_tasks()))}")
    candidates = config_types(task)
    model = table.get("model")
    if model is None and isinstance(table.get("pretrained"), dict) and len(candidates) > 1:
        return _beginning(table, candidates, reads)
    if not isinstance(model, dict):
        return candidates[0]  # the strict conversion says what is wrong
    if "type" not in model:
        raise ValueError("model.type: expected a value, got nothing")
    types = {tag: config for config in candidates for tag in _model_types(config)}
    if (kind := str(model["type"])) not in types:
        raise ValueError(
            f"model.type: invalid value {quoted(kind)}; expected {_listed(set(types))} for the task {quoted(task)}"
        )
    return types[kind]


def make_task(config: RunConfig, folder: Path, note: Callable[[str], None], *, resumed: bool = False) -> Task:
    """Reads the data of a configuration and builds its model, ready for the trainer; `note` gets a line for each thing
    worth telling. A `resumed` run finds its tokenizers in `folder`."""
    training = next(entry.training for entry in ENTRIES if entry.config and _imported(entry.config) is type(config))
    assert training is not None  # beside its configuration
    task: Task = _imported(training)(config, folder, note, resumed=resumed)
    return task


def find_entry(task: Any, reads: Any, where: object) -> Entry:
    """The entry of a task that reads that. Raises ValueError, naming the file `where` that says so, for none."""
    if task not in task_names():
        raise ValueError(
            f"[load] {where}: expected the task {' or '.join(map(repr, task_names()))}, got {quoted(task)}"
        )
    entries = [entry for entry in ENTRIES if entry.task == task]
    for entry in entries:
        if entry.reads == reads:
            return entry
    expected = " or ".join(repr(entry.reads) for entry in entries)
    raise ValueError(f"[load] {where}: expected {expected} under reads, got {quoted(reads)}")


def serving_class(entry: Entry, task: str | None = None) -> Any:
    """The class whose `from_directory` serves the model directories of a task; task: another one that they serve."""
    return _imported(dict(entry.also).get(task or entry.task, entry.serving))


def served_tasks(entry: Entry) -> list[str]:
    """What a model directory can be loaded for."""
    return [entry.task, *dict(entry.also)]


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"attnkit.tasks.{module}"), attribute)


def _model_types(config: type[RunConfig]) -> list[str]:
    """The tags of the models that a task's configuration takes."""
    import msgspec

    field = next(field for field in msgspec.structs.fields(config) if field.name == "model")
    options = _structs(msgspec.inspect.type_info(field.type))
    return [str(option.tag) for option in options]


def _structs(kind: Any) -> list[Any]:
    """The tables that may stand where this may, as msgspec describes them."""
    import msgspec

    if isinstance(kind, msgspec.inspect.Metadata):
        return _structs(kind.type)
    options = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return [option for option in options if isinstance(option, msgspec.inspect.StructType)]


def _keys(config: type[RunConfig]) -> set[str]:
    """The keys of a configuration, and those of the tables in it: "data", "data.train"."""
    import msgspec

    [whole] = _structs(msgspec.inspect.type_info(config))
    inner = {
        f"{field.encode_name}.{one.encode_name}"
        for field in whole.fields
        for table in _structs(field.type)
        for one in table.fields
    }
    return {field.encode_name for field in whole.fields} | inner


def _beginning(
    table: dict[str, Any], candidates: list[type[RunConfig]], reads: Callable[[Any], str | None]
) -> type[RunConfig]:
    """Of several configurations the one of a table that says only with which model it begins: the one that has all
    the table's keys, or else the one for what that model `reads`."""
    said = {key for key in table if key != "task"}
    said |= {f"{key}.{one}" for key, value in table.items() if isinstance(value, dict) for one in value}
    known = [config for config in candidates if said <= _keys(config)]
    if len(known) == 1:
        return known[0]
    found = reads(table["pretrained"].get("model"))
    reading = [_imported(entry.config) for entry in ENTRIES if entry.config and entry.reads == found]
    return next((config for config in candidates if config in reading), candidates[0])


def _listed(names: set[str]) -> str:
    return " or ".join(repr(name) for name in sorted(names))
