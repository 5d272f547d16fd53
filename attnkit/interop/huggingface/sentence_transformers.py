"""What sentence-transformers keeps beside an encoder: how a text is cut, and how its states become one vector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from attnkit import typed
from attnkit.interop.hf_config import decode, read_content, read_table
from attnkit.interop.huggingface.filling import Part, Plan, Renamed
from attnkit.interop.tensors import Tensors
from attnkit.models.config import Positive
from attnkit.models.sentence_encoder_config import Pooling, Projection
from attnkit.printable import quoted
from attnkit.tasks.shared.directory import Similarity

MODULES_FILE, _PROMPTS_FILE = "modules.json", "config_sentence_transformers.json"
# What the encoder's own file is called: the first name today, the others in models of 2019 to 2021.
_READING_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet", "mpnet")
)
_FOLDER = re.compile(r"\w[\w.-]{0,80}", re.ASCII)

_POOLINGS: dict[str, Pooling] = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weightedmean",
    "lasttoken": "last",
}
# The keys of before 2026, in the order in which the vectors of several stand beside each other.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS: dict[str, Literal["tanh", "relu", "gelu"] | None] = {
    "Identity": None,
    "Tanh": "tanh",
    "ReLU": "relu",
    "GELU": "gelu",
}


class _Module(msgspec.Struct, frozen=True):
    """An entry of modules.json."""

    type: str
    path: str = ""

    @property
    def kind(self) -> str:
        """The class, whatever module of the library it stands in."""
        return self.type.rpartition(".")[2]


class _PoolingConfig(msgspec.Struct, frozen=True):
    pooling_mode: str | tuple[str, ...] | None = None
    include_prompt: bool = True


class _DenseConfig(msgspec.Struct, frozen=True):
    in_features: Positive
    out_features: Positive
    bias: bool = True
    activation_function: str = "torch.nn.modules.activation.Tanh"
    module_input_name: str = "sentence_embedding"
    module_output_name: str | None = None
    use_residual: bool = False


class _Reading(msgspec.Struct, frozen=True):
    max_seq_length: Annotated[int, Meta(ge=1)] | None = None
    do_lower_case: bool = False


class _Prompts(msgspec.Struct, frozen=True):
    prompts: dict[str, str] = {}
    default_prompt_name: str | None = None
    similarity_fn_name: Similarity | None = None


class _Dense(NamedTuple):
    tensors: Tensors
    inputs: int
    projection: Projection
    bias: bool


class Modules(NamedTuple):
    """What stands behind an encoder and before it. projections: the layers behind the pooling. max_length: where texts
    are cut, None where the encoder's own positions say it. lowercase: texts are put into small letters first. notes: a
    line for what nobody said."""

    poolings: tuple[Pooling, ...] = ("mean",)
    projections: tuple[_Dense, ...] = ()
    normalize: bool = False
    max_length: int | None = None
    lowercase: bool = False
    prompts: Mapping[str, str] = {}
    default_prompt: str | None = None
    similarity: Similarity | None = None
    notes: tuple[str, ...] = ()

    def keys(self, own: Mapping[str, Any]) -> dict[str, Any]:
        """Of `SentenceEncoderConfig`. own: those of the encoder, whose `max_length` is the most there can be. Raises
        ValueError for layers that do not fit together."""
        width = len(self.poolings) * own["d_model"]
        for dense in self.projections:
            if dense.inputs != width:
                raise ValueError(
                    f"[convert] {dense.tensors.folder}: expected in_features = {width}, as wide as what comes before, "
                    f"got {dense.inputs}"
                )
            width = dense.projection.width
        return {
            "pooling": self.poolings[0] if len(self.poolings) == 1 else self.poolings,
            "projections": tuple(dense.projection for dense in self.projections),
            "normalize": self.normalize,
            "max_length": min(self.max_length or own["max_length"], own["max_length"]),
        }

    def plan(self) -> Plan:
        """Of the parameters of the projections, for tensors that `WithModules` has."""
        plan: dict[str, Part | None] = {}
        for number, dense in enumerate(self.projections):
            name = _own_name(dense)
            plan[f"projections.{number}.weight"] = Part((f"{name}.weight",))
            plan[f"projections.{number}.bias"] = Part((f"{name}.bias",)) if dense.bias else None
        return plan


class WithModules(Renamed):
    """The tensors of an encoder and those of its modules, "2_Dense/linear.weight"."""

    def __init__(self, encoder: Renamed, modules: Modules) -> None:
        self.tensors = encoder.tensors
        self._encoder = encoder
        self._modules = {
            f"{dense.tensors.folder.name}/{name}": (dense.tensors, name)
            for dense in modules.projections
            for name in dense.tensors.names()
        }

    def __contains__(self, name: str) -> bool:
        return name in self._modules or name in self._encoder

    def names(self) -> set[str]:
        return {*self._modules, *self._encoder.names()}

    def own(self, name: str) -> str:
        return name if name in self._modules else self._encoder.own(name)

    def type(self, name: str) -> str:
        if name not in self._modules:
            return self._encoder.type(name)
        tensors, own = self._modules[name]
        return tensors.type(own)

    def read(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        if name not in self._modules:
            return self._encoder.read(name, shape)
        tensors, own = self._modules[name]
        return tensors.read(own, shape)

    def total_size(self) -> int:
        folders = {id(tensors): tensors for tensors, _ in self._modules.values()}
        return self._encoder.total_size() + sum(tensors.total_size() for tensors in folders.values())


def has_modules(folder: Path) -> bool:
    """Whether it holds a model of sentence-transformers, which makes vectors, whatever its encoder was made for."""
    return (folder / MODULES_FILE).is_file()


def read_modules(folder: Path) -> Modules:
    """Of a folder without modules.json, what is usual: the mean of the states, as it is.

    Raises FileNotFoundError or ValueError, naming the file, for what is broken and for what attnkit does not have.
    """
    if not has_modules(folder):
        note = (
            f"{folder}: there is no {MODULES_FILE}, so that nothing says how a text becomes one vector: it is the mean "
            "of all states, not normalised"
        )
        return Modules(notes=(note,))
    modules = _listed(folder)
    reading, said = _read_reading(folder), _read_prompts(folder)
    pooling = decode_pooling(folder / modules[1].path / "config.json", with_prompts=any(said.prompts.values()))
    rest = modules[2:]
    normalize = bool(rest) and rest[-1].kind == "Normalize"
    return Modules(
        poolings=pooling,
        projections=tuple(_read_dense(folder / each.path) for each in rest[: len(rest) - normalize]),
        normalize=normalize,
        max_length=reading.max_seq_length,
        lowercase=reading.do_lower_case,
        prompts=said.prompts,
        default_prompt=said.default_prompt_name,
        similarity=said.similarity_fn_name,
    )


def _listed(folder: Path) -> list[_Module]:
    """The encoder, the pooling, any number of projections, and a normalisation or none; a dropout does nothing."""
    file = folder / MODULES_FILE
    try:
        modules = typed.from_json(read_content(file), list[_Module])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"[convert] {file}: expected a list of modules ({error})") from None
    kinds = [each.kind for each in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise ValueError(f"[convert] {file}: expected Transformer and Pooling first, got {quoted(kinds[:2])}")
    if modules[0].path:
        raise ValueError(
            f"[convert] {file}: expected the encoder in the folder itself, got it in {quoted(modules[0].path)}: save "
            "the model anew with sentence-transformers, which kept it so until 2021"
        )
    kept = [each for each in modules if each.kind != "Dropout"]
    for number, each in enumerate(kept[2:], start=3):
        last = number == len(kept)
        if each.kind != "Dense" and not (each.kind == "Normalize" and last):
            raise ValueError(
                f"[convert] {file}: expected Dense behind the pooling and Normalize at the end, got {quoted(each.kind)}"
            )
    for each in kept[1:]:
        if not _FOLDER.fullmatch(each.path):
            raise ValueError(f"[convert] {file}: expected the name of a folder beside it, got {quoted(each.path)}")
    return kept


def decode_pooling(file: Path, with_prompts: bool) -> tuple[Pooling, ...]:
    """The poolings that a module's config.json asks for. with_prompts: the model puts something before texts."""
    table = read_table(file)
    config = decode(table, _PoolingConfig, file)
    if not config.include_prompt and with_prompts:
        raise ValueError(
            f"[convert] {file}: include_prompt: expected true, since prompts take part in attnkit's pooling"
        )
    asked = config.pooling_mode
    if asked is None:
        unknown = [
            name for name, value in table.items() if name.startswith("pooling_mode") and name not in _FLAGS and value
        ]
        if unknown:
            raise ValueError(f"[convert] {file}: expected one of {', '.join(_FLAGS)}, got {quoted(unknown[0])}")
        asked = tuple(mode for flag, mode in _FLAGS.items() if table.get(flag)) or ("mean",)
    modes = (asked,) if isinstance(asked, str) else asked
    for mode in modes:
        if mode not in _POOLINGS:
            raise ValueError(
                f"[convert] {file}: pooling_mode: expected one of {', '.join(_POOLINGS)}, got {quoted(mode)}"
            )
    if not 0 < len(modes) <= len(_POOLINGS):
        raise ValueError(f"[convert] {file}: pooling_mode: expected 1 to {len(_POOLINGS)} of them, got {len(modes)}")
    return tuple(_POOLINGS[mode] for mode in modes)


