"""What can go wrong in a training run, each with a message for the person who started it."""

from __future__ import annotations


class ConfigError(ValueError):
    """A configuration that makes no sense, or not the one that a run was started with."""


class RunExistsError(FileExistsError):
    """The output directory holds something already."""


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or that does not fit the model."""


class NonFiniteError(RuntimeError):
    """The loss or a gradient is NaN or infinite. The weights are those before the step."""


class Interrupted(KeyboardInterrupt):
    """A signal asked for the end of a run, which was saved; the message says how to go on."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number
