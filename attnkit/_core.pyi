"""The C++ core: tensors, the tape, the ops without their defaults, and what the machine offers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Never, Protocol, SupportsFloat, SupportsIndex, TypeAlias, overload, type_check_only

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float32]
_Bits = npt.NDArray[np.uint16]  # of bfloat16
_Bytes = npt.NDArray[np.int8]
_Integers = npt.NDArray[np.int32]
_Ids: TypeAlias = _Integers | Indices
_Real = npt.NDArray[np.floating[Any] | np.integer[Any] | np.bool_]
_Operand: TypeAlias = Tensor | _Real | SupportsFloat
_Index: TypeAlias = SupportsIndex | slice

class Tensor:
    """An array in row-major order, on a device, that remembers how it was computed.

    Ops compute in float32. A bfloat16 tensor is storage: a weight that a product packs or an embedding looks up may be
    one; to("float32") makes others of it.

    Make one with `attnkit.tensor`. Arithmetic broadcasts as in NumPy, with tensors, NumPy arrays and numbers. A tensor
    that an op computed from one with requires_grad can be differentiated by `backward`.
    """

    __array_priority__: int
    # NumPy's own operators defer to ours when this is None.
    __array_ufunc__: None

    def __init__(self, *args: Never, **kwargs: Never) -> None:
        """Raises TypeError: `attnkit.tensor` makes tensors."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""

    @property
    def ndim(self) -> int:
        """The number of axes."""

    @property
    def size(self) -> int:
        """How many numbers."""

    @property
    def device(self) -> str:
        """Where it lies: "cpu", or the name of another device that this build has."""

    @property
    def dtype(self) -> str:
        """ "float32", "bfloat16", or "int8" of a weight from `from_int8`."""

    def to(self, target: str) -> Tensor:
        """The same numbers on another device, or of another type ("float32", "bfloat16": rounded to the nearest, ties
        to even); itself where it is that already. ValueError for an unknown device, and for another type of a tensor
        that needs a gradient."""

    def move_(self, target: str) -> None:
        """Lies on that device, or is of that type, from now on: a parameter stays the same parameter. Its gradient
        stays as it is. Raises what `to` does."""

    @property
    def is_leaf(self) -> bool:
        """No op computed it (or none that was recorded)."""

    @property
    def requires_grad(self) -> bool:
        """Ops on it are recorded. Can be set on a leaf only; setting it on a computed tensor raises ValueError."""

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None: ...
    @property
    def grad(self) -> Tensor | None:
        """What `backward` has added up for this leaf; None before. Setting one of another shape raises ValueError."""

    @grad.setter
    def grad(self, value: Tensor | None) -> None: ...
    def zero_grad(self) -> None:
        """Sets `grad` to None."""

    @overload
    def backward(self, gradient: Tensor | None = None) -> None: ...
    @overload
    def backward(self, gradient: _Real) -> None:
        """Adds the gradient of this tensor with respect to each leaf to the leaf's `grad`.

        `gradient` has this tensor's shape and is that of the final result with respect to it; a tensor of one number
        needs none. Runs without the GIL, and frees what the ops saved as it goes, so that a second call over the same
        graph raises RuntimeError. ValueError for a missing gradient or one of another shape, or when no leaf requires a
        gradient.
        """

    def detach(self) -> Tensor:
        """The same memory, outside the tape."""

    def numpy(self, writable: bool = True) -> _Floats:
        """A view of the memory, not a copy; read-only on request. Of another device it is a read-only copy. bfloat16 is
        an array of ml_dtypes.bfloat16 where that is installed, else of its bits as uint16. int8 is a read-only copy as
        float32.

        After a writable view was given out, the core packs this tensor anew for each matrix product, since it cannot
        know of a write; ask for a read-only one where that will do.
        """

    @property
    def is_borrowed(self) -> bool:
        """True where the memory is that of an array given to the core."""

    def item(self) -> float:
        """The number of a tensor that has one. ValueError otherwise."""

    def adopt_(self, other: Tensor | _Floats) -> None:
        """Takes the memory of an array, or of a tensor and with it its type, as its own; nobody may write there from
        then on. Shapes must be equal. What lies on another device is copied to this tensor's."""

    def copy_(self, array: _Floats) -> None:
        """Overwrites the numbers, outside the tape, with those of a float32 array. ValueError for another shape, and
        for int8."""

    @overload
    def reshape(self, shape: Sequence[int], /) -> Tensor: ...
    @overload
    def reshape(self, *sizes: int) -> Tensor:
        """The same numbers in another shape, without a copy; one size may be -1. ValueError when they do not fit."""

    @overload
    def permute(self, axes: Sequence[int], /) -> Tensor: ...
    @overload
    def permute(self, *axes: int) -> Tensor:
        """Axis i of the result is axis axes[i] of this tensor; copies. ValueError unless each axis comes once."""

    def transpose(self, axis0: int, axis1: int) -> Tensor:
        """Swaps two axes; copies."""

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The sum over one axis, or over all."""

    def mean(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        """The mean over one axis, or over all."""

    def exp(self) -> Tensor:
        """e to the power of each number."""

    def log(self) -> Tensor:
        """The natural logarithm of each number."""

    def sqrt(self) -> Tensor:
        """The square root of each number."""

    def tanh(self) -> Tensor:
        """The hyperbolic tangent of each number."""

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-x))."""

    def relu(self) -> Tensor:
        """max(x, 0)."""

    def gelu(self) -> Tensor:
        """x · Φ(x), exactly (Hendrycks and Gimpel, 2016)."""

    def gelu_tanh(self) -> Tensor:
        """GELU by a hyperbolic tangent, x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2."""

    def quick_gelu(self) -> Tensor:
        """x · sigmoid(1.702 x)."""

    def silu(self) -> Tensor:
        """x · sigmoid(x)."""

    def __add__(self, other: _Operand) -> Tensor: ...
    def __radd__(self, other: _Operand) -> Tensor: ...
    def __sub__(self, other: _Operand) -> Tensor: ...
    def __rsub__(self, other: _Operand) -> Tensor: ...
    def __mul__(self, other: _Operand) -> Tensor: ...
    def __rmul__(self, other: _Operand) -> Tensor: ...
    def __truediv__(self, other: _Operand) -> Tensor: ...
    def __rtruediv__(self, other: _Operand) -> Tensor: ...
    def __matmul__(self, other: Tensor | _Real) -> Tensor: ...
    def __rmatmul__(self, other: Tensor | _Real) -> Tensor: ...
    def __neg__(self) -> Tensor: ...
    def __pow__(self, exponent: float) -> Tensor:
        """The exponents 2, 0.5 and -1. ValueError for others."""

    def __getitem__(self, index: _Index | tuple[_Index, ...]) -> Tensor:
        """Integers and slices of step 1; copies.

        IndexError beyond the end, ValueError for other steps, TypeError for anything else.
        """

    def __iter__(self) -> Iterator[Tensor]: ...
    def __len__(self) -> int: ...
    def __float__(self) -> float: ...
    def __bool__(self) -> bool: ...
    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]: ...
    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule of DLPack over this memory, as the array API asks for one. BufferError for a consumer that wants it
        on another device."""
    def __copy__(self) -> Tensor: ...
    def __deepcopy__(self, memo: dict[int, object]) -> Tensor: ...
    def __getstate__(self) -> tuple[np.ndarray, bool]: ...
    def __setstate__(self, state: tuple[np.ndarray, bool]) -> None: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

# --- ids, labels, offsets

class Indices:
    """Whole numbers that ops read beside tensors: ids, labels, offsets, rows. They never change.

    Making them copies them and looks through them, once: an op that takes them then neither copies nor loops to check
    them, as it must with an array. Those of a batch are made with the batch. `numpy()`, and what NumPy makes of them,
    is a read-only array over the same memory, which ops know as these Indices.
    """

    def __init__(self, values: npt.ArrayLike | Indices, what: str = "indices") -> None:
        """`values`, flat, as int32; other Indices are shared. ValueError, which calls them `what`, for numbers that are
        no integers or do not fit."""

    @property
    def shape(self) -> tuple[int]: ...
    @property
    def ndim(self) -> int:
        """1."""

    @property
    def size(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[np.int32]: ...
    @property
    def are_offsets(self) -> bool:
        """Whether they begin with 0 and never fall, as the offsets of packed sentences do."""

    def numpy(self) -> _Integers:
        """A read-only view of the memory, not a copy."""

    def min(self) -> int:
        """The smallest number, which is known. ValueError where there is none."""

    def max(self) -> int:
        """The largest number, which is known. ValueError where there is none."""

    def tolist(self) -> list[int]: ...
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> np.int32: ...
    @overload
    def __getitem__(self, index: slice | npt.NDArray[Any] | Sequence[int]) -> _Integers:
        """As NumPy indexes an array of one axis; slices are read-only views."""

    def __iter__(self) -> Iterator[np.int32]: ...
    def __eq__(self, other: object) -> Any:
        """Whether other Indices are the same; with anything else number by number, as NumPy compares."""

    def __ne__(self, other: object) -> Any: ...
    __hash__: None  # type: ignore[assignment]
    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]: ...
    def __copy__(self) -> Indices: ...
    def __deepcopy__(self, memo: dict[int, object]) -> Indices: ...
    def __getstate__(self) -> tuple[np.ndarray]: ...
    def __setstate__(self, state: tuple[np.ndarray]) -> None: ...

# --- tensors and the tape

def from_array(array: _Floats, requires_grad: bool = False, device: str | None = None) -> Tensor: ...
def parameter(array: _Floats) -> Tensor: ...
def empty_parameter(shape: Sequence[int]) -> Tensor: ...
def from_bits(bits: _Bits) -> Tensor:
    """A bfloat16 tensor over these bits."""

def from_int8(bytes: _Bytes, multipliers: _Floats, input_multiplier: float = 0.0) -> Tensor:
    """An int8 weight over these bytes [N, K], from -127 to 127: number = byte / multiplier of its row, multipliers [N].

    input_multiplier: what the inputs of its products are multiplied by in int8, rounded and bounded by 127, before the
    bytes are multiplied; 0 takes a scale for each row of the inputs, as everywhere else.
    """

def int8_parts(weight: Tensor) -> tuple[_Bytes, _Floats, float]:
    """What `from_int8` takes. The bytes are the tensor's own, for reading."""

