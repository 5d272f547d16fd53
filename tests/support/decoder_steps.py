"""A decoder a token at a time against the same decoder over whole sentences."""

from __future__ import annotations

import numpy as np

import attnkit
from attnkit import nn

CLOSE = {"fp32": 1e-5, "bf16": 2e-2, "int8": 4e-2}
"""How far a step may lie from all at once: a number that falls to the other side of a rounding changes what follows."""

_MEMORY_OFFSETS = np.array([0, 3, 12, 14], np.int32)


def check_steps(decoder: nn.TransformerDecoder, precision: str, steps: int = 60) -> None:
    """The fused step and the layers one by one give the same bytes, and what `forward` gives, 24 numbers wide."""

    def numbers(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)

    x, memory = numbers(3, steps, 24), attnkit.tensor(numbers(14, 24, seed=1))
    lengths = np.arange(0, 3 * steps + 1, steps, dtype=np.int32)
    with attnkit.no_grad(), attnkit.precision(precision):
        whole = np.asarray(decoder(attnkit.tensor(x.reshape(-1, 24)), lengths, memory, _MEMORY_OFFSETS))
        states, fused = [decoder.start(memory, _MEMORY_OFFSETS) for _ in range(2)], decoder.fuse()
        assert fused is not None
        for t in range(steps):
            token = attnkit.tensor(x[:, t].copy())
            step, one_by_one = (
                decoder.step(token, state, run)[0].numpy() for state, run in zip(states, (fused, None), strict=True)
            )
            np.testing.assert_array_equal(step, one_by_one)
            difference = step - whole.reshape(3, steps, 24)[:, t]
            assert np.linalg.norm(difference) <= CLOSE[precision] * np.linalg.norm(step)
