"""Everything about a run that is neither a weight nor a moment: small, and kept as JSON inside the checkpoint."""

from __future__ import annotations

import msgspec

NEVER = -1
"""The step of the last validation of a model that is to be validated before the first step."""


class Window(msgspec.Struct):
    """Sums over the steps since the last training line of metrics.jsonl."""

    steps: int = 0
    tokens: int = 0
    loss: float = 0.0
    nll: float = 0.0
    gradient_norm: float = 0.0
    seconds: float = 0.0


class State(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a run is.

    step, tokens: updates of the weights, and target tokens they were learnt from. seconds: of all its processes.
    batches: the position in the data, as its iterator writes it. random: seed and next stream. optimizer_steps: Adam's.
    validated_step: of the last validation. bad_validations: validations since the best one. best_step, best_score:
    of the best one (larger is better, so a loss is negated). snapshots: steps whose weights are kept, oldest first.
    metrics_bytes: the length of metrics.jsonl.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    batches: dict[str, int] = {}
    random: tuple[int, int] = (0, 0)
    optimizer_steps: int = 0
    validated_step: int = 0
    bad_validations: int = 0
    best_step: int = 0
    best_score: float | None = None
    snapshots: list[int] = []
    metrics_bytes: int = 0
    window: Window = msgspec.field(default_factory=Window)
