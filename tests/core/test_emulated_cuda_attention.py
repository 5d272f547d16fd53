"""Attention on CUDA, emulated: beside the CPU's numbers, at sizes around its tiles, and in any order of threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit import _core, ops

_testing = pytest.importorskip("attnkit._testing")
_testing.register_emulated_cuda()

EMULATED = "cuda-emulated"


@pytest.fixture(autouse=True)
def _as_counted() -> Iterator[None]:
    yield
    _testing.set_emulation_seed(0)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run(device: str, size: tuple[int, ...], rubbish_from: int | None = None, **options: Any) -> list[np.ndarray]:
    """Output, weights and gradients."""
    b, h, kv, n, m, d, dv = size
    arrays = [numbers(b, h, n, d), numbers(b, kv, m, d, seed=1), numbers(b, kv, m, dv, seed=2)]
    upstream = numbers(b, h, n, dv, seed=3)
    if rubbish_from is not None:
        for x in (*arrays, upstream):
            x[:, :, rubbish_from:] = np.nan
    leaves = [attnkit.tensor(x, True, device=device) for x in arrays]
    if isinstance(options.get("mask"), np.ndarray) and options["mask"].dtype == np.float32:
        options["mask"] = attnkit.tensor(options["mask"], True, device=device)
        leaves.append(options["mask"])
    attnkit.manual_seed(4)
    output, weights = ops.attention(*leaves[:3], return_weights=True, **options)
    output.backward(attnkit.tensor(upstream, device=device))
    return [output.numpy(), weights.numpy(), *(leaf.grad.numpy() for leaf in leaves)]


def close(got: list[np.ndarray], want: list[np.ndarray]) -> None:
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-5 * max(1.0, float(np.nanmax(np.abs(y), initial=0.0))))


@pytest.mark.parametrize("size", [(2, 2, 1, 1, 70, 33, 31), (1, 2, 2, 16, 33, 1, 3), (1, 2, 1, 17, 64, 70, 130),
                                  (2, 2, 2, 65, 129, 8, 65), (1, 1, 1, 5, 9, 257, 300), (1, 2, 1, 3, 0, 4, 4),
                                  (1, 2, 1, 0, 3, 4, 4)], ids=str)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"causal": True, "query_offset": 5, "dropout": 0.3},
                                     {"window": (20, 3), "softcap": 2.0}], ids=str)  # fmt: skip
def test_around_the_tiles(size: tuple[int, ...], options: dict[str, Any]) -> None:
    close(run(EMULATED, size, **options), run("cpu", size, **options))


@pytest.mark.parametrize("shape", [(2, 4, 70, 130), (2, 1, 70, 130), (1, 4, 70, 130), (70, 130), (1, 4, 1, 130),
                                   (130,), (2, 1, 70, 1), (70, 1), (2, 4, 1, 1), (1,)], ids=str)  # fmt: skip
def test_the_gradient_of_a_mask(shape: tuple[int, ...]) -> None:
    mask = numbers(*shape, seed=5)
    if shape[-1] > 1:
        mask[mask < -0.5] = -np.inf
    options = {"mask": mask, "dropout": 0.1, "causal": True, "query_offset": 30}
    size = (2, 4, 2, 70, 130, 8, 12)
    close(run(EMULATED, size, **options), run("cpu", size, **options))


@pytest.mark.parametrize("options", [{"causal": True}, {"window": (3, 0)}, {"mask": np.tri(70, dtype=bool)}], ids=str)
def test_rubbish_spoils_what_it_spoils_on_the_cpu(options: dict[str, Any]) -> None:
    size = (1, 2, 2, 70, 70, 24, 24)
    close(run(EMULATED, size, 50, **options), run("cpu", size, 50, **options))


def packed(device: str, reach: int) -> list[np.ndarray]:
    offsets, key_offsets = np.array([0, 3, 3, 73, 74], np.int32), np.array([0, 5, 7, 137, 137], np.int32)
    arrays = [numbers(74, 64), numbers(137, 32, seed=1), numbers(137, 16, seed=2), numbers(4, 2 * reach + 1, seed=3)]
    leaves = [attnkit.tensor(x, True, device=device) for x in arrays]
    attnkit.manual_seed(4)
    options = {"heads": 4, "kv_heads": 2, "position_bias": leaves[3], "dropout": 0.2}
    output = ops.packed_attention(*leaves[:3], offsets, key_offsets, **options)
    output.backward(attnkit.tensor(numbers(74, 32, seed=5), device=device))
    return [output.numpy(), *(leaf.grad.numpy() for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("reach", [0, 3, 200])
def test_packed_sentences_and_distances(reach: int) -> None:
    close(packed(EMULATED, reach), packed("cpu", reach))


def step(device: str, d_head: int, head: int) -> list[np.ndarray]:
    """A memory of more keys than a block takes at once, and one of none."""
    heads, offsets = 3, np.array([0, 0, 300, 305], np.int32)
    memory = attnkit.tensor(numbers(305, 2 * heads * d_head), device=device)
    state = _core.DecoderState([memory], offsets)
    projected = attnkit.tensor(numbers(3, 3 * heads * d_head, seed=1), device=device)
    query = attnkit.tensor(numbers(3, heads * d_head, seed=2), device=device)
    state.advance()
    results = [_core.cached_attention(projected, state, 0, heads)]
    results += _core.memory_attention(query, state, 0, heads, True, weights_head=head)
    return [result.numpy() for result in results]


@pytest.mark.parametrize("d_head", [5, 64, 200])
@pytest.mark.parametrize("head", [-1, 1])
def test_a_step_of_decoding(d_head: int, head: int) -> None:
    close(step(EMULATED, d_head, head), step("cpu", d_head, head))


def test_bytes_do_not_depend_on_the_order_of_threads() -> None:
    def act() -> list[np.ndarray]:
        mask = numbers(70, 1, seed=5)
        results = run(EMULATED, (2, 2, 1, 70, 130, 8, 70), mask=mask, dropout=0.3, causal=True, query_offset=60)
        return [*results, *packed(EMULATED, 3), *step(EMULATED, 24, -1)]

    expected = act()
    for seed in (1, 2, 3):
        _testing.set_emulation_seed(seed)
        for got, want in zip(act(), expected, strict=True):
            assert got.tobytes() == want.tobytes(), f"seed {seed}"


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    q, k, v = (attnkit.tensor(numbers(1, 2, 90, 24, seed=seed), device=EMULATED) for seed in range(3))
    together = ops.attention(q, k, v, causal=True).numpy()
    for i in (0, 1, 40, 70, 89):
        alone = attnkit.tensor(q.numpy()[:, :, i : i + 1].copy(), device=EMULATED)
        got = ops.attention(alone, k, v, causal=True, query_offset=i).numpy()
        assert got.tobytes() == together[:, :, i : i + 1].tobytes()
