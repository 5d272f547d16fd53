"""Round numbers for the axis of a drawing."""

from __future__ import annotations

import math


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` multiples of 1, 2 or 5 times a power of ten, from at most `low` to at least `high`
    (Heckbert, "Nice numbers for graph labels", Graphics Gems, 1990). Equal ends get a range around them."""
    if high <= low:
        spread = abs(low) * 0.1 or 1.0
        low, high = low - spread, high + spread
    step = _nice((high - low) / max(count - 1, 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten around `low` and `high`, both above 0; where these are fewer than four, also twice and five times
    such a power."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    if last - first >= 3:
        return [10.0**power for power in range(first, last + 1)]
    ticks = [nice * 10.0**power for power in range(first, last + 1) for nice in (1.0, 2.0, 5.0)]
    begin = max(index for index, tick in enumerate(ticks) if tick <= low * (1 + 1e-9))
    end = min(index for index, tick in enumerate(ticks) if tick >= high * (1 - 1e-9))
    return ticks[begin : max(end, begin + 1) + 1]


def format_tick(value: float, step: float) -> str:
    """The shortest text that tells ticks `step` apart: 2,000, 0.25, 1e-07."""
    if abs(value) < step * 1e-6:
        return "0"
    if abs(value) >= 1e7 or step < 1e-4:
        return f"{value:.3g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{decimals}f}"


def _nice(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    fraction = step / power
    return power * next(nice for nice in (1.0, 2.0, 5.0, 10.0) if fraction <= nice * 1.0000001)
