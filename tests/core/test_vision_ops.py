"""Convolution, pooling, batch norm, patches: against float64, finite differences and PyTorch."""

from __future__ import annotations

import functools
import re
from typing import Any

import numpy as np
import pytest
import reference_vision as reference
from closeness import BFLOAT16, assert_close, numeric_gradients

import attnkit
from attnkit import _core, ops


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaf(array: np.ndarray) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad=True)


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def doubles(*arrays: np.ndarray) -> list[np.ndarray]:
    return [array.astype(np.float64) for array in arrays]


# --- convolution: (B, H, W, C), outputs, kernel, stride, padding, groups

CONVOLUTIONS = [
    ((2, 8, 8, 64), 64, 3, 1, 1, 1),  # over padded rows
    ((2, 9, 7, 32), 48, 3, 2, 1, 1),
    ((2, 12, 12, 64), 80, 3, 3, 0, 1),  # read in place
    ((3, 8, 8, 3), 20, 3, 1, 1, 1),
    ((3, 9, 8, 1), 20, (3, 2), 1, 1, 1),  # windows copied out
    ((2, 11, 13, 5), 7, (3, 2), (2, 3), (1, 0), 1),
    ((2, 8, 8, 64), 96, 1, 2, 0, 1),
    ((2, 5, 6, 7), 9, 1, 1, 0, 1),  # a linear layer
    ((1, 3, 40, 48), 16, (1, 5), (1, 2), (0, 2), 1),
    ((2, 6, 6, 32), 32, 2, 3, 2, 2),  # a stride beyond the kernel, more padding than the kernel
    ((1, 5, 5, 4), 8, 3, 4, 1, 1),
    ((2, 23, 9, 8), 6, 2, (7, 5), (3, 4), 2),  # rows that no window reads
    ((2, 16, 16, 3), 32, 4, 4, 0, 1),
    ((2, 8, 8, 256), 64, 3, 2, 1, 4),
    ((1, 7, 7, 6), 12, 5, 1, 2, 3),
    ((2, 9, 9, 21), 21, 3, 2, 1, 21),  # depthwise
    ((1, 6, 5, 8), 8, (2, 3), 1, (1, 2), 8),
    ((2, 6, 6, 4), 8, 3, 1, 1, 4),  # two filters a channel
    ((70, 4, 4, 32), 24, 3, 1, 1, 1),  # several images a task
    ((1, 1, 1, 3), 2, 3, 1, 1, 1),
]


