"""Sound arguments of every op, of small odd sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import attnkit
from attnkit import _batching, _core, ops

Numbers = np.random.Generator
Arguments = tuple[tuple[Any, ...], dict[str, Any]]
UNARY = ("relu", "gelu", "gelu_tanh", "quick_gelu", "silu", "tanh", "sigmoid", "unit_rows")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}


class Sizes(NamedTuple):
    """T rows of D numbers and S other rows, in B sequences of offsets q and k; V columns of something else."""

    B: int
    D: int
    S: int
    T: int
    V: int
    q: npt.NDArray[np.int32]
    k: npt.NDArray[np.int32]

    @property
    def pairs(self) -> int:
        return int((np.diff(self.q) * np.diff(self.k)).sum())


def f(rng: Numbers, *shape: int) -> npt.NDArray[np.float32]:
    return rng.standard_normal(shape).astype(np.float32)


def one_of(rng: Numbers, *values: Any) -> Any:
    return values[rng.integers(len(values))]


def window(rng: Numbers, s: Any) -> dict[str, Any]:
    """For half of the calls, the keys that each query reads."""
    both = dict(begins=rng.integers(-1, 3, s.T), ends=rng.integers(0, 6, s.T))
    return one_of(rng, {}, both)


def make(name: str, rng: Numbers) -> Arguments:
    B, D, S, T, V = (int(rng.integers(1, most)) for most in (4, 20, 9, 9, 12))
    s = Sizes(B, D, S, T, V, _offsets(rng, T, B), _offsets(rng, S, B))
    if name in UNARY:
        return (f(rng, T, D),), {}
    if name.removesuffix("_cell") in GATES:
        return _recurrent(name, rng, s)
    return MAKERS[name](rng, s)


def _offsets(rng: Numbers, total: int, parts: int) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.sort(rng.integers(0, total + 1, parts - 1)), [total]]).astype(np.int32)


def _recurrent(name: str, rng: Numbers, s: Sizes) -> Arguments:
    gates, H = GATES[name.removesuffix("_cell")], int(rng.integers(1, 9))
    if name.endswith("_cell"):
        state = f(rng, s.T, H)
        both = (state, state.copy()) if gates == 4 else state
        return (f(rng, s.T, gates * H), both, f(rng, gates * H, H), f(rng, gates * H)), {}
    ways = int(rng.integers(1, 3))
    state = f(rng, ways, s.B, H)
    both = (state, state.copy()) if gates == 4 else state
    inputs = (f(rng, s.T, ways * gates * H), s.q, f(rng, ways * gates * H, H), f(rng, ways * gates * H))
    direction = "both" if ways == 2 else one_of(rng, "forward", "backward")
    return inputs, dict(state=one_of(rng, None, both), direction=direction)


def _attention(rng: Numbers, s: Sizes) -> Arguments:
    H, group = (int(rng.integers(1, most)) for most in (4, 3))
    mask = one_of(rng, None, f(rng, s.T, s.S), rng.random((s.B, 1, s.T, s.S)) < 0.5)
    arrays = (f(rng, s.B, H * group, s.T, s.D), f(rng, s.B, H, s.S, s.D), f(rng, s.B, H, s.S, s.V))
    return arrays, dict(mask=mask, scale=one_of(rng, None, 0.5), softcap=one_of(rng, None, 3.0)) | _visible(rng)


def _packed_attention(rng: Numbers, s: Sizes) -> Arguments:
    H, D = (int(rng.integers(1, most)) for most in (4, 9))
    arrays = (f(rng, s.T, H * D), f(rng, s.S, H * D), f(rng, s.S, H * 3), s.q, s.k)
    return arrays, dict(heads=H) | _visible(rng) | dict(position_bias=one_of(rng, None, f(rng, H, 2 * s.V + 1)))


def _visible(rng: Numbers) -> dict[str, Any]:
    left, right, offset = (int(each) for each in rng.integers(-1, 6, 3))
    return dict(
        causal=one_of(rng, False, True),
        window=one_of(rng, None, (left, right)),
        query_offset=offset,
        dropout=one_of(rng, 0.0, 0.2),
        return_weights=one_of(rng, False, True),
    )


def _embedding(rng: Numbers, s: Sizes) -> Arguments:
    positions = dict(position_weight=f(rng, s.S, s.D), position_ids=rng.integers(0, s.S, s.T))
    return (rng.integers(0, s.V, s.T), f(rng, s.V, s.D)), dict(scale=2.0, dropout=0.1) | positions


def _conv2d(rng: Numbers, s: Sizes) -> Arguments:
    groups, c, o, stride = (int(each) for each in rng.integers(1, 3, 4))
    height, width = (int(each) for each in rng.integers(3, 9, 2))
    kernel = [int(each) for each in rng.integers(1, 4, 2)]
    arrays = (f(rng, s.B, height, width, groups * c), f(rng, groups * o, *kernel, c), f(rng, groups * o))
    padding = tuple(int(each) for each in rng.integers(0, 3, 2))
    return arrays, dict(stride=stride, padding=padding, groups=groups, activation=one_of(rng, None, "relu", "gelu"))


def _pool(rng: Numbers, s: Sizes) -> Arguments:
    height, width = (int(each) for each in rng.integers(3, 9, 2))
    kernel = tuple(int(each) for each in rng.integers(1, 4, 2))
    return (f(rng, s.B, height, width, s.D), kernel), dict(stride=one_of(rng, None, 1, 2), padding=one_of(rng, 0, 1))


def _batch_norm(rng: Numbers, s: Sizes) -> Arguments:
    running = (attnkit.tensor(f(rng, s.D)), attnkit.tensor(np.abs(f(rng, s.D))))
    options = dict(training=one_of(rng, False, True), activation=one_of(rng, None, "relu"))
    return (f(rng, s.B, s.T, s.D), f(rng, s.D), f(rng, s.D), *running), options | dict(residual=f(rng, s.B, s.T, s.D))


def _write_rows(rng: Numbers, s: Sizes) -> Arguments:
    count = min(s.T, s.V)
    return (attnkit.tensor(f(rng, s.V, s.D)), rng.permutation(s.V)[:count], f(rng, count, s.D)), {}


def _adam_step(rng: Numbers, s: Sizes) -> Arguments:
    numbers = [f(rng, s.T, s.D) for _ in range(4)]
    numbers[3] = np.abs(numbers[3])
    return (*map(attnkit.tensor, numbers), 3, 0.01, 0.9, 0.99, 1e-8, 0.0, True, 1.0), {}


def _pack(rng: Numbers, s: Sizes) -> Arguments:
    first, last = (int(each) for each in rng.integers(-1, 5, 2))
    ids, chosen = rng.integers(0, 9, s.T).astype(np.int32), rng.integers(0, s.B, 3)
    return (ids, s.q.astype(np.int64), chosen), dict(first=first, last=last)


def _tensor_method(rng: Numbers, s: Sizes) -> Arguments:
    methods: dict[str, tuple[Any, ...]] = {
        "reshape": (s.B * s.T, s.D), "transpose": (0, 2), "permute": (2, 0, 1), "sum": (1, True), "mean": (1, False),
        "__getitem__": ((slice(0, 1), 0),), "__add__": (f(rng, s.T, s.D),), "__truediv__": (f(rng, s.D),),
        "__matmul__": (f(rng, s.D, 3),), "__pow__": (2.0,), "copy_": (f(rng, s.B, s.T, s.D),),
    }  # fmt: skip
    name = one_of(rng, *methods)
    return (attnkit.tensor(f(rng, s.B, s.T, s.D)), *methods[name]), dict(method=name)


def tensor_method(tensor: Any, *arguments: Any, method: Any) -> Any:
    if not isinstance(tensor, attnkit.Tensor) or not isinstance(method, str) or not hasattr(tensor, method):
        raise TypeError("a method of a tensor")
    result = getattr(tensor, method)(*arguments)
    return None if result is NotImplemented else result


MAKERS: dict[str, Callable[[Numbers, Sizes], Arguments]] = {
    "softmax": lambda r, s: ((f(r, s.B, s.T, s.D),), dict(axis=int(r.integers(-3, 3)))),
    "log_softmax": lambda r, s: ((f(r, s.B, s.T, s.D),), dict(axis=int(r.integers(-3, 3)))),
    "layer_norm": lambda r, s: ((f(r, s.T, s.D), f(r, s.D), f(r, s.D)), dict(eps=1e-5)),
    "rms_norm": lambda r, s: ((f(r, s.T, s.D), f(r, s.D)), dict(eps=1e-5)),
    "add_dropout_rms_norm": lambda r, s: ((f(r, s.T, s.D), f(r, s.T, s.D), f(r, s.D)), dict(p=0.1)),
    "add_dropout_layer_norm": lambda r, s: (
        (f(r, s.T, s.D), f(r, s.T, s.D), f(r, s.D), f(r, s.D)), dict(p=one_of(r, 0.0, 0.1, 0.9))),
    "dropout": lambda r, s: ((f(r, s.T, s.D), 0.3), {}),
    "add_dropout": lambda r, s: ((f(r, s.T, s.D), f(r, s.T, s.D), 0.3), {}),
    "matmul": lambda r, s: ((f(r, s.B, s.T, s.D), f(r, s.B, s.D, s.S)), {}),
    "linear": lambda r, s: (
        (f(r, s.T, s.D), f(r, s.V, s.D), f(r, s.V)), dict(activation=one_of(r, "relu", "gelu", "silu", "tanh"))),
    "embedding": _embedding,
    "concatenate": lambda r, s: (([f(r, s.T, s.D), f(r, s.S, s.D)],), dict(axis=0)),
    "gather_rows": lambda r, s: ((f(r, s.V, s.D), r.integers(0, s.V, s.T)), {}),
    "cross_entropy": lambda r, s: (
        (f(r, s.T, s.V), r.integers(0, s.V, s.T)), dict(label_smoothing=0.1, reduction=one_of(r, "mean", "none"))),
    "linear_cross_entropy": lambda r, s: (
        (f(r, s.T, s.D), f(r, s.V, s.D), r.integers(0, s.V, s.T), f(r, s.V)), dict(label_smoothing=0.1)),
    "attention": _attention,
    "packed_attention": _packed_attention,
    "ragged_dots": lambda r, s: ((f(r, s.T, s.D), f(r, s.S, s.D), s.q, s.k), window(r, s)),
    "ragged_additive": lambda r, s: (
        (f(r, s.T, s.D), f(r, s.S, s.D), f(r, s.D), s.q, s.k), dict(coverage=f(r, s.pairs), coverage_weight=f(r, s.D),
             **window(r, s))),
    "ragged_softmax": lambda r, s: (
        (f(r, s.pairs), s.q, s.k), dict(begins=r.integers(0, 3, s.T), ends=r.integers(0, 6, s.T))),
    "ragged_sums": lambda r, s: ((f(r, s.pairs), f(r, s.S, s.D), s.q, s.k), window(r, s)),
    "ragged_key_sums": lambda r, s: ((f(r, s.pairs), s.q, s.k), {}),
    "ragged_gaussian": lambda r, s: ((f(r, s.pairs), f(r, s.T), 1.5, s.q, s.k), window(r, s)),
    "ragged_chain_marginals": lambda r, s: ((f(r, s.pairs), f(r, 2, 2), s.q, s.k), {}),
    "ragged_pick": lambda r, s: (
        (np.abs(f(r, s.pairs)), s.q, s.k), one_of(r, {}, dict(sample=True), dict(scores=True))),
    "split": lambda r, s: ((f(r, s.T, s.D), [int(each) for each in np.diff(s.q)]), {}),
    "write_rows": _write_rows,
    "conv2d": _conv2d,
    "max_pool2d": _pool,
    "avg_pool2d": _pool,
    "batch_norm": _batch_norm,
    "patches": lambda r, s: ((f(r, s.B, 4, 6, s.V), (2, 3)), {}),
    "ssru": lambda r, s: (
        (f(r, s.T, 2 * s.D), s.q, f(r, s.D)), dict(state=one_of(r, None, f(r, s.B, s.D)))),
    "scale_channels": lambda r, s: ((f(r, s.B, s.T, s.D), f(r, s.B, s.D)), {}),
    "add_scaled_sequences": lambda r, s: ((f(r, s.T, s.D), f(r, s.T, s.D), s.q, f(r, s.B)), {}),
    "_core.top_k": lambda r, s: ((f(r, s.T, s.D), int(r.integers(1, s.D + 1))), {}),
    "_core.adam_step": _adam_step,
    "_batching.cut_batches": lambda r, s: (
        (r.integers(1, 9, s.T).astype(np.int32), r.integers(1, 9, s.T).astype(np.int32), 7, 3), {}),
    "_batching.pack": _pack,
    "Tensor": _tensor_method,
}  # fmt: skip

# They continue a state that only their callers make.
LEFT_OUT = {"cached_attention", "cached_ssru", "memory_attention"}
NAMES = sorted({*MAKERS, *ops.__all__} - LEFT_OUT)


def function(name: str) -> Callable[..., Any]:
    module, _, inner = name.rpartition(".")
    if name == "Tensor":
        return tensor_method
    found: Callable[..., Any] = getattr({"": ops, "_core": _core, "_batching": _batching}[module], inner)
    return found
