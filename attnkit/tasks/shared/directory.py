"""A model directory as the tasks see it: one reader and one writer of config.json, for all of them.

What every model has (`format`, `model`, its sizes) is the part of `attnkit.models.files`; beside it stand the task's.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from attnkit import _core, typed
from attnkit._tensor import Precision
from attnkit.models.config import written
from attnkit.models.files import Described, described_model, load_model, read_config, save_model
from attnkit.printable import quoted, shortened
from attnkit.tasks.registry import find_entry
from attnkit.weights import CONFIG_FILE

SHORTLIST_FILE = "shortlist.safetensors"
"""A vocabulary shortlist of a translation model (`attnkit.decoding.shortlist`)."""

PRETRAINED_FOLDER = "pretrained"
"""In a run's folder: what there is beside the weights of the model that it trains on."""

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from attnkit.decoding.defaults import DecodingDefaults
    from attnkit.models.registry import Model
    from attnkit.tasks.shared.ahead import Ahead
    from attnkit.text.tokenizers.pair import TokenizerPair
    from attnkit.vision.preprocessing import Preprocessing

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
"""How vectors of texts may be compared."""

# What a part must be, as JSON and in words. The tokenizer's keys belong to its kind and the image's to vision: they are
# checked by `tokenizers` and `preprocessing`.
_PARTS: dict[str, tuple[Any, str]] = {
    "labels": (tuple[str, ...], "a list of strings"),
    "html": (bool, "true or false"),
    "tokenizer": (dict[str, Any], "a table"),
    "prompts": (dict[str, str], "a table of strings"),
    "default_prompt": (str, "a string"),
    "similarity": (Similarity, '"cosine", "dot", "euclidean" or "manhattan"'),
    "precision": (Precision, '"fp32", "bf16" or "int8"'),
}


class ModelDirectory(msgspec.Struct, frozen=True, kw_only=True):
    """config.json of a model directory, read once and checked. Keys that it does not know are left alone.

    task, reads: what the model is for and what it takes, as in `attnkit.tasks.registry`.
    labels: the names of a classifier's classes.
    html: whether texts may have HTML, which is taken out.
    image: how images are prepared, as a table of `Preprocessing`.
    tokenizer: what there is to know beside the tokenizers' own files.
    decoding: how text is searched for, where a converted model has defaults of its own.
    prompts, default_prompt: what may be put before a text, by name, and the name of what is. prompt_decoding: how text
    is searched for behind a prompt, by name, where that is not as `decoding` says.
    similarity: how vectors are compared, where a model of sentence-transformers says it.
    precision: of the matrix products unless the user says otherwise, where it is not fp32.
    device: where `load_model` puts the model, which no file says (`on`); None is the default device.
    ahead: its tokenizers, where somebody reads them already (`reading_ahead`).
    """

    folder: Path
    described: Described
    task: str
    reads: str
    labels: tuple[str, ...] | None = None
    html: bool | None = None
    image: Any = None
    tokenizer: dict[str, Any] | None = None
    decoding: DecodingDefaults | None = None
    prompts: dict[str, str] | None = None
    default_prompt: str | None = None
    prompt_decoding: dict[str, DecodingDefaults] | None = None
    similarity: Similarity | None = None
    precision: Precision | None = None
    device: str | None = None
    ahead: Ahead[TokenizerPair] | None = None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ModelDirectory:
        """Raises FileNotFoundError or ValueError, naming the file and the key."""
        folder = Path(path)
        table = read_config(folder)
        entry = find_entry(table.get("task"), table.get("reads", "text"), folder / CONFIG_FILE)
        return cls(
            folder=folder,
            described=described_model(table, folder),
            task=entry.task,
            reads=entry.reads,
            image=table.get("image"),
            decoding=_read_decoding(table, "decoding", folder),
            prompt_decoding=_read_decoding(table, "prompt_decoding", folder),
            **{name: _read_part(table, name, folder) for name in _PARTS if table.get(name) is not None},
        )

    def on(self, device: str | None) -> ModelDirectory:
        """The same, for a model on that device."""
        return self if device is None else msgspec.structs.replace(self, device=device)

    def required(self, name: str) -> Any:
        """A part that the task cannot do without. Raises ValueError where it is not there."""
        if (value := getattr(self, name)) is None:
            raise ValueError(_mismatch(self.folder, name, None))
        return value

    def size(self, name: str) -> int:
        """A number that the data gave the model, `vocab_size` say. Raises ValueError for a model without it."""
        config, sizes = self.described
        if name not in sizes:
            found = config.__struct_config__.tag
            raise ValueError(
                f"[load] {self.folder / CONFIG_FILE}: expected a model with {name} for the task {self.task!r}, got one "
                f"of type {quoted(found)}"
            )
        return sizes[name]

    @contextmanager
    def reading_ahead(self) -> Iterator[ModelDirectory]:
        """The same, whose tokenizers a worker reads by then, where this process may have two threads: most of what
        takes time there is compiled and leaves Python to others, who import and read what a model needs."""
        if self.tokenizer is None or self.ahead is not None or _core.get_num_threads() < 2:
            yield self
            return
        from attnkit.tasks.shared.ahead import Ahead

        ahead = Ahead(self.tokenizers)
        try:
            yield msgspec.structs.replace(self, ahead=ahead)
        finally:
            ahead.end()

    def tokenizers(self) -> TokenizerPair:
        """The tokenizers in the directory. Raises OSError or ValueError."""
        if self.ahead is not None:
            return self.ahead.result()
        from attnkit.text.tokenizers.pair import TokenizerPair

        return TokenizerPair.load(self.folder, self.required("tokenizer"))

    def check_vocabulary(self, found: int, what: str = "load") -> None:
        """Raises ValueError unless the tokenizer has as many entries as the model. what: who asks, for the message."""
        expected = self.size("vocab_size")
        if found != expected:
            raise ValueError(
                f"[{what}] {self.folder}: expected a tokenizer of {expected} entries, as the model has, got {found}"
            )

    def preprocessing(self) -> Preprocessing:
        """How images are prepared. Raises ValueError where the directory does not say it."""
        from attnkit.vision.preprocessing import saved_preprocessing

        return saved_preprocessing(self.image, self.folder)

    def load_model(self, precision: Precision | None = None, output: bool = True) -> Model:
        """The model, as `attnkit.models.load_model` gives it."""
        return load_model(self.folder, precision, self.described, output, self.device)