def bfloat16_from_dlpack(capsule: object) -> Tensor | None:
    """A tensor over the memory of a DLPack capsule, which is used up; None where it holds no bfloat16 of the CPU, in
    row-major order."""

def device_from_dlpack(source: Any) -> Tensor:
    """A tensor over the memory of an array that speaks DLPack and lies on a device. ValueError for a device that is not
    here, and for what is not float32 or bfloat16 in row-major order."""

def zeros(shape: Sequence[int], device: str | None = None) -> Tensor: ...
def default_device() -> str: ...
def set_default_device(device: str) -> None: ...
def synchronize(device: str | None = None) -> None:
    """Returns when the device (the default device where not given) has done all that was asked of it. A GPU computes
    while Python goes on, and whoever reads its numbers waits for them."""

def pack(weight: Tensor, precision: str) -> None:
    """Makes and keeps the packed copy of a weight [N, K] that `linear` takes in this precision."""

def grad_enabled() -> bool: ...
def set_grad_enabled(enabled: bool) -> None: ...
def get_precision() -> str: ...
def set_precision(name: str) -> None: ...
def record_function(
    inputs: Sequence[Tensor],
    results: Sequence[Tensor],
    backward: Callable[..., Iterable[Tensor | None]],
) -> list[Tensor]: ...
def backward_watched(
    root: Tensor, gradient: Tensor | None, leaves: Sequence[Tensor], on_ready: Callable[[int], object]
) -> None:
    """`root.backward(gradient)` that calls `on_ready(number)` as soon as the gradient of a leaf, by its number among
    `leaves`, will not change any more."""

