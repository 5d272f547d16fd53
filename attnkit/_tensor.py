"""Making tensors, the switches of the tape, and differentiable functions written in Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from attnkit import _core
from attnkit._core import Indices, Tensor
from attnkit.printable import quoted

Precision = Literal["fp32", "bf16", "int8"]
"""Of the products with weights. int8 is for inference: training refuses it."""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


DType = Literal["float32", "bfloat16"]
"""Of the numbers of a tensor."""

_DLPACK_CPU = 1  # of DLPack's kinds of devices


def check_precision(name: str) -> None:
    """Raises ValueError for another name."""
    if name not in PRECISIONS:
        raise ValueError(f'[load] expected precision "fp32", "bf16" or "int8", got {quoted(name)}')


def float_array(array: ArrayLike) -> np.ndarray:
    """`array` as C-contiguous, aligned float32: itself where it is that already, else a copy. Raises TypeError for what
    are no real numbers: of complex ones NumPy would keep half, and of text and times make numbers."""
    given = np.asarray(array)
    if given.dtype.kind in "cmMSU":
        raise TypeError(f"[tensor] expected an array of real numbers, got {given.dtype}")
    # ascontiguousarray would give a scalar an axis.
    converted = np.ascontiguousarray(given, dtype=np.float32) if given.ndim else given.astype(np.float32, copy=False)
    return converted if converted.flags.aligned else converted.copy()


def writable_array(tensor: Tensor) -> npt.NDArray[np.float32]:
    """The numbers of a tensor that nothing else needs, to be written over: a view of the memory of the CPU, else a
    copy."""
    array = tensor.numpy()
    return array if array.flags.writeable else array.copy()


def index_array(array: ArrayLike | Indices, what: str = "ids") -> npt.NDArray[np.int32]:
    """`array` as a flat read-only int32 array that ops know as Indices: they neither copy nor check it again. Raises
    ValueError for numbers that are no integers or do not fit."""
    return Indices(array, what).numpy()


def hold_indices(batch: Any, *names: str) -> None:
    """Makes the Indices of a frozen dataclass: once, and not in each op that its fields are given to."""
    for name in names:
        object.__setattr__(batch, name, index_array(getattr(batch, name), name))


def tensor(
    array: ArrayLike, requires_grad: bool = False, dtype: DType = "float32", device: str | None = None
) -> Tensor:
    """A tensor of `array`, on `device` (the default device where not given).

    A writable C-contiguous float32 NumPy array is shared on the CPU, not copied; anything else is converted into a new
    one. With dtype="bfloat16", which is storage that ops do not compute with, a writable C-contiguous array of
    ml_dtypes.bfloat16 is shared, and other numbers are rounded to the nearest, ties to even.
    """
    if dtype == "float32":
        converted = float_array(array)
        return _core.from_array(converted if converted.flags.writeable else converted.copy(), requires_grad, device)
    if dtype != "bfloat16":
        raise ValueError(f'[tensor] expected dtype "float32" or "bfloat16", got {quoted(dtype)}')
    given = np.asarray(array)
    if given.dtype.name == "bfloat16":
        bits = np.require(given.view(np.uint16), requirements=["C", "A", "W"])
        result = _core.from_bits(bits).to(device or _core.default_device())
    else:
        result = _core.from_array(float_array(array), False, device).to("bfloat16")
    result.requires_grad = requires_grad
    return result


def from_dlpack(source: Any) -> Tensor:
    """A tensor over the memory of any array that speaks DLPack (PyTorch, JAX, ...), where that lies.

    On the CPU it is shared where it is float32 or bfloat16 in row-major order, and else converted. On a GPU nothing is
    copied: ValueError for other types, another order, and a device that is not here.
    """
    if source.__dlpack_device__()[0] != _DLPACK_CPU:
        return _core.device_from_dlpack(source)
    found = _core.bfloat16_from_dlpack(source.__dlpack__())
    return tensor(np.from_dlpack(source)) if found is None else found


@contextmanager
def no_grad() -> Iterator[None]:
    """Ops inside are not recorded for backward, in this thread."""
    before = _core.grad_enabled()
    _core.set_grad_enabled(False)
    try:
        yield
    finally:
        _core.set_grad_enabled(before)


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Matrix products inside take their inputs as `name` in this thread: "fp32", "bf16" or "int8".

    Sums are float32 in the first two. In "int8", for inference alone, products with a weight take 8-bit integers, each
    row of the input and each output of the weight scaled by its largest magnitude, and sums are exact; products of two
    activations, attention and convolutions stay float32.
    """
    before = _core.get_precision()
    _core.set_precision(name)
    try:
        yield
    finally:
        _core.set_precision(before)


class Function:
    """A differentiable function written in Python.

    Subclasses write two static methods, `forward(ctx, *inputs)` and `backward(ctx, *output_gradients)`; `ctx` is any
    object to keep values on. Both work on tensors outside the tape; backward returns a tensor, or None, for each
    tensor that was given to `apply`, in order.

        class Square(attnkit.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.x = x
                return x * x

            @staticmethod
            def backward(ctx, dy):
                return dy * ctx.x * 2.0

        y = Square.apply(x)
    """

    class Context:
        """What forward keeps for backward."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor | Sequence[Tensor]:
        raise NotImplementedError("[function] expected a forward(ctx, *inputs) in the subclass")

    @staticmethod
    def backward(ctx: Any, *output_gradients: Any) -> Any:
        raise NotImplementedError("[function] expected a backward(ctx, *output_gradients) in the subclass")

    @classmethod
    def apply(cls, *inputs: Any) -> Any:
        """Runs forward, and records backward when an input needs a gradient."""
        ctx = cls.Context()
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        with no_grad():
            results = cls.forward(ctx, *(x.detach() if isinstance(x, Tensor) else x for x in inputs))
        single = isinstance(results, Tensor)

        def backward(*output_gradients: Tensor | None) -> Sequence[Tensor | None]:
            returned = cls.backward(ctx, *output_gradients)
            gradients = returned if isinstance(returned, (tuple, list)) else (returned,)
            if len(gradients) != len(tensors):
                raise ValueError(f"[function] expected {len(tensors)} gradients from backward, got {len(gradients)}")
            for gradient in gradients:
                if gradient is not None and not isinstance(gradient, Tensor):
                    kind = type(gradient).__name__
                    raise TypeError(f"[function] expected a Tensor or None from backward, got {kind}")
            return gradients

        outputs = _core.record_function(tensors, [results] if isinstance(results, Tensor) else list(results), backward)
        return outputs[0] if single else tuple(outputs)
