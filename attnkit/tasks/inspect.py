"""What `attnkit inspect` finds out about a model directory."""

from __future__ import annotations

import dataclasses
import math
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from attnkit.models.config import written
from attnkit.tasks import run
from attnkit.tasks.config_file import flatten, read_config
from attnkit.tasks.shared.directory import ModelDirectory
from attnkit.tasks.translate import shortlist_source
from attnkit.training.errors import ConfigError
from attnkit.weights import WEIGHTS_FILE

if TYPE_CHECKING:
    from attnkit._core import Tensor

LABELS_SHOWN = 20  # to people; JSON has them all

# The keys of a training that say most about it.
_TRAINING_KEYS = (
    "max_steps", "max_epochs", "batch_tokens", "batch_images", "optimizer", "learning_rate", "schedule", "precision",
    "seed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """A module and the parameters below it. shape: where it is a single one. share: of all parameters, 0 to 1."""

    name: str
    shape: tuple[int, ...] | None
    tensors: int
    parameters: int
    share: float


@dataclass(frozen=True, slots=True)
class TokenizerSummary:
    """The tokenizers of a model. source, target: entries of the vocabularies, one and the same where they are joint."""

    kind: str
    source: int
    target: int
    joint: bool
    lowercase: bool
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """A model directory. model: its configuration; sizes: what the data gave it. types: the parameters by the type
    that they have in memory. bytes: of all files in the folder itself; weights_bytes: of the weights alone. decoding: a
    converted model's own defaults. training: the keys of training.toml that say most, or under `error` why it cannot be
    read."""

    directory: str
    task: str
    reads: str
    type: str
    model: dict[str, Any]
    sizes: dict[str, int]
    parameters: int
    types: dict[str, int]
    parts: tuple[Part, ...]
    bytes: int
    weights_bytes: int
    tokenizer: TokenizerSummary | None
    labels: tuple[str, ...] | None
    image: dict[str, Any] | None
    decoding: dict[str, Any] | None
    shortlist: bool
    training: dict[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return dataclasses.asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """(what, value) for people to read, all but the parts."""
        lines = [
            ("task", f"{self.task}, reads {self.reads}"),
            ("model", self.type),
            ("settings", _listed(_flat(self.model))),
            ("sizes", _listed(self.sizes)),
            ("parameters", f"{self.parameters:,}"),
            ("types", _listed(self.types)),
            ("on disk", f"{_size(self.bytes)}, weights {_size(self.weights_bytes)}"),
        ]
        if self.tokenizer is not None:
            lines.append(("tokenizer", _tokenizer_line(self.tokenizer, two=self.task == "translate")))
            if self.tokenizer.languages:
                lines.append(("languages", _languages_line(self.tokenizer.languages)))
        if self.labels is not None:
            more = ", …" if len(self.labels) > LABELS_SHOWN else ""
            lines.append(("labels", f"{len(self.labels):,}: {', '.join(self.labels[:LABELS_SHOWN])}{more}"))
        if self.image is not None:
            lines.append(("image", _listed(self.image)))
        if self.decoding is not None:
            lines.append(("decoding", _listed(self.decoding)))
        if self.task == "translate":
            lines.append(("shortlist", "there" if self.shortlist else "none"))
        if self.training is not None:
            lines.append(("training", _listed(self.training)))
        return lines


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Reads a model directory. Raises FileNotFoundError or ValueError, naming the file, where it is none or broken."""
    directory = ModelDirectory.read(path)
    config, sizes = directory.described
    model = directory.load_model()
    image = directory.preprocessing() if directory.image is not None else None
    files = {entry.name: entry.stat().st_size for entry in directory.folder.iterdir() if entry.is_file()}
    parts = parts_of(model.named_parameters())
    return Inspection(
        directory=str(path),
        task=directory.task,
        reads=directory.reads,
        type=str(config.__struct_config__.tag),
        model=written(config),
        sizes=sizes,
        parameters=sum(part.parameters for part in parts),
        types=types_of(model.parameters()),
        parts=parts,
        bytes=sum(files.values()),
        weights_bytes=files[WEIGHTS_FILE],
        tokenizer=_tokenizer(directory),
        labels=directory.labels,
        image=None if image is None else written(image),
        decoding=None if directory.decoding is None else msgspec.to_builtins(directory.decoding),
        shortlist=shortlist_source.FILE in files,
        training=_training(directory.folder / run.CONFIG_FILE) if run.CONFIG_FILE in files else None,
    )


def parts_of(parameters: Iterable[tuple[str, Tensor]]) -> tuple[Part, ...]:
    """The parameters by module, two levels deep, each layer of a list by itself."""
    groups: dict[str, list[tuple[int, ...]]] = {}
    for name, parameter in parameters:
        groups.setdefault(_module_of(name), []).append(parameter.shape)
    counts = {name: sum(map(math.prod, shapes)) for name, shapes in groups.items()}
    total = sum(counts.values())
    return tuple(
        Part(name, shapes[0] if len(shapes) == 1 else None, len(shapes), counts[name], counts[name] / total)
        for name, shapes in groups.items()
    )


def types_of(parameters: Iterable[Tensor]) -> dict[str, int]:
    """How many numbers are of each type, the most first."""
    counts: Counter[str] = Counter()
    for parameter in parameters:
        counts[parameter.dtype] += parameter.size
    return dict(counts.most_common())


def _module_of(name: str) -> str:
    """ "encoder.layers.0.attention.output.weight" → "encoder.layers.0"."""
    *path, own = name.split(".")
    if not path:
        return own
    kept = path[:1]
    for level in path[1:]:
        numbered = kept[-1].isdigit()
        if not level.isdigit() and (numbered or len(kept) == 2):
            break
        kept.append(level)
    return ".".join(kept)


def _tokenizer(directory: ModelDirectory) -> TokenizerSummary | None:
    if directory.tokenizer is None:
        return None
    tokenizers = directory.tokenizers()
    return TokenizerSummary(
        kind=tokenizers.kind,
        source=tokenizers.source.vocab_size,
        target=tokenizers.target.vocab_size,
        joint=tokenizers.joint,
        lowercase=tokenizers.lowercase,
        languages=tokenizers.languages,
    )


def _training(file: Path) -> dict[str, Any]:
    try:
        config = read_config(file)
    except ConfigError as error:
        return {"error": str(error)}
    flat = flatten(config)
    keys = (f"training.{key}" for key in _TRAINING_KEYS)
    return {key.removeprefix("training."): flat[key] for key in keys if flat.get(key)}


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The keys of a configuration, dotted, without the type of the whole and those that have no value."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None and prefix + key != "type":
            flat[prefix + key] = value
    return flat


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {_shown(value)}" for key, value in values.items())


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return " ".join(map(_shown, value))
    return str(value)


def _tokenizer_line(tokenizer: TokenizerSummary, two: bool) -> str:
    """two: source and target are two texts, not one."""
    entries = f"{tokenizer.source:,}" if tokenizer.joint else f"{tokenizer.source:,} and {tokenizer.target:,}"
    kind = f"{'joint' if tokenizer.joint else 'separate'} {tokenizer.kind}" if two else tokenizer.kind
    return f"{kind}, {entries} entries" + (", lower case" if tokenizer.lowercase else "")


def _languages_line(languages: tuple[str, ...]) -> str:
    return ", ".join(languages) if len(languages) <= LABELS_SHOWN else f"{len(languages):,}: {' '.join(languages)}"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} GB"
