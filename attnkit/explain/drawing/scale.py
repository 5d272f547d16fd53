"""Which weight has the full colour."""

from __future__ import annotations

from dataclasses import dataclass

from attnkit.explain.weights import Weights

_STEPS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


@dataclass(frozen=True)
class Scale:
    """Colours run from 0 to `top`."""

    top: float = 1.0

    @staticmethod
    def of(weights: Weights) -> Scale:
        return Scale(scale_top(weights))

    def strength(self, weight: float) -> float:
        """From 0 to 1."""
        return min(max(weight / self.top, 0.0), 1.0)

    @property
    def note(self) -> str:
        """What a picture must say of a scale that does not go to 1; nothing of one that does."""
        if self.top == 1.0:
            return ""
        return f"The colours end at {self.top:g}, not at 1: no weight here is larger."


def scale_top(weights: Weights) -> float:
    """The weight that gets the full colour: 1, or where attention is spread so thin that all would be pale, the
    smallest of 0.5, 0.2, 0.1, 0.05, ... that is not below the largest weight. Such steps, and not the largest weight
    itself, keep pictures comparable; whoever draws says so (`Scale.note`)."""
    largest = float(weights.max(initial=0.0))
    if largest == 0.0:
        return 1.0
    return min((step for step in _STEPS if step >= largest), default=1.0)
