"""What can go wrong in a training run, each with a message for the person who started it."""

from __future__ import annotations

import signal


class ConfigError(ValueError):
    """A configuration that makes no sense, or not the one that a run was started with."""


class RunExistsError(FileExistsError):
    """The output directory holds something already."""


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or that does not fit the model."""


class NonFiniteError(FloatingPointError):
    """The loss or a gradient is NaN or infinite. The weights are those before the step."""


class Interrupted(Exception):
    """A signal asked for the end; the run is saved and can be resumed."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number
