"""Model directories: config.json (what the model is) and model.safetensors (its weights)."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from attnkit import typed
from attnkit._tensor import Precision
from attnkit.files import atomic_write
from attnkit.models.config import NotNegative, Positive, written
from attnkit.models.registry import build_model, config_type, may_lack_classes, size_names
from attnkit.nn.embedding import Embedding
from attnkit.nn.init import InitLimitError, skip_init
from attnkit.printable import quoted, shortened
from attnkit.reading import read_file
from attnkit.weights import CONFIG_FILE, FLOATS, WEIGHTS_FILE, MappedWeights, map_weights, save_weights, tensors_of

if TYPE_CHECKING:
    from attnkit.models.registry import Model, ModelConfig

FORMAT = 1


def save_model(model: Any, path: str | os.PathLike[str], extra: Mapping[str, Any] | None = None) -> None:
    """Writes config.json, with `extra` beside the model's own keys, and model.safetensors, each atomically.

    `model` comes from `build_model`."""
    directory = Path(path)
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "format": FORMAT,
        "model": written(model.config),
        **dict(zip(size_names(model.config), model.sizes, strict=True)),
        **(extra or {}),
    }
    save_weights({**dict(model.named_parameters()), **dict(model.named_buffers())}, directory / WEIGHTS_FILE)
    with atomic_write(directory / CONFIG_FILE, "w") as file:
        file.write(json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def read_config(path: str | os.PathLike[str]) -> dict[str, Any]:
    """config.json of a model directory. Raises FileNotFoundError or ValueError."""
    directory = Path(path)
    if not directory.exists():
        raise FileNotFoundError(
            f"{directory}: no such directory; train a model first (attnkit train --help), or take one "
            "by name (attnkit models)"
        )
    file = directory / CONFIG_FILE
    if not file.exists():
        raise FileNotFoundError(f"{directory}: not a model directory (it has no {CONFIG_FILE})")
    data = read_file(file)
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not readable as JSON ({error})") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file}: expected a JSON object")
    if config.get("format") != FORMAT:
        raise ValueError(
            f"{file}: expected format {FORMAT}, got {quoted(config.get('format'))}; it needs another version of attnkit"
        )
    return config


class Described(NamedTuple):
    """The model that a config.json describes: what `build_model` takes."""

    config: ModelConfig
    sizes: dict[str, int]


def described_model(table: Mapping[str, Any], path: str | os.PathLike[str]) -> Described:
    """That of what `read_config` read in the directory `path`. Raises ValueError, naming the file."""
    try:
        config = _config(table)
        return Described(config, _sizes(config, table))
    except msgspec.ValidationError as error:
        raise ValueError(f"{Path(path) / CONFIG_FILE}: {shortened(str(error), 500)}") from error


def _config(table: Mapping[str, Any]) -> ModelConfig:
    model = table.get("model")
    kind = config_type(model.get("type") if isinstance(model, dict) else None)
    config: ModelConfig = typed.convert(table, msgspec.defstruct("Config", [("model", kind)])).model  # type: ignore[attr-defined]
    return config


def _sizes(config: ModelConfig, table: Mapping[str, Any]) -> dict[str, int]:
    kind = NotNegative if may_lack_classes(config) else Positive
    struct = msgspec.defstruct("Sizes", [(name, kind) for name in size_names(config)])
    return msgspec.structs.asdict(typed.convert(table, struct))


def load_model(
    path: str | os.PathLike[str],
    precision: Precision | None = None,
    described: Described | None = None,
    output: bool = True,
    device: str | None = None,
) -> Model:
    """The model of a directory, in evaluation mode. Raises FileNotFoundError or ValueError, naming the file.

    With a precision, weights are packed now for products in it; else when each is first used, which also holds for the
    output layer where `output` is False, because a shortlist takes some of its rows. `described` is for those who have
    read config.json already. `device`: where the model lies; the default device where it is not given.
    """
    directory = Path(path)
    config, sizes = described or described_model(read_config(directory), directory)
    weights = map_weights(directory / WEIGHTS_FILE)
    # A configuration for a model far beyond its weights is refused before its memory is taken; one that is a little
    # beyond them is built, so that the message can name what is missing.
    shapes = [array.shape for array in weights.values()] + [entry.shape for entry in weights.skipped.values()]
    limit = 4 * sum(map(math.prod, shapes))
    try:
        with skip_init(limit):
            model = build_model(config, *sizes.values())
        _check_types(model, weights)
        weights.copy_all_but(_only_packed(model, precision))
        model.load_state_dict(tensors_of(weights, packed_or_looked_up(model)), adopt=True)
    except InitLimitError as error:
        raise ValueError(f"{directory}: {CONFIG_FILE} describes a larger model than {WEIGHTS_FILE} holds") from error
    except (ValueError, MemoryError) as error:
        raise ValueError(f"{directory / WEIGHTS_FILE}: does not fit {CONFIG_FILE}: {error}") from error
    model.eval()
    if device is not None:
        model.to(device)  # before weights are packed, which is done where they lie
        weights.drop_pages()
    if precision is not None:
        later = () if output else (getattr(model, "output_weight", None),)
        model.pack(precision, weights.drop_pages, later)  # the file and the packed weights never fill memory together
    return model


def _only_packed(model: Model, precision: Precision | None) -> set[str]:
    """The weights of which a model in this precision reads its packed copies alone, so that they may stay in the file.

    All others are copied into memory: to read a mapping of a file that somebody has cut ends the process.
    """
    if precision is None:
        return set()
    packed = {id(weight) for module in model.modules() for weight in module.matrices()}
    rows = {id(module.weight) for module in model.modules() if isinstance(module, Embedding)}  # are looked up
    rows.add(id(getattr(model, "output_weight", None)))  # a shortlist gathers some of a text's output layer
    return {name for name, parameter in model.named_parameters() if id(parameter) in packed - rows}


def packed_or_looked_up(model: Model) -> set[str]:
    """The weights that may stay as bfloat16 or int8, if the file has them so: products pack them, or an embedding looks
    them up."""
    taken = {id(weight) for module in model.modules() for weight in module.matrices()}
    taken |= {id(module.weight) for module in model.modules() if isinstance(module, Embedding)}
    return {name for name, parameter in model.named_parameters() if id(parameter) in taken}


def _check_types(model: Model, weights: MappedWeights) -> None:
    """A tensor of a type that is no weight's may be there, but not in the place of a weight."""
    own = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    for name, entry in weights.skipped.items():
        if name in own:
            why = ", which only a matrix may be, with its multipliers beside it" if entry.type == "I8" else ""
            raise ValueError(f"expected {name} of type {', '.join(FLOATS)}, got {entry.type}{why}")
