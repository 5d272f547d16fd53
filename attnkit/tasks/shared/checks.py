"""Checks that the configurations of several tasks make."""

from __future__ import annotations

from attnkit.training.config import TrainingConfig


def check_validated(training: TrainingConfig, validated: bool, data: str, metrics: tuple[str, ...]) -> None:
    """Raises ValueError, "key: what is wrong", where training asks for validation that the data does not allow, or for
    a metric that the task does not measure. data: what would make it `validated`."""
    if not validated and (training.patience or training.final == "best"):
        raise ValueError(
            f'data.validation: expected {data}, which patience and final = "best" need '
            '(or set training.patience = 0 and training.final = "last")'
        )
    if training.metric not in metrics:
        expected = " or ".join(f'"{metric}"' for metric in metrics)
        raise ValueError(f'training.metric: expected {expected}, all that is measured here, got "{training.metric}"')
