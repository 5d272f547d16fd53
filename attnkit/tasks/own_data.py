"""The labelled data that a model was validated or tested on, as the configuration of its run names it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from attnkit.tasks.config_file import read_config
from attnkit.tasks.run import CONFIG_FILE
from attnkit.text.labelled_config import LabelledDataConfig
from attnkit.vision.config import ImageDataConfig

if TYPE_CHECKING:
    from attnkit.text.labelled import LabelledTexts
    from attnkit.vision.data import ImageData

Split = Literal["validation", "test"]


def own_data(folder: Path, split: Split | None = None) -> tuple[LabelledTexts | ImageData, Split]:
    """The validation or the test data of the run in `folder`, and which it is: where not said, the test data, or else
    those of the validation. Relative paths are taken from the current directory.

    Raises FileNotFoundError where there is no run, ValueError for one without such data or of a task that has no labels
    or captions, and what reading the data raises.
    """
    file = folder / CONFIG_FILE
    config: Any = read_config(file)
    if not isinstance(config.data, LabelledDataConfig | ImageDataConfig):
        raise ValueError(f"[evaluate] {file}: expected data with labels or captions, got none")
    for each in ("test", "validation") if split is None else (split,):
        if (data := _read(config, each)) is not None:
            return data, each
    raise ValueError(f"[evaluate] {file}: expected {split or 'test or validation'} data, got none")


def _read(config: Any, split: Split) -> LabelledTexts | ImageData | None:
    seed: int = config.training.seed
    if isinstance(config.data, ImageDataConfig):
        return _images(config.data, seed, split)
    return _texts(config.data, seed, split)


def _images(data: ImageDataConfig, seed: int, split: Split) -> ImageData | None:
    return data.read("test") if split == "test" else data.read_training(seed)[1]


def _texts(data: LabelledDataConfig, seed: int, split: Split) -> LabelledTexts | None:
    data = msgspec.structs.replace(data, html=False)  # the model takes tags out by itself, and once is enough
    train = data.read("train") if split == "validation" and data.validation_share else None
    return data.read(split) if train is None else data.parts(train, seed)[1]
