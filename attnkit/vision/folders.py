"""Images in folders: one folder a class, or simply all that a folder holds."""

from __future__ import annotations

import os
from pathlib import Path

from attnkit.vision.data import ImageData, ImageFiles
from attnkit.vision.images import SUFFIXES


def images_below(folder: Path) -> list[Path]:
    """The image files in a folder and all folders below it, sorted; hidden ones are left out."""
    found = []
    for root, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(root, name) for name in files if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        ]
    return sorted(found)


def read_folder(folder: Path) -> ImageData:
    """One folder a class: FOLDER/CLASS/... The name of the folder is the label.

    Raises OSError for a folder that cannot be read, ValueError for one that has no folder with images.
    """
    paths, labels = [], []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            inside = images_below(entry)
            paths += inside
            labels += [entry.name] * len(inside)
    if not paths:
        raise ValueError(f"[data] {folder}: expected a folder of images for each class, got no image in any")
    return ImageData(ImageFiles(paths), labels=labels)


def _raise(error: OSError) -> None:
    raise error
