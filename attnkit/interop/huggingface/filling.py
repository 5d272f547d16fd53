"""The tensors of a checkpoint as the parameters of one of our models: other names, and matrices that lie on top of each
other, are transposed or scaled there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from attnkit.interop.tensors import Tensors
from attnkit.models.files import packed_or_looked_up
from attnkit.models.registry import build_model
from attnkit.nn.init import InitLimitError, skip_init

if TYPE_CHECKING:
    from attnkit.models.registry import ModelConfig


class Part(NamedTuple):
    """Of what one of our parameters is made: tensors by the names that `Renamed` gives them, on top of each other.

    transposed: each is a matrix [in, out], as those of GPT-2 are. scale: all numbers times this, or those of each
    tensor times its own. row: it is a vector here and a matrix of one row there. rows: how many a tensor has of which
    only the first are taken; 0 where all are. make: what else computes it of the checkpoint's tensors, given the shape
    that ours has.
    """

    names: tuple[str, ...]
    transposed: bool = False
    scale: float | tuple[float, ...] = 1.0
    row: bool = False
    rows: int = 0
    make: Callable[[Renamed, tuple[int, ...]], npt.NDArray[np.float32]] | None = None


Plan: TypeAlias = Mapping[str, Part | None]
"""Each of our parameters by name; None for one of zeros, which a checkpoint does not have."""


class Renamed:
    """The tensors of a checkpoint by names that do not depend on who wrote it."""

    def __init__(self, tensors: Tensors, canonical: Callable[[str], str] = str) -> None:
        """canonical: the name to use for a tensor's own. Raises ValueError where two get the same."""
        self.tensors = tensors
        self._own: dict[str, str] = {}
        for own in sorted(tensors.names()):
            name = canonical(own)
            if name in self._own:
                raise ValueError(f"[convert] {tensors.folder}: expected {self._own[name]} or {own}, got both")
            self._own[name] = own

    def __contains__(self, name: str) -> bool:
        return name in self._own

    def names(self) -> set[str]:
        return set(self._own)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """None of a tensor that the checkpoint does not have."""
        return self.tensors.shape(self.own(name)) if name in self else None

    def own(self, name: str) -> str:
        """What the checkpoint calls it, for messages."""
        return self._own.get(name, name)

    def type(self, name: str) -> str:
        """As safetensors calls it, "BF16" say."""
        return self.tensors.type(self.own(name))

    def read(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """A tensor as float32. Raises ValueError unless it is there with this shape."""
        return self.tensors.read(self.own(name), shape)

    def total_size(self) -> int:
        """The numbers of all of them together."""
        return self.tensors.total_size()


def filled_model(tensors: Renamed, config: ModelConfig, sizes: Iterable[int], plan: Plan) -> tuple[Any, list[str]]:
    """The model of a checkpoint, in evaluation mode, and the names of the tensors that it does without.

    sizes: what `build_model` takes. plan: has every parameter of the model. Raises ValueError where the tensors are not
    those that the configuration describes, before memory is taken for more than they are.
    """
    model = _built(tensors, config, tuple(sizes))
    for name, parameter in (*model.named_parameters(), *model.named_buffers()):
        part = plan[name]
        shape = tuple(parameter.shape)
        parameter.copy_(np.zeros(shape, np.float32) if part is None else _read(tensors, part, shape))
    model.eval()
    _keep_bfloat16(model, tensors, plan)
    used = {name for part in plan.values() if part is not None for name in part.names}
    return model, sorted(tensors.own(name) for name in tensors.names() - used)


def _keep_bfloat16(model: Any, tensors: Renamed, plan: Plan) -> None:
    """Weights that a checkpoint has as bfloat16, number for number, stay so where a model can have them so."""
    able = packed_or_looked_up(model)
    for name, parameter in model.named_parameters():
        part = plan[name]
        if name not in able or part is None or part.make is not None or part.scale != 1:
            continue
        if all(tensors.type(each) == "BF16" for each in part.names):
            parameter.move_("bfloat16")


def _built(tensors: Renamed, config: ModelConfig, sizes: tuple[int, ...]) -> Any:
    """Sizes of the configuration are believed once they fit the tensors."""
    size = tensors.total_size()
    try:
        if getattr(config, "d_model", 0) ** 2 > size:
            raise InitLimitError
        # A matrix that the checkpoint has once may be three here; what is far beyond it is refused before its memory is
        # taken.
        with skip_init(4 * size):
            return build_model(config, *sizes)
    except InitLimitError:
        raise ValueError(
            f"[convert] {tensors.tensors.file}: config.json describes a larger model than its tensors"
        ) from None


def _read(tensors: Renamed, part: Part, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if part.make is not None:
        return part.make(tensors, shape)
    count = len(part.names)
    each = (shape[0] // count, *shape[1:])
    if part.row:
        row: npt.NDArray[np.float32] = tensors.read(part.names[0], (1, *shape))[0]
        return row
    if part.rows:
        arrays = [tensors.read(name, (part.rows, *each[1:]))[: each[0]] for name in part.names]
    elif part.transposed:
        arrays = [np.ascontiguousarray(tensors.read(name, each[::-1]).T) for name in part.names]
    else:
        arrays = [tensors.read(name, each) for name in part.names]
    scales = part.scale if isinstance(part.scale, tuple) else (part.scale,) * count
    arrays = [array if scale == 1 else array * np.float32(scale) for array, scale in zip(arrays, scales, strict=True)]
    return arrays[0] if count == 1 else np.concatenate(arrays)


def check_one(tensors: Renamed, names: Iterable[str], shape: tuple[int, ...]) -> None:
    """A matrix that is one here may stand in a checkpoint by several names. Raises ValueError where they differ."""
    first, *others = [name for name in names if name in tensors] or [""]
    array = tensors.read(first, shape) if others else None
    for other in others:
        if array is not None and not np.array_equal(array, tensors.read(other, shape)):
            one, two = tensors.own(first), tensors.own(other)
            raise ValueError(f"[convert] {tensors.tensors.folder}: expected {one} and {two} to be one, got two")


def weight_and_bias(ours: str, *theirs: str) -> dict[str, Part]:
    """The plan of a layer that has both, of the layers that lie on top of each other in it."""
    return {f"{ours}.{kind}": Part(tuple(f"{name}.{kind}" for name in theirs)) for kind in ("weight", "bias")}