def _read_dense(folder: Path) -> _Dense:
    file = folder / "config.json"
    config = decode(read_table(file), _DenseConfig, file)
    activation = config.activation_function.rpartition(".")[2]
    if activation not in _ACTIVATIONS or not config.activation_function.startswith("torch.nn."):
        known = ", ".join(_ACTIVATIONS)
        raise ValueError(
            f"[convert] {file}: activation_function: expected torch.nn's {known}, got "
            f"{quoted(config.activation_function)}"
        )
    name = "sentence_embedding"
    if config.module_input_name != name or config.module_output_name not in (None, name) or config.use_residual:
        raise ValueError(f"[convert] {file}: expected a layer of the {name} without a residual, got another")
    projection = Projection(width=config.out_features, activation=_ACTIVATIONS[activation])
    return _Dense(Tensors(folder), config.in_features, projection, config.bias)


def _own_name(dense: _Dense) -> str:
    return f"{dense.tensors.folder.name}/linear"


def _read_reading(folder: Path) -> _Reading:
    for name in _READING_FILES:
        if (folder / name).is_file():
            return decode(read_table(folder / name), _Reading, folder / name)
    return _Reading()


def _read_prompts(folder: Path) -> _Prompts:
    file = folder / _PROMPTS_FILE
    if not file.is_file():
        return _Prompts()
    table = {key: value for key, value in read_table(file).items() if value is not None}
    said = decode(table, _Prompts, file)
    if said.default_prompt_name is not None and said.default_prompt_name not in said.prompts:
        raise ValueError(
            f"[convert] {file}: default_prompt_name: expected one of the prompts, got "
            f"{quoted(said.default_prompt_name)}"
        )
    return said
