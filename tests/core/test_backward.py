"""The tape: backward, what it frees and refuses, functions written in Python."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from closeness import assert_close

import attnkit
from attnkit import _core

MEGABYTE = 1 << 18  # numbers


def numbers(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


# --- backward


def test_gradients_add_up_over_uses_and_calls() -> None:
    x = attnkit.tensor(np.array([2.0, 3.0], np.float32), requires_grad=True)
    y = x * x + x + x  # x reaches the end by four ways
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [6.0, 8.0])
    first = x.grad
    (x * 10.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [16.0, 18.0])
    np.testing.assert_array_equal(first, [6.0, 8.0])  # what the user holds stays as it was
    x.zero_grad()
    assert x.grad is None


def test_the_embedding_gradient_does_not_write_into_one_that_the_user_holds() -> None:
    weight = attnkit.tensor(numbers(4, 2), requires_grad=True)
    attnkit.ops.embedding([1, 1, 3], weight).sum().backward()
    first = weight.grad
    before = np.array(first, copy=True)
    np.testing.assert_array_equal(before, [[0, 0], [2, 2], [0, 0], [1, 1]])
    attnkit.ops.embedding([0], weight).sum().backward()
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(weight.grad, np.add(before, [[1, 1], [0, 0], [0, 0], [0, 0]]))


@pytest.mark.cpu_only
def test_backward_does_not_write_into_arrays_of_the_user() -> None:
    """Whose memory a tensor only borrows, however few hold the tensor."""
    held = np.zeros((3, 2), np.float32)
    weight = attnkit.tensor(np.ones((3, 2)), requires_grad=True)
    weight.grad = attnkit.tensor(held)
    attnkit.ops.embedding([0, 1], weight).sum().backward()
    assert not held.any() and weight.grad.numpy()[:2].all()

    buffer = np.full((2, 4), 3.0, np.float32)

    class Constant(attnkit.Function):
        @staticmethod
        def forward(ctx, x):  # type: ignore[no-untyped-def]
            return x * 1.0

        @staticmethod
        def backward(ctx, dy):  # type: ignore[no-untyped-def]
            return attnkit.tensor(buffer)

    x = attnkit.tensor(np.ones((2, 3)), requires_grad=True)
    hidden = attnkit.ops.linear(x, attnkit.tensor(-np.ones((4, 3))), activation="relu")
    Constant.apply(hidden).sum().backward()
    leaf = attnkit.tensor(np.ones((2, 4)), requires_grad=True)
    Constant.apply(leaf).sum().backward()
    leaf.grad.numpy()[:] = 7.0
    assert (buffer == 3.0).all()


@pytest.mark.parametrize(
    "op",
    [
        lambda x, ids: attnkit.ops.gather_rows(x, ids),
        lambda x, ids: attnkit.ops.embedding(ids, x),
        lambda x, ids: attnkit.ops.cross_entropy(x, ids),
    ],
    ids=["gather_rows", "embedding", "cross_entropy"],
)
def test_indices_that_change_after_the_forward_pass_change_nothing(op: Callable[..., attnkit.Tensor]) -> None:
    """A buffer for batches may be filled again before backward."""
    gradients = []
    for later in 1, 2**30:
        ids = np.ones(4, np.int32)
        x = attnkit.tensor(numbers(4, 4), requires_grad=True)
        y = op(x, ids)
        ids[:] = later
        y.sum().backward()
        gradients.append(x.grad.numpy())
    np.testing.assert_array_equal(*gradients)


@pytest.mark.cpu_only
def test_two_leaves_never_share_a_gradient() -> None:
    x, y = (attnkit.tensor(numbers(3, seed=s), requires_grad=True) for s in (1, 2))
    upstream = attnkit.tensor(np.ones(3, np.float32))
    (x + y).backward(upstream)
    assert x.grad is not None and y.grad is not None
    x.grad.numpy()[:] = 5.0
    np.testing.assert_array_equal(y.grad, [1, 1, 1])
    np.testing.assert_array_equal(upstream, [1, 1, 1])


def test_shared_results_are_differentiated_once_each() -> None:
    calls = []

    class Counted(attnkit.Function):
        @staticmethod
        def forward(ctx: Any, x: attnkit.Tensor) -> attnkit.Tensor:
            return x * 2.0

        @staticmethod
        def backward(ctx: Any, dy: attnkit.Tensor) -> attnkit.Tensor:
            calls.append(dy.numpy().copy())
            return dy * 2.0

    x = attnkit.tensor(np.array([1.0], np.float32), requires_grad=True)
    shared = Counted.apply(x)
    (shared * 3.0 + shared * shared).sum().backward()
    assert len(calls) == 1 and calls[0] == [3.0 + 2 * 2.0]
    np.testing.assert_array_equal(x.grad, [14.0])


def test_a_second_backward_is_refused() -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=re.escape("[backward] the values saved for this graph were freed")):
        y.backward()
    shared = x * x
    shared.sum().backward()
    with pytest.raises(RuntimeError, match="freed"):
        (shared * 2.0).sum().backward()


def test_backward_needs_a_scalar_or_a_gradient_that_fits() -> None:
    x = attnkit.tensor(numbers(2, 3), requires_grad=True)
    with pytest.raises(ValueError, match=re.escape("[backward] expected a scalar, or a gradient of shape [2, 3]")):
        (x * 2.0).backward()
    with pytest.raises(ValueError, match=re.escape("[backward] expected a gradient of shape [2, 3], got [3]")):
        (x * 2.0).backward(np.ones(3, np.float32))
    with pytest.raises(
        ValueError, match=re.escape("[backward] expected a tensor computed from one with requires_grad")
    ):
        attnkit.tensor(numbers(1)).backward()
    with pytest.raises(ValueError, match=re.escape("[grad] expected shape [2, 3], got [1]")):
        x.grad = attnkit.tensor(numbers(1))
    with pytest.raises(ValueError, match=re.escape("[requires_grad] expected a tensor that no op computed")):
        (x * 2.0).requires_grad = False


@pytest.mark.cpu_only
def test_no_grad_detach_and_leaves() -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    with attnkit.no_grad():
        y = x * 2.0
        with attnkit.no_grad():
            pass
        assert not (x * 2.0).requires_grad  # leaving the inner block changes nothing
    assert not y.requires_grad and y.is_leaf
    z = x * 2.0
    assert z.requires_grad and not z.is_leaf
    assert not z.detach().requires_grad and np.shares_memory(z.detach().numpy(), z.numpy())
    with pytest.raises(KeyError), attnkit.no_grad():
        raise KeyError
    assert (x * 2.0).requires_grad


def test_no_grad_is_of_one_thread() -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    recorded = []
    with attnkit.no_grad():
        other = threading.Thread(target=lambda: recorded.append((x * 2.0).requires_grad))
        other.start()
        other.join()
    assert recorded == [True]


class Probe(attnkit.Function):
    """The identity; notes how much memory is in use when backward comes by."""

    seen: ClassVar[list[int]] = []

    @staticmethod
    def forward(ctx: Any, x: attnkit.Tensor) -> attnkit.Tensor:
        return x

    @staticmethod
    def backward(ctx: Any, dy: attnkit.Tensor) -> attnkit.Tensor:
        Probe.seen.append(_core.memory_stats()["bytes_in_use"])
        return dy


@pytest.mark.cpu_only
def test_backward_frees_as_it_goes() -> None:
    x = attnkit.tensor(numbers(MEGABYTE), requires_grad=True)
    before = _core.memory_stats()["bytes_in_use"]
    y = x
    for _ in range(8):
        y = Probe.apply(y.tanh())
    loss = y.sum()
    del y
    Probe.seen.clear()
    loss.backward()
    freed = -np.diff(Probe.seen)
    assert len(freed) == 7 and (freed >= MEGABYTE * 4).all(), freed
    assert _core.memory_stats()["bytes_in_use"] - before < 3 * MEGABYTE * 4  # the gradient alone is left


@pytest.mark.cpu_only
def test_a_graph_that_is_dropped_is_freed() -> None:
    x = attnkit.tensor(numbers(MEGABYTE), requires_grad=True)
    before = _core.memory_stats()["bytes_in_use"]
    y = (x.tanh() * x.exp()).sum()
    held = _core.memory_stats()["bytes_in_use"] - before
    # What tanh and exp gave; no backward reads the product, which is free already.
    assert 2 * MEGABYTE * 4 <= held < 3 * MEGABYTE * 4
    del y
    assert _core.memory_stats()["bytes_in_use"] == before


@pytest.mark.cpu_only
@pytest.mark.parametrize("watched", [False, True])
def test_what_no_backward_reads_is_freed_with_its_last_handle(watched: bool) -> None:
    """A sum's gradient asks nothing of its summands. Where NaN is looked for, an op's inputs stay to be looked at."""
    x = attnkit.tensor(numbers(MEGABYTE), requires_grad=True)
    before = _core.memory_stats()["bytes_in_use"]
    _core.set_nan_check(watched)
    y = (x + x) + (x + x)
    _core.set_nan_check(False)
    kept = _core.memory_stats()["bytes_in_use"] - before
    assert kept >= 3 * MEGABYTE * 4 if watched else kept < 2 * MEGABYTE * 4
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(MEGABYTE, 4.0, np.float32))


def plus_one(y: attnkit.Tensor) -> attnkit.Tensor:
    return y + 1.0


def attended(y: attnkit.Tensor) -> attnkit.Tensor:
    """Of ops whose backward functions hold their inputs."""
    one, offsets = np.ones((1, 1), np.float32), np.array([0, 1], np.int32)
    return attnkit.ops.ragged_sums(attnkit.ops.ragged_dots(y, one, offsets, offsets), one, offsets, offsets)


@pytest.mark.parametrize("differentiate", [True, False])
@pytest.mark.parametrize(("link", "count"), [(plus_one, 100_000), (attended, 5_000)])
def test_a_long_chain_does_not_overflow_the_stack(
    link: Callable[[attnkit.Tensor], attnkit.Tensor], count: int, differentiate: bool
) -> None:
    outcome = []

    def build() -> None:
        x = attnkit.tensor(np.ones((1, 1), np.float32), requires_grad=True)
        y = x
        for _ in range(count):
            y = link(y)
        if differentiate:
            y.backward()
        outcome.append((y.item(), x.grad))

    # A thread of 256 KB: a recursion of one frame a node could not pass unnoticed.
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    ((value, grad),) = outcome
    assert value == (count + 1.0 if link is plus_one else 1.0)
    assert (grad is not None and grad.item() == 1.0) if differentiate else grad is None


def test_backward_leaves_the_gil_to_others() -> None:
    # Long enough to be seen beside; under a sanitizer the same products would take a minute.
    size = 100 if _core.build_info()["sanitizers"] else 600
    x = attnkit.tensor(numbers(size, size), requires_grad=True)
    y = x
    for _ in range(40):
        y = (y @ x) * 0.01
    loss = y.sum()
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # nobody is made to give up the GIL: only what gives it up itself lets the other run
    other = threading.Thread(target=tick)
    try:
        other.start()
        begin = time.perf_counter()
        loss.backward()
        end = time.perf_counter()
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        other.join()
    margin = 0.1 * (end - begin)
    assert sum(begin + margin < t < end - margin for t in ticks) >= 3


# --- functions written in Python


class Scale(attnkit.Function):
    """x · y and x + y, by a formula for each gradient; `factor` is no tensor."""

    @staticmethod
    def forward(ctx: Any, x: attnkit.Tensor, factor: float, y: attnkit.Tensor) -> tuple[attnkit.Tensor, attnkit.Tensor]:
        assert not (x * y).requires_grad  # works outside the tape
        ctx.x, ctx.y, ctx.factor = x, y, factor
        return x * y * factor, x + y

    @staticmethod
    def backward(ctx: Any, dproduct: Any, dsum: Any) -> tuple[Any, Any]:
        dx = dproduct * ctx.y * ctx.factor
        dy = dproduct * ctx.x * ctx.factor
        return (dx, dy) if dsum is None else (dx + dsum, dy + dsum)


@pytest.mark.parametrize("both", [True, False])
def test_a_function_of_several_inputs_and_outputs(both: bool) -> None:
    x, y = numbers(2, 3, seed=1), numbers(2, 3, seed=2)
    a, b = attnkit.tensor(x, requires_grad=True), attnkit.tensor(y, requires_grad=True)
    product, total = Scale.apply(a, 3.0, b)
    ((product + total) if both else product).sum().backward()
    assert_close(a.grad, 3.0 * y.astype(np.float64) + both)
    assert_close(b.grad, 3.0 * x.astype(np.float64) + both)


def _function_with_backward(backward: Callable[..., Any]) -> type[attnkit.Function]:
    class Given(attnkit.Function):
        @staticmethod
        def forward(ctx: Any, x: attnkit.Tensor, y: attnkit.Tensor) -> attnkit.Tensor:
            return x + y

    Given.backward = staticmethod(lambda ctx, dy: backward(dy))  # type: ignore[method-assign]
    return Given


def _raise(dy: attnkit.Tensor) -> Any:
    raise ZeroDivisionError("from inside")


@pytest.mark.parametrize(
    ("backward", "error", "message"),
    [
        (_raise, ZeroDivisionError, "from inside"),
        (lambda dy: dy, ValueError, "[function] expected 2 gradients from backward, got 1"),
        (lambda dy: (dy, dy, dy), ValueError, "[function] expected 2 gradients from backward, got 3"),
        (lambda dy: (dy, np.ones(3)), TypeError, "[function] expected a Tensor or None from backward, got ndarray"),
        (lambda dy: (dy, dy.sum()), ValueError, "[backward] expected a gradient of shape [3], got []"),
    ],
    ids=["raises", "too few", "too many", "no tensor", "wrong shape"],
)
def test_errors_inside_a_backward_reach_the_caller(
    backward: Callable[..., Any], error: type[Exception], message: str
) -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    given = _function_with_backward(backward)
    loss = given.apply(x * 2.0, x).sum()
    with pytest.raises(error, match=re.escape(message)):
        loss.backward()
    del loss
    x.zero_grad()
    (x * 2.0).sum().backward()  # the tape works as before
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


def test_an_input_may_have_no_gradient() -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    y = attnkit.tensor(numbers(3), requires_grad=True)
    _function_with_backward(lambda dy: (dy * 5.0, None)).apply(x, y).sum().backward()
    np.testing.assert_array_equal(x.grad, [5, 5, 5])
    assert y.grad is None


def test_a_function_without_a_gradient_to_give_is_not_recorded() -> None:
    x = attnkit.tensor(numbers(3))
    assert Scale.apply(x, 1.0, x)[0].is_leaf
