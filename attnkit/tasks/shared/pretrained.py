"""A model that is trained on, or of which a part is: `[pretrained]`.

A run keeps in its folder all but the weights, so that it goes on, and ends, without the directory that it began with.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from attnkit.files import atomic_folder
from attnkit.models import parts
from attnkit.nn.module import Module
from attnkit.tasks.shared.directory import PRETRAINED_FOLDER, ModelDirectory
from attnkit.tasks.shared.pretrained_config import PretrainedModelConfig, PretrainedTextConfig
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.training.errors import ConfigError
from attnkit.weights import CONFIG_FILE

Config = TypeVar("Config")


class PretrainedModel:
    """The model directory of `[pretrained]`."""

    reads = "text"
    """What the model must read."""

    def __init__(self, asked: PretrainedModelConfig, folder: Path, resumed: bool, tasks: Mapping[str, str]) -> None:
        """A new run reads the model directory, a resumed one what `keep` left in `folder`. tasks: of which it may be,
        and what a model of each is called.

        Raises FileNotFoundError or ValueError for a directory that is none, ConfigError for one of another task.
        """
        self._asked_rates = {name: getattr(asked, name) for name in asked.RATES}
        place = folder / PRETRAINED_FOLDER if resumed else located(asked.model)
        directory = ModelDirectory.read(place)
        if directory.task not in tasks:
            raise ConfigError(
                f"pretrained.model: expected {' or '.join(tasks.values())}, got one of the task {directory.task!r} in "
                f"{place}"
            )
        if directory.reads != self.reads:
            raise ConfigError(
                f"pretrained.model: expected a model that reads {self.reads}, got one of {directory.reads} in {place} "
                "(training.batch_images says that the data are images)"
            )
        self._directory = directory

    def with_dropout(self, model: Any, rates: Mapping[str, float]) -> Any:
        """The configuration of a model with the rates of dropout that are asked for, else these, else its own. Raises
        ConfigError for one that the model does not have."""
        asked = {name: rate for name, rate in self._asked_rates.items() if rate is not None}
        changes = {**rates, **asked}
        if wrong := [name for name in changes if not hasattr(model, name)]:
            raise ConfigError(f"pretrained.{wrong[0]}: expected none, which this model does not have")
        return msgspec.structs.replace(model, **changes)

    def keep(self, folder: Path) -> None:
        """Copies what a resumed run needs into the run's folder, wholly or not at all."""
        kept = folder / PRETRAINED_FOLDER
        if kept.exists():
            shutil.rmtree(kept)  # of a run that was killed before its first checkpoint
        with atomic_folder(kept) as new:
            self._copy(new)

    def _copy(self, to: Path) -> None:
        """Writes what a resumed run needs into a new folder."""
        shutil.copyfile(self._directory.folder / CONFIG_FILE, to / CONFIG_FILE)


class PretrainedText(PretrainedModel):
    """That of a task that reads text. tokenizers: its own."""

    def __init__(self, asked: PretrainedTextConfig, folder: Path, resumed: bool, tasks: Mapping[str, str]) -> None:
        super().__init__(asked, folder, resumed, tasks)
        self.tokenizers: TokenizerPair = self._directory.tokenizers()

    def _copy(self, to: Path) -> None:
        self.tokenizers.save(to)
        super()._copy(to)


def set_parts(model: Module, asked: PretrainedModelConfig) -> tuple[int, dict[str, float]]:
    """Freezes what is to be frozen; returns how many numbers that are, and the factors of the learning rates by the
    names of parameters. Raises ConfigError for a wrong pattern, or where nothing is left to learn."""
    with _naming("pretrained.freeze"):
        frozen = parts.freeze(model, asked.freeze)
    with _naming("pretrained.learning_rates"):
        factors = parts.factors(model, asked.learning_rates)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError("pretrained.freeze: expected something left to learn, got all of the model")
    return frozen, factors


def description(asked: PretrainedModelConfig, frozen: int) -> str:
    """For the log."""
    return f"pretrained: {asked.model}" + (f"; {frozen:,} parameters stay as they are" if frozen else "")


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """A ValueError becomes one of the configuration, about this key."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from None


def located(model: str) -> Path:
    """The directory of the model that a key of `[pretrained]` names, which is fetched if it must be."""
    from attnkit.hub.resolve import resolve

    return resolve(model)
