"""The sections of a training configuration that several tasks share, every key explained where it is defined.

Each task's whole configuration is in `<task>_config.py`, and `attnkit.tasks.registry` lists the tasks. Decoding is
strict: an unknown key, a wrong type or an impossible value is an error that names the key (see
`attnkit.tasks.config_file`).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0.0, lt=1.0)]


class TrainingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[training]: how the weights are found."""

    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 1
    """First weights, dropout, the order of the data: the same seed gives the same bytes."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """What matrix products read: "bf16" is faster where the CPU has it (`attnkit doctor`); weights stay float32."""

    max_steps: NotNegative = 0
    """Stop after this many updates of the weights; 0 for no limit."""

    max_epochs: NotNegative = 0
    """Stop after this many passes over the training data; 0 for no limit."""

    max_minutes: Annotated[float, Meta(ge=0.0)] = 0.0
    """Stop after this much training time, validation and earlier parts of a resumed run included; 0 for no limit."""

    batch_tokens: Positive = 4096
    """A batch holds at most this many source tokens and at most this many target tokens. There is no padding."""

    accumulate: Positive = 1
    """Batches whose gradients make one step, each target token weighing the same."""

    optimizer: Literal["adam", "adamw", "muon"] = "adam"
    """"adamw" decouples the weight decay from the gradient. "muon" moves hidden matrices by orthogonal steps (Jordan et
    al., 2024) and the rest by AdamW, and often learns in fewer steps."""

    learning_rate: Annotated[float, Meta(gt=0.0)] = 0.001
    """The peak, which is reached at the end of the warm-up."""

    betas: tuple[Share, Share] = (0.9, 0.98)
    """How slowly Adam's running means of the gradient and of its square forget."""

    eps: Annotated[float, Meta(gt=0.0)] = 1e-9
    """Keeps Adam's division finite."""

    weight_decay: Annotated[float, Meta(ge=0.0)] = 0.0
    """Pulls weights towards zero."""

    clip_norm: Annotated[float, Meta(ge=0.0)] = 1.0
    """Gradients of a larger norm, all parameters together, are scaled down to it; 0 leaves them alone."""

    label_smoothing: Share = 0.1
    """The share of probability that the loss spreads over all other tokens (Szegedy et al., 2016)."""

    schedule: Literal["inverse-sqrt", "cosine", "constant"] = "inverse-sqrt"
    """How the learning rate goes on after the warm-up; "cosine" ends at max_steps."""

    warmup_steps: NotNegative = 1000
    """Steps in which the learning rate rises from 0 in a line."""

    min_learning_rate: Annotated[float, Meta(ge=0.0)] = 0.0
    """The schedule falls no lower."""

    log_every: Positive = 50
    """Steps between two lines of metrics.jsonl, and of the log where there is no terminal."""

    validate_every: Positive = 1
    """Epochs or steps, as validate_unit says, between two validations. Each also saves a checkpoint."""

    validate_unit: Literal["epochs", "steps"] = "epochs"
    """What validate_every counts."""

    metric: Literal["loss", "bleu", "accuracy", "cider"] = "loss"
    """What makes a validation the best: the lowest loss a token (a document, an image), or the highest BLEU, accuracy
    or CIDEr, where the task measures that."""

    patience: NotNegative = 0
    """Stop after this many validations in a row without a new best; 0 never stops early."""

    save_every: NotNegative = 0
    """Steps between two checkpoints beside those at validations; 0 for none."""

    final: Literal["best", "last", "average"] = "best"
    """The weights that become the model: those of the best validation, the last ones, or the mean of the last few."""

    average_last: Annotated[int, Meta(ge=2)] = 5
    """With final = "average", how many of the last validations' weights are averaged."""

    def __post_init__(self) -> None:
        if not (self.max_steps or self.max_epochs or self.max_minutes or self.patience):
            raise ValueError("max_steps: expected this, max_epochs, max_minutes or patience above 0, or no end is set")
        if self.schedule == "cosine" and self.max_steps <= self.warmup_steps:
            raise ValueError(
                "max_steps: expected more than warmup_steps for the cosine schedule, which ends there, "
                f"got {self.max_steps} and {self.warmup_steps}"
            )
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(f"min_learning_rate: expected at most learning_rate, got {self.min_learning_rate}")
