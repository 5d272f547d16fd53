"""The kernels of CUDA where no order is promised: blocks, warps and lanes run in any (cpp/cuda/emulation/machine.h).

`pytest --device cuda-emulated` runs all tests on them; these compare orders, and numbers that are equal everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

import attnkit
from attnkit import ops, optim

_testing = pytest.importorskip("attnkit._testing")
_testing.register_emulated_cuda()

EMULATED = "cuda-emulated"


@pytest.fixture(autouse=True)
def _as_counted() -> Iterator[None]:
    yield
    _testing.set_emulation_seed(0)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def on(device: str, array: np.ndarray, requires_grad: bool = False) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad, device=device)


def gathered_and_added(device: str) -> list[np.ndarray]:
    rows = np.random.default_rng(1).integers(0, 40, 1500).astype(np.int32)  # more than a block sorts
    x = on(device, numbers(40, 5), requires_grad=True)
    y = ops.gather_rows(x, rows)
    y.backward(on(device, numbers(1500, 5, seed=2)))
    assert x.grad is not None
    return [y.numpy(), x.grad.numpy()]


def written(device: str) -> list[np.ndarray]:
    rows = np.array([3, 0, 3, 3, 2], np.int32)  # what is written last stays
    return [ops.write_rows(on(device, numbers(5, 33)), rows, on(device, numbers(5, 33, seed=1))).numpy()]


def transposed(device: str) -> list[np.ndarray]:
    x = on(device, numbers(3, 40, 65))
    return [x.transpose(1, 2).numpy(), x.transpose(0, 2).numpy(), x.transpose(0, 1).numpy()]


def dropped(device: str) -> list[np.ndarray]:
    x = numbers(1003)
    x[:2] = np.inf, np.nan
    attnkit.manual_seed(5)
    leaf = on(device, x, requires_grad=True)
    y = ops.dropout(leaf, 0.4)
    y.backward(on(device, numbers(1003, seed=1)))
    assert leaf.grad is not None
    return [y.numpy(), leaf.grad.numpy(), ops.add_dropout(on(device, numbers(1003, seed=2)), leaf, 0.1).numpy()]


def arithmetic(device: str) -> list[np.ndarray]:
    x, y = on(device, numbers(1003))[2:], on(device, numbers(1001, seed=1))  # x is not aligned to 16 bytes
    return [(x + y).numpy(), (x * y - x).numpy(), (x / y).numpy(), (x * 3.0 + 1.0).numpy()]


def stepped(device: str) -> list[np.ndarray]:
    weight = on(device, numbers(333), requires_grad=True)
    optimizer = optim.AdamW([weight], 0.1)
    for step in range(3):
        optimizer.zero_grad()
        (weight * 1.0).backward(on(device, numbers(333, seed=step + 1)))
        optimizer.step()
    return [weight.numpy()]


def summed(device: str) -> list[np.ndarray]:
    x = on(device, numbers(3, 1000, 7))
    return [x.sum().numpy(), x.sum(0).numpy(), x.sum(1).numpy(), x.sum(2).numpy()]


EQUAL = [gathered_and_added, written, transposed, dropped, arithmetic, stepped]


@pytest.mark.parametrize("act", [*EQUAL, summed], ids=lambda act: act.__name__)
def test_bytes_do_not_depend_on_the_order_of_threads(act: Callable[[str], list[np.ndarray]]) -> None:
    expected = act(EMULATED)
    for seed in (1, 2, 3):
        _testing.set_emulation_seed(seed)
        for got, want in zip(act(EMULATED), expected, strict=True):
            assert got.tobytes() == want.tobytes(), f"seed {seed}"


@pytest.mark.parametrize("act", EQUAL, ids=lambda act: act.__name__)
def test_what_both_round_alike_is_equal_to_the_cpu(act: Callable[[str], list[np.ndarray]]) -> None:
    for got, want in zip(act(EMULATED), act("cpu"), strict=True):
        np.testing.assert_array_equal(got, want)


def test_sums_are_the_cpus() -> None:
    for got, want in zip(summed(EMULATED), summed("cpu"), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)


def test_a_sum_does_not_depend_on_what_lies_beside_it() -> None:
    x = numbers(9, 700, 5)
    together = on(EMULATED, x).sum(1).numpy()
    for i in range(9):
        assert on(EMULATED, x[i : i + 1]).sum(1).numpy().tobytes() == together[i : i + 1].tobytes()


def test_axes_that_do_not_travel_with_the_launch() -> None:
    x = numbers(*(2,) * 12)
    axes = [11, 0, 10, 1, 9, 2, 8, 3, 7, 4, 6, 5]
    np.testing.assert_array_equal(on(EMULATED, x).permute(*axes).numpy(), x.transpose(axes))


def test_labels_that_do_not_count_are_known_without_asking_the_device() -> None:
    logits, labels = on(EMULATED, numbers(4, 9)), np.array([0, -100, 8, 3], np.int32)
    copies = _testing.asked_of_emulated_cuda()[1]
    losses = ops.cross_entropy(logits, labels)
    assert _testing.asked_of_emulated_cuda()[1] == copies
    np.testing.assert_allclose(losses.numpy(), ops.cross_entropy(numbers(4, 9), labels), rtol=1e-6)
    for wrong in (9, -1):
        with pytest.raises(
            ValueError, match=rf"\[cross_entropy\] expected labels in \[0, 9\) or -100, got {wrong} in row 2"
        ):
            ops.cross_entropy(logits, np.array([0, -100, wrong, 3], np.int32))
