"""Every task that can be trained: its configuration and the class that does it.

`task` and the model's `type` choose together, since classifying texts and classifying images are one task to their user
and read different data.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from attnkit.tasks.caption.config import CaptionConfig
from attnkit.tasks.classify_images.config import ClassifyImagesConfig
from attnkit.tasks.classify_text.config import ClassifyTextConfig
from attnkit.tasks.language_model.config import LanguageModelConfig
from attnkit.tasks.translate.config import TranslateConfig
from attnkit.training.task import Task

RunConfig = TranslateConfig | ClassifyTextConfig | LanguageModelConfig | ClassifyImagesConfig | CaptionConfig
"""Any configuration: the union of the tasks' own."""


class Entry(NamedTuple):
    """The configuration of a task and the "module:Class" that trains it."""

    config: type[RunConfig]
    task: str


ENTRIES = (
    Entry(TranslateConfig, "attnkit.tasks.translate.training:TranslateTask"),
    Entry(ClassifyTextConfig, "attnkit.tasks.classify_text.training:ClassifyTextTask"),
    Entry(LanguageModelConfig, "attnkit.tasks.language_model.training:LanguageModelTask"),
    Entry(ClassifyImagesConfig, "attnkit.tasks.classify_images.training:ClassifyImagesTask"),
    Entry(CaptionConfig, "attnkit.tasks.caption.training:CaptionTask"),
)


def config_type(table: dict[str, Any]) -> type[RunConfig]:
    """The configuration that a decoded TOML table wants to be. Raises ValueError, "key: what is wrong"."""
    if "task" not in table:
        raise ValueError("task: expected a value, got nothing")
    task = table["task"]
    tasks = {str(entry.config.__struct_config__.tag) for entry in ENTRIES}
    if not isinstance(task, str) or task not in tasks:
        raise ValueError(f"task: invalid value {task!r}; expected {_listed(tasks)}")
    candidates = [entry.config for entry in ENTRIES if entry.config.__struct_config__.tag == task]
    model = table.get("model")
    if not isinstance(model, dict):
        return candidates[0]  # the strict conversion says what is wrong
    if "type" not in model:
        raise ValueError("model.type: expected a value, got nothing")
    types = {tag: config for config in candidates for tag in _model_types(config)}
    if (kind := str(model["type"])) not in types:
        raise ValueError(f"model.type: invalid value {kind!r}; expected {_listed(set(types))} for the task {task!r}")
    return types[kind]


def _model_types(config: type[RunConfig]) -> list[str]:
    """The tags of the models that a task's configuration takes."""
    field = next(field for field in msgspec.structs.fields(config) if field.name == "model")
    kind = msgspec.inspect.type_info(field.type)
    if isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    options = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    return [str(option.tag) for option in options if isinstance(option, msgspec.inspect.StructType)]


def _listed(names: set[str]) -> str:
    return " or ".join(repr(name) for name in sorted(names))


def make_task(config: RunConfig, folder: Path, note: Callable[[str], None], *, resumed: bool = False) -> Task:
    """Reads the data of a configuration and builds its model, ready for the trainer; `note` gets a line for each thing
    worth telling. A `resumed` run finds its tokenizers in `folder`."""
    name = next(entry.task for entry in ENTRIES if entry.config is type(config))
    module, _, attribute = name.partition(":")
    task: Task = getattr(import_module(module), attribute)(config, folder, note, resumed=resumed)
    return task