# --- ops; attnkit.ops explains each

def softmax(x: Tensor, /) -> Tensor: ...
def log_softmax(x: Tensor, /) -> Tensor: ...
def add_dropout_layer_norm(
    x: Tensor, residual: Tensor | None, weight: Tensor | None, bias: Tensor | None, dropout: float, eps: float, /
) -> tuple[Tensor, Tensor]: ...
def add_dropout_rms_norm(
    x: Tensor, residual: Tensor | None, weight: Tensor | None, dropout: float, eps: float, /
) -> tuple[Tensor, Tensor]: ...
def dropout(x: Tensor, p: float, /) -> Tensor: ...
def add_dropout(residual: Tensor, x: Tensor, p: float, /) -> Tensor: ...
def matmul(a: Tensor, b: Tensor, /) -> Tensor: ...
def linear(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str | None, /) -> Tensor: ...
def concatenate(parts: Sequence[Tensor], axis: int, /) -> Tensor: ...
def gather_rows(x: Tensor, rows: _Ids, /) -> Tensor: ...
def embedding(
    ids: _Ids, weight: Tensor, scale: float, positions: Tensor | None, position_ids: _Ids | None, dropout: float, /
) -> Tensor: ...
def cross_entropy(logits: Tensor, labels: _Ids, label_smoothing: float, ignore_index: int, /) -> Tensor: ...
def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: _Ids,
    label_smoothing: float,
    ignore_index: int,
    /,
) -> tuple[Tensor, float, int]: ...

