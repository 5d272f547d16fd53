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

    seed: Annotated[
        int,
        Meta(
            ge=0,
            le=2**63 - 1,
            description="First weights, dropout, the order of the data: the same seed gives the same bytes.",
        ),
    ] = 1

    precision: Annotated[
        Literal["fp32", "bf16"],
        Meta(
            description='What matrix products read: "bf16" is faster where the CPU has it (`attnkit doctor`); weights '
            "stay float32."
        ),
    ] = "fp32"

    max_steps: Annotated[
        NotNegative, Meta(description="Stop after this many updates of the weights; 0 for no limit.")
    ] = 0

    max_epochs: Annotated[
        NotNegative, Meta(description="Stop after this many passes over the training data; 0 for no limit.")
    ] = 0

    max_minutes: Annotated[
        float,
        Meta(
            ge=0.0,
            description="Stop after this much training time, validation and earlier parts of a resumed run included; "
            "0 for no limit.",
        ),
    ] = 0.0

    batch_tokens: Annotated[
        Positive,
        Meta(
            description="A batch holds at most this many source tokens and at most this many target tokens. There is "
            "no padding."
        ),
    ] = 4096

    accumulate: Annotated[
        Positive, Meta(description="Batches whose gradients make one step, each target token weighing the same.")
    ] = 1

    exact: Annotated[
        bool,
        Meta(
            description="Cut every batch into `shards` whose gradients are summed in a fixed order: a run of several "
            "processes (MPI) then makes the same bytes as one of one."
        ),
    ] = False

    shards: Annotated[
        Positive,
        Meta(
            description="With exact, the parts of each batch, a power of two; so many processes at most. Without it "
            "there are as many as processes."
        ),
    ] = 4

    wire: Annotated[
        Literal["fp32", "bf16"],
        Meta(description='What gradients are on their way between processes; "bf16" sends half the bytes.'),
    ] = "fp32"

    shard_optimizer: Annotated[
        bool,
        Meta(
            description="Each of several processes keeps the optimizer's moments of a part of the parameters alone: "
            "less memory, and half as many bytes more between them."
        ),
    ] = False

    optimizer: Annotated[
        Literal["adam", "adamw", "muon"],
        Meta(
            description='"adamw" decouples the weight decay from the gradient. "muon" moves hidden matrices by '
            "orthogonal steps (Jordan et al., 2024) and the rest by AdamW, and often learns in fewer "
            "steps."
        ),
    ] = "adam"

    learning_rate: Annotated[
        float, Meta(gt=0.0, description="The peak, which is reached at the end of the warm-up.")
    ] = 0.001

    betas: Annotated[
        tuple[Share, Share],
        Meta(description="How slowly Adam's running means of the gradient and of its square forget."),
    ] = (0.9, 0.98)

    eps: Annotated[float, Meta(gt=0.0, description="Keeps Adam's division finite.")] = 1e-9

    weight_decay: Annotated[float, Meta(ge=0.0, description="Pulls weights towards zero.")] = 0.0

    clip_norm: Annotated[
        float,
        Meta(
            ge=0.0,
            description="Gradients of a larger norm, all parameters together, are scaled down to it; 0 leaves them "
            "alone.",
        ),
    ] = 1.0

    label_smoothing: Annotated[
        Share,
        Meta(
            description="The share of probability that the loss spreads over all other tokens (Szegedy et al., 2016)."
        ),
    ] = 0.1

    schedule: Annotated[
        Literal["inverse-sqrt", "cosine", "constant"],
        Meta(description='How the learning rate goes on after the warm-up; "cosine" ends at max_steps.'),
    ] = "inverse-sqrt"

    warmup_steps: Annotated[
        NotNegative, Meta(description="Steps in which the learning rate rises from 0 in a line.")
    ] = 1000

    min_learning_rate: Annotated[float, Meta(ge=0.0, description="The schedule falls no lower.")] = 0.0

    log_every: Annotated[
        Positive,
        Meta(description="Steps between two lines of metrics.jsonl, and of the log where there is no terminal."),
    ] = 50

    validate_every: Annotated[
        Positive,
        Meta(
            description="Epochs or steps, as validate_unit says, between two validations. Each also saves a checkpoint."
        ),
    ] = 1

    validate_unit: Annotated[Literal["epochs", "steps"], Meta(description="What validate_every counts.")] = "epochs"

    metric: Annotated[
        Literal["loss", "bleu", "accuracy", "cider"],
        Meta(
            description="What makes a validation the best: the lowest loss a token (a document, an image), or the "
            "highest BLEU, accuracy or CIDEr, where the task measures that."
        ),
    ] = "loss"

    patience: Annotated[
        NotNegative,
        Meta(description="Stop after this many validations in a row without a new best; 0 never stops early."),
    ] = 0

    save_every: Annotated[
        NotNegative, Meta(description="Steps between two checkpoints beside those at validations; 0 for none.")
    ] = 0

    final: Annotated[
        Literal["best", "last", "average"],
        Meta(
            description="The weights that become the model: those of the best validation, the last ones, or the mean "
            "of the last few."
        ),
    ] = "best"

    average_last: Annotated[
        int, Meta(ge=2, description='With final = "average", how many of the last validations\' weights are averaged.')
    ] = 5

    def __post_init__(self) -> None:
        if not (self.max_steps or self.max_epochs or self.max_minutes or self.patience):
            raise ValueError("max_steps: expected this, max_epochs, max_minutes or patience above 0, or no end is set")
        if self.schedule == "cosine" and self.max_steps <= self.warmup_steps:
            raise ValueError(
                "max_steps: expected more than warmup_steps for the cosine schedule, which ends there, "
                f"got {self.max_steps} and {self.warmup_steps}"
            )
        if self.exact and self.shards & (self.shards - 1):
            raise ValueError(f"shards: expected a power of two with exact = true, got {self.shards}")
        if self.exact and self.wire != "fp32":
            raise ValueError(f'wire: expected "fp32" with exact = true, got "{self.wire}"')
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(f"min_learning_rate: expected at most learning_rate, got {self.min_learning_rate}")
