"""Tensors on a second device, "host2": the CPU's kernels on memory that the host cannot read (cpp/testing/host2.h).

`pytest --device host2` runs all tests there; these are about two devices side by side.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest

import attnkit
from attnkit import _core, nn, ops, optim

_testing = pytest.importorskip("attnkit._testing")
_testing.register_host2()


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def on(device: str, array: np.ndarray, requires_grad: bool = False) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad, device=device)


def test_a_tensor_says_where_it_lies_and_goes_where_it_is_told() -> None:
    x = on("host2", numbers(3, 4))
    assert (x.device, x.to("cpu").device, x.to("host2").device) == ("host2", "cpu", "host2")
    np.testing.assert_array_equal(x.to("cpu").numpy(), numbers(3, 4))
    np.testing.assert_array_equal(np.asarray(x), numbers(3, 4))
    assert not x.numpy().flags.writeable  # a copy: what is written there would be lost
    assert float(x.reshape(-1)[2:3]) == numbers(3, 4)[0, 2]
    stored = x.to("bfloat16")
    assert (stored.device, stored.dtype) == ("host2", "bfloat16")


def test_an_unknown_device_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r'\[device\] expected "cpu"( or "[^"]+")+, got "cuda:0"') as refused:
        on("cuda:0", numbers(2))
    assert ' or "host2"' in str(refused.value)


MIXED: list[tuple[str, Callable[[attnkit.Tensor, attnkit.Tensor], object]]] = [
    ("add", lambda x, y: x + y),
    ("matmul", lambda x, y: x @ y),
    ("linear", lambda x, y: ops.linear(x, y)),
    ("layer_norm", lambda x, y: ops.layer_norm(x, y[0])),
    ("concatenate", lambda x, y: ops.concatenate([x, y])),
    ("attention", lambda x, y: ops.attention(*[t.reshape(1, 1, 4, 4) for t in (x, y, y)])),
    ("write_rows", lambda x, y: ops.write_rows(x, [1], y[:1])),
    ("rnn_cell", lambda x, y: ops.rnn_cell(x, y, y)),
]


@pytest.mark.parametrize(("op", "act"), MIXED, ids=[op for op, _ in MIXED])
def test_tensors_of_two_devices_are_refused_by_name(op: str, act: Callable[..., object]) -> None:
    x, y = on("cpu", numbers(4, 4)), on("host2", numbers(4, 4, seed=1))
    act(y, y)
    for pair in ((x, y), (y, x)):
        with pytest.raises(ValueError, match=rf"\[{op}\] expected all tensors on one device, got .* and "):
            act(*pair)


def test_a_gradient_of_another_device_is_refused() -> None:
    x = on("host2", numbers(3), requires_grad=True)
    with pytest.raises(ValueError, match=r"\[backward\] expected a gradient on host2, got one on cpu"):
        (x * 2.0).backward(on("cpu", numbers(3)))


def test_arrays_and_numbers_beside_a_tensor_go_to_its_device() -> None:
    x = on("host2", numbers(3), requires_grad=True)
    y = 1.0 - (numbers(3, seed=1) * x + 2.0) / numbers(3, seed=2)
    y.backward(numbers(3, seed=3))
    assert y.device == "host2" and x.grad is not None and x.grad.device == "host2"
    np.testing.assert_allclose(x.grad.numpy(), -numbers(3, seed=1) / numbers(3, seed=2) * numbers(3, seed=3), rtol=1e-6)


def test_a_gradient_passes_from_device_to_device() -> None:
    x = on("cpu", numbers(4), requires_grad=True)
    (x.to("host2") * numbers(4, seed=1)).to("cpu").sum().backward()
    assert x.grad is not None and x.grad.device == "cpu"
    np.testing.assert_array_equal(x.grad.numpy(), numbers(4, seed=1))


def test_dlpack_shows_no_memory_that_nobody_outside_could_read() -> None:
    x = on("host2", numbers(3))
    for act in (x.__dlpack__, x.__dlpack_device__, lambda: np.from_dlpack(x)):
        with pytest.raises(ValueError, match=r"\[dlpack\] expected a tensor of the CPU or of a GPU, got one on host2"):
            act()


def test_copies_and_pickles_stay_there() -> None:
    x = on("host2", numbers(3), requires_grad=True)
    for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.device == "host2" and other.requires_grad
        np.testing.assert_array_equal(other.numpy(), numbers(3))


def test_a_module_moves_and_trains_to_the_same_bytes() -> None:
    def train(device: str) -> list[np.ndarray]:
        attnkit.manual_seed(3)
        layers = nn.ModuleList([nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 2)]).to(device)
        optimizer = optim.AdamW(list(layers.parameters()), 0.1)
        for step in range(3):
            x = on(device, numbers(5, 6, seed=step))
            for layer in layers:
                x = layer(x)
            loss = (x * 3.0).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert {parameter.device for parameter in layers.parameters()} == {device}
        return list(layers.state_dict().values())

    for here, there in zip(train("cpu"), train("host2"), strict=True):
        np.testing.assert_array_equal(here, there)


def test_a_move_to_where_it_lies_changes_nothing() -> None:
    weight = attnkit.tensor(np.ones((2, 2), np.float32), requires_grad=True, device="cpu")
    x = on("cpu", np.ones((1, 2), np.float32))
    view = weight.numpy()
    weight.move_("cpu")
    weight.move_("float32")
    ops.linear(x, weight)
    view[...] = 3.0  # nobody tells of this write
    np.testing.assert_array_equal(ops.linear(x, weight).numpy(), [[6.0, 6.0]])
    with pytest.raises(ValueError, match=r"\[move_\] expected a tensor that no op computed"):
        (weight * 2.0).move_("host2")


def test_its_memory_is_given_back() -> None:
    before = _testing.host2_blocks()
    x = on("host2", numbers(3), requires_grad=True)
    ids = _core.Indices([0, 2])
    ops.gather_rows(x * 2.0, ids).sum().backward()
    assert _testing.host2_blocks() > before
    del x, ids
    assert _testing.host2_blocks() == before
