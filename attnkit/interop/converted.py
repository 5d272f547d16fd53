"""What every conversion begins and ends with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from attnkit.models.registry import ModelConfig


class Converted(NamedTuple):
    """What came of a conversion. left_out: a line for each setting of the checkpoint that attnkit does not follow, and
    for tensors that no part of the model wants."""

    config: ModelConfig
    parameters: int
    left_out: list[str]


def checked_folders(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Where a model is read and where it is written. Raises FileNotFoundError where there is no folder `source`,
    FileExistsError where `directory` has content."""
    folder = Path(source)
    if not folder.is_dir():
        raise FileNotFoundError(f"[convert] {folder}: expected the folder of a model, got no folder")
    return folder, checked_target(directory)


def checked_target(directory: str | os.PathLike[str]) -> Path:
    """Where a model is written. Raises FileExistsError where it has content."""
    target = Path(directory)
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(f"[convert] {target}: expected a new or empty folder, got one that has content")
    return target
