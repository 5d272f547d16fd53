"""Learning-rate schedules: functions of the step, counted from 1, without state of their own.

`optimizer.lr = schedule(step)` before each step. Since nothing is remembered, a resumed run needs only its step.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def inverse_sqrt(learning_rate: float, warmup_steps: int = 0, min_learning_rate: float = 0.0) -> Schedule:
    """Rises linearly to `learning_rate` at step `warmup_steps`, then falls with 1/√step (Vaswani et al., 2017).

    The fall ends at `min_learning_rate`. Without warm-up the rate is learning_rate/√step from the start.
    Raises ValueError for a negative argument or a minimum above the peak.
    """
    _check("inverse_sqrt", learning_rate, warmup_steps, min_learning_rate)

    def at(step: int) -> float:
        if step < warmup_steps:
            return learning_rate * step / warmup_steps
        return max(min_learning_rate, learning_rate * math.sqrt(max(1, warmup_steps) / max(1, step)))

    return at


def cosine(learning_rate: float, total_steps: int, warmup_steps: int = 0, min_learning_rate: float = 0.0) -> Schedule:
    """Rises linearly to `learning_rate`, then follows half a cosine (Loshchilov and Hutter, 2017) down to
    `min_learning_rate` at step `total_steps`, and stays there.

    Raises ValueError for a negative argument, a minimum above the peak, or no step left after the warm-up.
    """
    _check("cosine", learning_rate, warmup_steps, min_learning_rate)
    if total_steps <= warmup_steps:
        raise ValueError(f"[cosine] expected total_steps > warmup_steps, got {total_steps} and {warmup_steps}")

    def at(step: int) -> float:
        if step < warmup_steps:
            return learning_rate * step / warmup_steps
        done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
        return min_learning_rate + (learning_rate - min_learning_rate) * 0.5 * (1.0 + math.cos(math.pi * done))

    return at


def constant(learning_rate: float, warmup_steps: int = 0) -> Schedule:
    """Rises linearly to `learning_rate` at step `warmup_steps` and stays. Raises ValueError for a negative argument."""
    _check("constant", learning_rate, warmup_steps, 0.0)
    return lambda step: learning_rate * min(1.0, step / warmup_steps) if warmup_steps else learning_rate


def _check(name: str, learning_rate: float, warmup_steps: int, min_learning_rate: float) -> None:
    if not (learning_rate >= 0 and warmup_steps >= 0 and 0 <= min_learning_rate <= learning_rate):
        raise ValueError(
            f"[{name}] expected learning_rate >= min_learning_rate >= 0 and warmup_steps >= 0, "
            f"got {learning_rate}, {min_learning_rate} and {warmup_steps}"
        )