class AttentionOptions:
    """What attention does beside its three inputs; `attnkit.ops.attention` explains each."""

    def __init__(
        self,
        *,
        mask: Tensor | npt.NDArray[np.bool_] | None = None,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        query_offset: int = 0,
        scale: float | None = None,
        softcap: float | None = None,
        dropout: float = 0.0,
        return_weights: bool = False,
        position_bias: Tensor | None = None,
    ) -> None: ...

def attention(
    query: Tensor, key: Tensor, value: Tensor, options: AttentionOptions, /
) -> tuple[Tensor, Tensor | None]: ...  # the weights, None unless asked for
def packed_attention(
    query: Tensor,
    key: Tensor | None,
    value: Tensor | None,
    query_offsets: _Ids,
    key_offsets: _Ids,
    heads: int,
    kv_heads: int,
    options: AttentionOptions,
    /,
) -> tuple[Tensor, Tensor | None]: ...  # the weights, None unless asked for
def recurrent(
    unit: str,
    projected: Tensor,
    offsets: _Ids,
    weight: Tensor,
    bias: Tensor | None,
    state: Tensor | None,
    cell: Tensor | None,
    direction: str,
    /,
) -> tuple[Tensor, Tensor, Tensor | None]: ...  # the cell, None without one
def recurrent_step(
    unit: str,
    projected: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    state: Tensor,
    cell: Tensor | None,
    /,
) -> tuple[Tensor, Tensor | None]: ...  # the cell, None without one
def ssru(projected: Tensor, offsets: _Ids, bias: Tensor, state: Tensor | None, /) -> tuple[Tensor, Tensor]: ...

# --- attention between packed sentences, taken apart

def ragged_dots(
    query: Tensor,
    key: Tensor,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None,
    ends: _Ids | None,
    /,
) -> Tensor: ...
def ragged_additive(
    query: Tensor,
    key: Tensor,
    v: Tensor,
    coverage: Tensor | None,
    coverage_weight: Tensor | None,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None,
    ends: _Ids | None,
    /,
) -> Tensor: ...
def ragged_softmax(
    scores: Tensor, query_offsets: _Ids, key_offsets: _Ids, begins: _Ids | None, ends: _Ids | None, /
) -> Tensor: ...
def ragged_sums(
    weights: Tensor,
    value: Tensor,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None,
    ends: _Ids | None,
    /,
) -> Tensor: ...
def ragged_key_sums(weights: Tensor, query_offsets: _Ids, key_offsets: _Ids, /) -> Tensor: ...
def ragged_gaussian(
    weights: Tensor,
    centres: Tensor,
    sigma: float,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None,
    ends: _Ids | None,
    /,
) -> Tensor: ...
def ragged_chain_marginals(
    scores: Tensor, transitions: Tensor, query_offsets: _Ids, key_offsets: _Ids, /
) -> Tensor: ...
def ragged_pick(weights: Tensor, sample: bool, scores: bool, query_offsets: _Ids, key_offsets: _Ids, /) -> Tensor: ...
def split(x: Tensor, sizes: Sequence[int], /) -> list[Tensor]: ...
def write_rows(buffer: Tensor, rows: _Ids, x: Tensor, /) -> Tensor: ...
def unit_rows(x: Tensor, eps: float, /) -> Tensor: ...

# --- ops on images; attnkit.ops explains each

