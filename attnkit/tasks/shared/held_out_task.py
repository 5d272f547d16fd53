"""Validation and test of the tasks that measure both alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from attnkit.training.metrics import Figure
from attnkit.training.task import Check

Data = TypeVar("Data")


class HeldOutTask(ABC, Generic[Data]):
    """A task that has one way to measure its model on data, `_measure`, for the validation data and for the test's."""

    _validation: Data | None
    _test: Data | None

    @abstractmethod
    def _measure(self, data: Data, check: Check, final: bool) -> tuple[float, Mapping[str, Figure]]:
        """-log p of a label, and the other figures by name. final: after training, when time matters less."""

    def validate(self, check: Check, final: bool = False) -> dict[str, Figure]:
        """validation_loss and the figures of the task."""
        if self._validation is None:
            return {}
        loss, figures = self._measure(self._validation, check, final)
        return {"validation_loss": loss, **figures}

    def test(self, check: Check) -> dict[str, Figure]:
        """test_loss and the figures of the task, their names starting with `test_`."""
        if self._test is None:
            return {}
        loss, figures = self._measure(self._test, check, final=True)
        return {"test_loss": loss, **{f"test_{name}": value for name, value in figures.items()}}