def save_directory(
    model: Any,
    folder: str | os.PathLike[str],
    task: str,
    *,
    reads: str = "text",
    labels: Sequence[str] | None = None,
    html: bool | None = None,
    image: Preprocessing | None = None,
    tokenizers: TokenizerPair | None = None,
    decoding: DecodingDefaults | None = None,
    prompts: Mapping[str, str] | None = None,
    default_prompt: str | None = None,
    prompt_decoding: Mapping[str, DecodingDefaults] | None = None,
    similarity: Similarity | None = None,
    precision: Precision | None = None,
) -> None:
    """Writes a model directory: config.json with the parts that are given, model.safetensors, the tokenizers' files."""
    parts = {
        "task": task,
        "reads": None if reads == "text" else reads,
        "labels": None if labels is None else list(labels),
        "html": html,
        "image": None if image is None else written(image),
        "tokenizer": None if tokenizers is None else tokenizers.to_config(),
        "decoding": None if decoding is None else msgspec.to_builtins(decoding),
        "prompts": None if prompts is None else dict(prompts),
        "default_prompt": default_prompt,
        "prompt_decoding": None if prompt_decoding is None else msgspec.to_builtins(dict(prompt_decoding)),
        "similarity": similarity,
        "precision": precision,
    }
    save_model(model, folder, {name: part for name, part in parts.items() if part is not None})
    if tokenizers is not None:
        tokenizers.save(folder)


def _read_part(table: dict[str, Any], name: str, folder: Path) -> Any:
    try:
        return typed.convert(table[name], _PARTS[name][0])
    except msgspec.ValidationError:
        raise ValueError(_mismatch(folder, name, table[name])) from None


def _mismatch(folder: Path, name: str, found: Any) -> str:
    return f"[load] {folder / CONFIG_FILE}: expected {_PARTS[name][1]} under {name}, got {quoted(found)}"


def _read_decoding(table: dict[str, Any], key: str, folder: Path) -> Any:
    """DecodingDefaults, or those of each prompt; None where there are none."""
    if key not in table:
        return None
    from attnkit.decoding.defaults import DecodingDefaults

    kind: Any = DecodingDefaults if key == "decoding" else dict[str, DecodingDefaults]
    try:
        return typed.convert(table[key], kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"[load] {folder / CONFIG_FILE}: {key}: {shortened(str(error), 500)}") from None