def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    groups: int,
    activation: str | None,
    /,
) -> Tensor: ...
def max_pool2d(x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], /) -> Tensor: ...
def avg_pool2d(x: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], /) -> Tensor: ...
def batch_norm(
    x: Tensor,
    residual: Tensor | None,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_variance: Tensor,
    training: bool,
    momentum: float,
    eps: float,
    relu: bool,
    /,
) -> Tensor: ...
def patches(x: Tensor, size: Sequence[int], /) -> Tensor: ...
def scale_channels(x: Tensor, gate: Tensor, /) -> Tensor: ...
def add_scaled_sequences(residual: Tensor, x: Tensor, offsets: _Ids, scale: Sequence[float], /) -> Tensor: ...

# --- a step of decoding

class DecoderState:
    """The hypotheses that a Transformer is writing, one a row: their keys and values, and those of the sources."""

    def __init__(self, key_values: Sequence[Tensor], offsets: _Ids, cells: int = 0) -> None:
        """key_values: for each layer [S, 2·W], keys beside values, W = heads · head_dim; offsets [B + 1].

        Starts with a row a source. cells: the width of the state of SSRUs in place of self-attention, 0 without.
        """

    @property
    def rows(self) -> int: ...
    @property
    def position(self) -> int:
        """How many tokens each row has."""

    def advance(self) -> None:
        """Makes place for the next token of every row."""

    def select(self, rows: _Ids) -> None:
        """New row i is old row rows[i]."""

@type_check_only
class Projection(Protocol):
    """What a decoder layer reads of a linear layer: weight [N, K], bias [N]."""

    @property
    def weight(self) -> Tensor: ...
    @property
    def bias(self) -> Tensor | None: ...

@type_check_only
class Norm(Protocol):
    """What it reads of a norm: weight [D] and, of a layer norm, bias [D]. An RMSNorm has the `kind` "rms"."""

    @property
    def weight(self) -> Tensor: ...
    @property
    def bias(self) -> Tensor | None: ...
    @property
    def eps(self) -> float: ...

class DecoderLayer:
    """The weights of a Transformer decoder layer. TypeError, which names it, for a field that is missing or wrong."""

    def __init__(
        self,
        *,
        self_norm: Norm,
        self_projection: Projection = ...,
        self_output: Projection = ...,
        ssru: Projection = ...,
        cross_norm: Norm,
        cross_query: Projection,
        cross_output: Projection,
        feed_forward_norm: Norm,
        up: Projection,
        down: Projection,
        gate: Projection | None = None,
    ) -> None:
        """self_projection [3 W, D] makes query, key and value of the self-attention; W = heads · head_dim. In its place
        and that of self_output, `ssru` [2 D, D] makes gate and candidate of an SSRU, the gate's bias [D] beside it.

        The feed-forward network is down(activation(up(x))), with a gate down(activation(gate(x)) · up(x)).
        """