def arrays_of(case: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (batch, height, width, channels), outputs, kernel, _, _, groups = case
    weight = numbers(outputs, *pair(kernel), channels // groups, seed=1)
    return numbers(batch, height, width, channels), weight, numbers(outputs, seed=2)


def conv_reference(case: Any, x: np.ndarray, weight: np.ndarray, bias: Any) -> np.ndarray:
    _, _, _, stride, padding, groups = case
    return reference.conv2d(x, weight, bias, pair(stride), pair(padding), groups)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_conv2d(case: Any, isa: str, threads: int) -> None:
    x, weight, bias = arrays_of(case)
    out = ops.conv2d(x, weight, bias, *case[3:])
    assert isinstance(out, np.ndarray)
    assert_close(out, conv_reference(case, *doubles(x, weight, bias)), terms=weight[0].size, scale=4.0)
    plain = ops.conv2d(x, weight, None, *case[3:])
    assert_close(plain, conv_reference(case, *doubles(x, weight), 0.0), terms=weight[0].size, scale=4.0)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_the_gradients_of_conv2d_are_its_transposes(case: Any, isa: str, threads: int) -> None:
    # Convolution is linear in x and in the weight, so <dy, conv(u)> = <dx, u> for any u.
    x, weight, bias = arrays_of(case)
    leaves = [leaf(a) for a in (x, weight, bias)]
    out = ops.conv2d(*leaves, *case[3:])
    dy = numbers(*out.shape, seed=3)
    out.backward(dy)
    u, v = numbers(*x.shape, seed=4), numbers(*weight.shape, seed=5)
    for got, direction, exact in (
        (leaves[0].grad, u, conv_reference(case, *doubles(u, weight), 0.0)),
        (leaves[1].grad, v, conv_reference(case, *doubles(x, v), 0.0)),
    ):
        assert_close((np.asarray(got, np.float64) * direction).sum(), (exact * dy).sum(), dy.size, scale=16.0)
    assert_close(leaves[2].grad, dy.astype(np.float64).sum(axis=(0, 1, 2)), terms=dy.size)


@pytest.mark.parametrize("activation", [None, "relu", "gelu", "silu", "tanh", "sigmoid", "gelu_tanh", "quick_gelu"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_gradients_of_conv2d(activation: str | None, groups: int) -> None:
    from test_linear import ACTIVATIONS

    x, weight, bias = numbers(1, 3, 4, 4), numbers(4, 2, 3, 4 // groups, seed=1), numbers(4, seed=2)
    leaves = [leaf(a) for a in (x, weight, bias)]
    out = ops.conv2d(*leaves, stride=(1, 2), padding=1, groups=groups, activation=activation)
    upstream = numbers(*out.shape, seed=3)
    out.backward(upstream)

    def formula(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return ACTIVATIONS[activation](reference.conv2d(x, weight, bias, (1, 2), (1, 1), groups))

    assert_close(out, formula(*doubles(x, weight, bias)), terms=24, scale=2.0)
    for got, expected in zip(leaves, numeric_gradients(formula, [x, weight, bias], upstream), strict=True):
        assert_close(got.grad, expected, terms=48, scale=4.0)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_conv2d_against_pytorch(case: Any) -> None:
    torch = pytest.importorskip("torch")
    arrays = arrays_of(case)
    ours = [leaf(a) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    out = ops.conv2d(*ours, *case[3:])
    expected = torch.nn.functional.conv2d(
        theirs[0].permute(0, 3, 1, 2), theirs[1].permute(0, 3, 1, 2), theirs[2], case[3], case[4], 1, case[5]
    ).permute(0, 2, 3, 1)
    terms = arrays[1][0].size
    assert_close(out, expected.detach(), terms=terms, scale=4.0)
    upstream = numbers(*out.shape, seed=3)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    for a, b, count in zip(ours, theirs, (terms * 4, out.size, out.size), strict=True):
        assert_close(a.grad, b.grad, terms=count, scale=4.0)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_conv2d_in_bf16(case: Any, isa: str) -> None:
    x, weight, bias = arrays_of(case)
    if case[5] == x.shape[-1] == case[1]:
        pytest.skip("depthwise convolution is float32")
    leaves = [leaf(a) for a in (x, weight, bias)]
    with attnkit.precision("bf16"):
        out = ops.conv2d(*leaves, *case[3:])
    exact = conv_reference(case, *doubles(x, weight, bias))
    assert_close(out, exact, terms=weight[0].size, epsilon=BFLOAT16 / 4, scale=1.0)
    in_pairs, windows = isa in ("avx512_bf16", "amx"), weight.shape[1:3] != (1, 1)
    if in_pairs and windows and weight.shape[-1] % 2:  # which pairs do not fill: float32 is faster
        np.testing.assert_array_equal(out, ops.conv2d(x, weight, bias, *case[3:]))
    else:
        assert np.abs(out.numpy() - exact).max() > 1e-4
    upstream = numbers(*out.shape, seed=3)
    out.backward(upstream)  # keeps the precision of its forward
    full = [leaf(a) for a in (x, weight, bias)]
    ops.conv2d(*full, *case[3:]).backward(upstream)
    for a, b in zip(leaves[:2], full[:2], strict=True):
        assert_close(a.grad, b.grad.numpy(), terms=max(weight[0].size, 16), epsilon=BFLOAT16 / 2, scale=1.0)


def test_int8_leaves_convolution_in_float32() -> None:
    x, weight, bias = numbers(2, 6, 6, 8), numbers(5, 3, 3, 8, seed=1), numbers(5, seed=2)
    full = ops.conv2d(x, weight, bias)
    with attnkit.precision("int8"):
        np.testing.assert_array_equal(ops.conv2d(x, weight, bias), full)
        with pytest.raises(ValueError, match=re.escape("[precision] expected fp32 or bf16 where gradients are wanted")):
            ops.conv2d(leaf(x), weight, bias)


@pytest.mark.parametrize("case", CONVOLUTIONS[:5] + CONVOLUTIONS[12:18], ids=str)
def test_conv2d_gives_the_same_bytes_for_any_number_of_threads(case: Any) -> None:
    def run(threads: int) -> list[np.ndarray]:
        _core.set_num_threads(threads)
        leaves = [leaf(a) for a in arrays_of(case)]
        out = ops.conv2d(*leaves, *case[3:], activation="relu")
        out.backward(numbers(*out.shape, seed=3))
        return [out.numpy(), *(x.grad.numpy() for x in leaves)]

    before = _core.get_num_threads()
    try:
        for one, several in zip(run(1), run(3), strict=True):
            np.testing.assert_array_equal(one, several)
    finally:
        _core.set_num_threads(before)


def test_the_weight_gradient_over_many_pieces() -> None:
    # 6,272 windows of 900 numbers are packed in several stretches.
    x, weight = numbers(8, 28, 28, 100), numbers(8, 3, 3, 100, seed=1)
    leaves = [leaf(x), leaf(weight)]
    out = ops.conv2d(*leaves, padding=1)
    dy = numbers(*out.shape, seed=2)
    out.backward(dy)
    seen = reference.windows(x.astype(np.float64), (3, 3), (1, 1), (1, 1))
    assert_close(leaves[1].grad, np.einsum("bhwo,bhwklc->oklc", dy, seen, optimize=True), terms=out.size)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_only_what_needs_a_gradient_gets_one(frozen: int) -> None:
    arrays = numbers(1, 4, 4, 3), numbers(5, 3, 3, 3, seed=1), numbers(5, seed=2)
    leaves = [attnkit.tensor(array, requires_grad=i != frozen) for i, array in enumerate(arrays)]
    ops.conv2d(*leaves, activation="relu").sum().backward()
    assert [x.grad is not None for x in leaves] == [i != frozen for i in range(3)]


def test_an_image_has_the_same_result_in_every_batch(isa: str) -> None:
    x, weight = numbers(9, 6, 6, 32), numbers(40, 3, 3, 32, seed=1)
    whole = ops.conv2d(x, weight, padding=1)
    for index in (0, 4, 8):
        np.testing.assert_array_equal(ops.conv2d(x[index : index + 1], weight, padding=1)[0], whole[index])


def test_an_empty_batch() -> None:
    leaves = [leaf(numbers(0, 4, 4, 3)), leaf(numbers(5, 3, 3, 3))]
    out = ops.conv2d(*leaves)
    assert out.shape == (0, 2, 2, 5)
    out.sum().backward()
    assert not leaves[1].grad.numpy().any()
    assert ops.max_pool2d(numbers(0, 4, 4, 3), 2).shape == (0, 2, 2, 3)


@pytest.mark.parametrize(
    ("x", "weight", "options", "message"),
    [
        ((4, 4, 3), (5, 3, 3, 3), {}, "[conv2d] expected x of shape [B, H, W, C], got [4, 4, 3]"),
        ((1, 4, 4, 3), (5, 3, 3), {}, "[conv2d] expected weight of shape [O, KH, KW, C / groups], got [5, 3, 3]"),
        ((1, 4, 4, 3), (5, 3, 3, 2), {}, "[conv2d] expected weight of shape [5, 3, 3, 3], got [5, 3, 3, 2]"),
        ((1, 4, 4, 3), (5, 3, 3, 3), {"groups": 2}, "multiples of groups = 2, got 3 and 5"),
        ((1, 2, 4, 3), (5, 3, 3, 3), {}, "[conv2d] expected a kernel of at most 2, the image with padding, got 3"),
        ((1, 4, 4, 3), (5, 3, 3, 3), {"padding": 2**63 - 1}, "all below 2^31, got 3, 1 and 9223372036854775807"),
        ((1, 4, 4, 3), (5, 3, 3, 3), {"stride": 0}, "[conv2d] expected a kernel and stride of at least 1"),
        ((1, 4, 4, 3), (5, 3, 3, 3), {"stride": (1, 2, 3)}, "[conv2d] expected one whole number or two, got (1, 2, 3)"),
        ((1, 4, 4, 3), (5, 3, 3, 3), {"bias": numbers(4)}, "[conv2d] expected bias of shape [5], got [4]"),
    ],
)
def test_conv2d_says_what_does_not_fit(x: Any, weight: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ops.conv2d(numbers(*x), numbers(*weight), **options)


# --- pooling: (B, H, W, C), kernel, stride, padding

POOLS = [
    ((2, 8, 8, 16), 2, None, 0),
    ((2, 9, 7, 21), 3, 2, 1),
    ((1, 5, 6, 3), (2, 3), (1, 2), (1, 0)),
    ((3, 4, 4, 37), 4, None, 0),
    ((1, 7, 7, 5), 2, 3, 1),
]


def pool_options(case: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    _, kernel, stride, padding = case
    return pair(kernel), pair(kernel if stride is None else stride), pair(padding)


@pytest.mark.parametrize("case", POOLS, ids=str)
def test_pooling(case: Any, isa: str, threads: int) -> None:
    x = numbers(*case[0])
    np.testing.assert_array_equal(ops.max_pool2d(x, *case[1:]), reference.max_pool2d(x, *pool_options(case)))
    exact = reference.avg_pool2d(x.astype(np.float64), *pool_options(case))
    assert_close(ops.avg_pool2d(x, *case[1:]), exact, terms=16)


@functools.cache
def pool_gradient(kind: str, case: Any) -> np.ndarray:
    """By finite differences, for the upstream of the test below."""

    def formula(x: np.ndarray) -> np.ndarray:
        return getattr(reference, kind)(x, *pool_options(case))

    x = numbers(*case[0])
    return numeric_gradients(formula, [x], numbers(*formula(x).shape, seed=1))[0]


@pytest.mark.parametrize("case", POOLS, ids=str)
@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
def test_the_gradients_of_pooling(kind: str, case: Any, isa: str, threads: int) -> None:
    x = leaf(numbers(*case[0]))
    out = getattr(ops, kind)(x, *case[1:])
    out.backward(numbers(*out.shape, seed=1))
    assert_close(x.grad, pool_gradient(kind, case), terms=9)


@pytest.mark.parametrize("case", POOLS, ids=str)
@pytest.mark.parametrize("kind", ["max_pool2d", "avg_pool2d"])
def test_pooling_against_pytorch(kind: str, case: Any) -> None:
    torch = pytest.importorskip("torch")
    rounded = np.round(numbers(*case[0]))  # many equals: the gradient goes to the first
    ours, theirs = leaf(rounded), torch.tensor(rounded, requires_grad=True)
    out = getattr(ops, kind)(ours, *case[1:])
    expected = getattr(torch.nn.functional, kind)(theirs.permute(0, 3, 1, 2), *case[1:]).permute(0, 2, 3, 1)
    assert_close(out, expected.detach(), terms=16)
    upstream = numbers(*out.shape, seed=1)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    assert_close(ours.grad, theirs.grad, terms=16)


def test_a_nan_is_the_maximum() -> None:
    x = numbers(1, 2, 2, 3)
    x[0, 1, 0, 1] = np.nan
    assert np.isnan(ops.max_pool2d(x, 2)[0, 0, 0]).tolist() == [False, True, False]


def test_pooling_an_image_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="expected images of at least one pixel"):
        ops.max_pool2d(numbers(1, 0, 8, 3), 2, padding=1)


@pytest.mark.parametrize("size", [2, np.int64(2), [2, 2], np.array([2, 2])], ids=str)
def test_a_size_is_any_whole_number_or_two(size: Any) -> None:
    assert ops.max_pool2d(numbers(1, 4, 4, 2), size).shape == (1, 2, 2, 2)


@pytest.mark.parametrize(
    ("kind", "kernel", "options", "message"),
    [
        ("max_pool2d", 3, {"padding": 2}, "[max_pool2d] expected padding of at most half the kernel 3, got 2"),
        ("avg_pool2d", 5, {}, "[avg_pool2d] expected a kernel of at most 4, the image with padding, got 5"),
        ("avg_pool2d", 0, {}, "[avg_pool2d] expected a kernel and stride of at least 1 and padding of at least 0"),
        ("max_pool2d", 2, {"padding": 2**63 - 1}, "all below 2^31, got 2, 2 and 9223372036854775807"),
        ("max_pool2d", 2**30, {"padding": 2**29}, "[max_pool2d] expected a kernel of at most 16777216 pixels"),
        ("max_pool2d", 2, {"stride": 0.5}, "[max_pool2d] expected one whole number or two, got 0.5"),
    ],
)
def test_pooling_says_what_does_not_fit(kind: str, kernel: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(ops, kind)(numbers(1, 4, 4, 2), kernel, **options)


# --- batch norm


def statistics(channels: int) -> tuple[attnkit.Tensor, attnkit.Tensor]:
    return attnkit.tensor(numbers(channels, seed=8)), attnkit.tensor(np.abs(numbers(channels, seed=9)) + 0.5)


@pytest.mark.parametrize("shape", [(2, 5, 3, 7), (3, 8, 8, 64), (700, 33)], ids=str)
@pytest.mark.parametrize("with_residual", [False, True])
def test_batch_norm(shape: tuple[int, ...], with_residual: bool, isa: str, threads: int) -> None:
    channels = shape[-1]
    x, weight, bias = numbers(*shape) * 3 + 50, numbers(channels, seed=1), numbers(channels, seed=2)
    residual = numbers(*shape, seed=3) if with_residual else None
    mean, variance = statistics(channels)
    before = mean.numpy().copy(), variance.numpy().copy()
    out = ops.batch_norm(x, weight, bias, mean, variance, True, 0.3, activation="relu", residual=residual)
    exact = [x.astype(np.float64), *doubles(weight, bias), 0.0 if residual is None else residual.astype(np.float64)]
    # x is rounded at its own size, which the division by its deviation enlarges.
    assert_close(out, reference.batch_norm(*exact, relu=True), terms=16, scale=50.0)
    rows = exact[0].reshape(-1, channels)
    assert_close(mean, 0.7 * before[0] + 0.3 * rows.mean(axis=0), terms=16)
    assert_close(variance, 0.7 * before[1] + 0.3 * rows.var(axis=0, ddof=1), terms=16, scale=50.0)

    used = ops.batch_norm(x, weight, bias, mean, variance, residual=residual)
    scale = weight / np.sqrt(variance.numpy().astype(np.float64) + 1e-5)
    assert_close(used, (exact[0] - mean.numpy()) * scale + bias + exact[3], terms=16, scale=50.0)


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("training", [True, False])
def test_the_gradients_of_batch_norm(training: bool, activation: str | None, isa: str) -> None:
    x, residual, weight, bias = numbers(2, 3, 2, 5), numbers(2, 3, 2, 5, seed=1), numbers(5, seed=2), numbers(5, seed=3)
    leaves = [leaf(a) for a in (x, weight, bias, residual)]
    mean, variance = statistics(5)
    fixed = mean.numpy().astype(np.float64), variance.numpy().astype(np.float64)
    out = ops.batch_norm(
        *leaves[:3], mean, variance, training=training, activation=activation, residual=leaves[3]
    )  # fmt: skip
    upstream = numbers(*out.shape, seed=4)
    out.backward(upstream)

    def formula(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, residual: np.ndarray) -> np.ndarray:
        if training:
            return reference.batch_norm(x, weight, bias, residual, activation == "relu")
        y = (x - fixed[0]) / np.sqrt(fixed[1] + 1e-5) * weight + bias + residual
        return np.maximum(y, 0.0) if activation else y

    for got, expected in zip(leaves, numeric_gradients(formula, [x, weight, bias, residual], upstream), strict=True):
        assert_close(got.grad, expected, terms=64, scale=4.0)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_against_pytorch(training: bool) -> None:
    torch = pytest.importorskip("torch")
    x, weight, bias = numbers(4, 9, 7, 19), numbers(19, seed=1), numbers(19, seed=2)
    ours = [leaf(a) for a in (x, weight, bias)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    mean, variance = statistics(19)
    their_mean, their_variance = torch.tensor(mean.numpy().copy()), torch.tensor(variance.numpy().copy())
    for seed in (3, 4):
        out = ops.batch_norm(*ours, mean, variance, training, 0.2, 1e-3)
        expected = torch.nn.functional.batch_norm(
            theirs[0].permute(0, 3, 1, 2), their_mean, their_variance, *theirs[1:], training, 0.2, 1e-3
        ).permute(0, 2, 3, 1)
        assert_close(out, expected.detach(), terms=64)
        upstream = numbers(*out.shape, seed=seed)
        out.backward(upstream)
        expected.backward(torch.tensor(upstream))
    assert_close(mean, their_mean, terms=64)
    assert_close(variance, their_variance, terms=64)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a.grad, b.grad, terms=512, scale=4.0)


def test_batch_norm_gives_the_same_bytes_for_any_number_of_threads() -> None:
    def run(threads: int) -> list[np.ndarray]:
        _core.set_num_threads(threads)
        leaves = [leaf(a) for a in (numbers(20, 15, 15, 24), numbers(24, seed=1), numbers(24, seed=2))]
        mean, variance = statistics(24)
        out = ops.batch_norm(*leaves, mean, variance, training=True, activation="relu")
        out.backward(numbers(*out.shape, seed=3))
        return [out.numpy(), mean.numpy(), variance.numpy(), *(x.grad.numpy() for x in leaves)]

    before = _core.get_num_threads()
    try:
        for one, several in zip(run(1), run(3), strict=True):
            np.testing.assert_array_equal(one, several)
    finally:
        _core.set_num_threads(before)


def test_batch_norm_says_what_does_not_fit() -> None:
    x, ones = numbers(1, 1, 1, 4), np.ones(4, np.float32)
    mean, variance = statistics(4)
    with pytest.raises(ValueError, match=re.escape("[batch_norm] expected more than one row to train on, got 1")):
        ops.batch_norm(x, ones, ones, mean, variance, training=True)
    with pytest.raises(ValueError, match=re.escape("running statistics of shape [4], got [3]")):
        ops.batch_norm(x, np.ones(3), ones, mean, variance)
    with pytest.raises(ValueError, match=re.escape('[batch_norm] expected activation "relu" or None, got "gelu"')):
        ops.batch_norm(x, ones, ones, mean, variance, activation="gelu")
    with pytest.raises(ValueError, match=re.escape("[batch_norm] expected residual of shape [1, 1, 1, 4], got [4]")):
        ops.batch_norm(x, ones, ones, mean, variance, residual=ones)


# --- patches and gates


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 4)], ids=str)
def test_patches(size: tuple[int, int], threads: int) -> None:
    x = leaf(numbers(3, 6, 8, 3))
    out = ops.patches(x, size)
    np.testing.assert_array_equal(out.numpy(), reference.patches(x.numpy(), size))
    upstream = numbers(*out.shape, seed=1)
    out.backward(upstream)
    np.testing.assert_array_equal(reference.patches(x.grad.numpy(), size), upstream)
    with pytest.raises(ValueError, match=re.escape("[patches] expected an image of whole patches of 5 x 5, got 6 x 8")):
        ops.patches(x, 5)


def test_scale_channels(isa: str, threads: int) -> None:
    x, gate = numbers(3, 4, 5, 19), numbers(3, 19, seed=1)
    leaves = [leaf(x), leaf(gate)]
    out = ops.scale_channels(*leaves)
    assert_close(out, x.astype(np.float64) * gate[:, None, None])
    upstream = numbers(*out.shape, seed=2)
    out.backward(upstream)
    assert_close(leaves[0].grad, upstream.astype(np.float64) * gate[:, None, None])
    assert_close(leaves[1].grad, (upstream.astype(np.float64) * x).sum(axis=(1, 2)), terms=20)
    with pytest.raises(ValueError, match=re.escape("[scale_channels] expected gate of shape [3, 19], got [3, 4]")):
        ops.scale_channels(x, numbers(3, 4))


def test_add_scaled_sequences(isa: str, threads: int) -> None:
    residual, x, offsets = numbers(9, 21), numbers(9, 21, seed=1), np.array([0, 4, 4, 9])
    scale = np.array([0.0, 3.0, 1.25])
    factors = np.repeat(scale, np.diff(offsets))[:, None]
    leaves = [leaf(residual), leaf(x)]
    out = ops.add_scaled_sequences(*leaves, offsets, scale)
    assert_close(out, residual + x.astype(np.float64) * factors)
    upstream = numbers(9, 21, seed=2)
    out.backward(upstream)
    np.testing.assert_array_equal(leaves[0].grad.numpy(), upstream)
    assert_close(leaves[1].grad, upstream.astype(np.float64) * factors)
    with pytest.raises(ValueError, match=re.escape("expected a number for each of 3 sequences, got 2")):
        ops.add_scaled_sequences(residual, x, offsets, scale[:2])
    with pytest.raises(ValueError, match=re.escape("expected offsets from 0 to 9")):
        ops.add_scaled_sequences(residual, x, [0, 4, 4, 8], scale)