class DecoderStack:
    """A stack of Transformer decoder layers, a token at a time. It reads the weights where they are."""

    def __init__(
        self,
        *,
        layers: Sequence[DecoderLayer],
        last_norm: Norm | None,
        pre_norm: bool,
        heads: int,
        activation: str | None,
        alignment_layer: int | None = None,
        alignment_head: int | None = None,
    ) -> None:
        """alignment_layer, from 0, and alignment_head: whose weights `step` gives; None: those of the last layer, and
        the mean over its heads. ValueError, which names the field, where the sizes of a layer do not fit each other."""

    def step(
        self, x: Tensor, state: DecoderState, return_weights: bool = False, position_bias: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """position_bias as in `attnkit.ops.cached_attention`, of every layer's self-attention."""

def cached_attention(
    projected: Tensor, state: DecoderState, layer: int, heads: int, position_bias: Tensor | None = None
) -> Tensor: ...
def memory_attention(
    query: Tensor,
    state: DecoderState,
    layer: int,
    heads: int,
    return_weights: bool,
    position_bias: Tensor | None = None,
    weights_head: int | None = None,
) -> tuple[Tensor, Tensor | None]: ...
def cached_ssru(projected: Tensor, bias: Tensor, state: DecoderState, layer: int) -> Tensor: ...

class Restriction:
    """The target tokens that each sentence of a batch may write: of its source tokens, of its prefix, and `always`.

    Source token s brings ids[offsets[s] : offsets[s + 1]]. `sentences_a_part` neighbours share a product, of the union
    of their tokens.
    """

    def __init__(
        self,
        *,
        offsets: _Ids,
        ids: _Ids,
        always: _Ids,
        source_offsets: _Ids,
        source_ids: _Ids,
        prefix_offsets: _Ids,
        prefix_ids: _Ids,
        vocabulary: int,
        sentences_a_part: int = ...,
    ) -> None: ...
    def tokens_of(self, sentence: int) -> _Integers:
        """A sentence's own tokens, rising."""

    def best(
        self,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        k: int,
        asked_offsets: _Ids,
        asked_ids: _Ids,
        excluded: npt.NDArray[np.uint8],
        sentences: _Ids,
        /,
    ) -> tuple[_Floats, _Integers, _Floats]:
        """What `best_tokens` gives, each row with the tokens of its sentence alone. weight and bias are those of the
        whole vocabulary, the same in every call."""

def best_tokens(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    k: int,
    asked_offsets: _Ids,
    asked_ids: _Ids,
    excluded: npt.NDArray[np.uint8],
    /,
) -> tuple[_Floats, _Integers, _Floats]:
    """The k best log-probabilities of each row of log softmax(hidden · weightᵀ + bias), and those asked for.

    Row r asks for ids asked_ids[asked_offsets[r] : asked_offsets[r + 1]], rising; the `excluded` among them are not
    among its best. → values and indices [rows, k], best first, and a value for each id asked for.
    """

# --- kernels without the tape

def gemm(a: _Floats, b: _Floats, precision: str = "fp32", trans_a: bool = False, trans_b: bool = False) -> _Floats: ...
def top_k(x: _Floats, k: int) -> tuple[_Floats, _Integers]: ...
def adam_step(
    parameter: Tensor,
    gradient: Tensor,
    moment1: Tensor,
    moment2: Tensor,
    step: int,
    learning_rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    gradient_scale: float,
) -> None: ...
def muon_step(
    parameters: list[Tensor],
    gradients: list[Tensor],
    momenta: list[Tensor],
    matrices: list[int],
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    gradient_scale: float,
) -> None: ...
def sum_of_squares(tensors: Sequence[Tensor], /) -> float: ...

# --- the machine

def supported_isas() -> list[str]: ...
def active_isa() -> str: ...
def set_isa(name: str) -> None: ...
def cpu_info() -> dict[str, Any]: ...
def build_info() -> dict[str, str]:
    """What was chosen when the core was compiled: `allocator` ("caching" or "exact"), `sanitizers` ("" for none),
    `cuda` ("yes" or "no")."""

def cuda_devices() -> list[dict[str, Any]]:
    """The GPUs that this build can use, as they are numbered: `name`, `capability`, `memory` (bytes), and the versions
    of CUDA of the `driver` and of this build (`runtime`)."""

def why_no_cuda() -> str:
    """Why `cuda_devices` is empty, in a few words."""

def get_num_threads() -> int:
    """How many threads kernels use: at first what the affinity mask, the cgroup's quota and OMP_NUM_THREADS allow."""

def set_num_threads(count: int) -> None:
    """From 1 to 1024; ValueError otherwise."""

def say_on_bus_error(message: str) -> None:
    """From now on a read of a mapped file beyond its end ends this process with status 1 and this line on stderr."""

def limit_threads_here(count: int) -> None:
    """At most `count` threads for kernels that the present thread calls."""

def start_profile() -> None:
    """Counts what ops cost from now on, from nothing."""

def stop_profile() -> list[tuple[str, int, float, float, float, float, float]]:
    """(op, calls, seconds, bytes, operations in fp32, in bf16, in int8) by name, since `start_profile`."""

def set_nan_check(on: bool) -> None:
    """Whether the first op that gives NaN without having read one raises RuntimeError."""

def memory_stats() -> dict[str, int]: ...
def trim_memory() -> None: ...
def manual_seed(seed: int) -> None:
    """Starts the random numbers of initialisation and dropout anew; the same seed gives the same bytes."""

def next_stream() -> tuple[int, int]: ...
def random_state() -> tuple[int, int]:
    """(seed, next stream): all that the random numbers to come depend on."""

def set_random_state(state: tuple[int, int]) -> None:
    """Goes back to a `random_state`."""
