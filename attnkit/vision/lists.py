"""Images listed in a file: JSON lines or CSV with a file name, a caption or several, and perhaps a label."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnkit.data.lines import read_lines, read_records
from attnkit.printable import quoted
from attnkit.vision.data import ImageData, ImageFiles


@dataclass(frozen=True, slots=True)
class Keys:
    """What the file calls the image, its caption and its label."""

    image: str = "image"
    caption: str = "caption"
    label: str = "label"


def read_list(path: Path, images: Path, keys: Keys, outside: bool = False) -> ImageData:
    """The images that a file lists, which lie in the folder `images`; ".csv" and ".txt" are CSV with a line of names
    first, all else is JSON lines. ".gz" works.

    Rows of the same image become one with several captions; in JSON lines a caption may also be a list of them. A file
    has captions for all of its images or for none, and so with labels. A list may be anybody's: one that names a file
    outside `images` is refused but with `outside`.

    Raises OSError for a file that cannot be read, ValueError, naming file and line, for one that is none.
    """
    rows: Iterator[tuple[str, Mapping[str, Any]]]
    rows = _csv_rows(path) if path.name.removesuffix(".gz").endswith((".csv", ".txt")) else read_records(path)
    captions: dict[str, list[str]] = {}
    labels: dict[str, str] = {}
    for where, row in rows:
        name = _text(row, keys.image, where)
        if not outside and not _is_inside(images, name):
            raise ValueError(
                f"{where}: expected images in the folder {images}, got {quoted(name)}; data.outside_images = true "
                "allows others, for a list that you trust"
            )
        captions.setdefault(name, []).extend(_captions(row, keys.caption, where))
        if keys.label in row:
            label = _text(row, keys.label, where)
            if labels.setdefault(name, label) != label:
                raise ValueError(
                    f"{where}: expected one label an image, got {quoted(labels[name])} and {quoted(label)}"
                )
    if not captions:
        raise ValueError(f"[data] {path}: expected images, got none")
    # Normalised, as it was checked: behind a link ".." would lead elsewhere.
    files = [images / (name if outside else os.path.normpath(name)) for name in captions]
    _check_files(files, path)
    has_captions = _all_or_none(path, "caption", [name for name, lines in captions.items() if lines], captions)
    has_labels = _all_or_none(path, "label", list(labels), captions)
    return ImageData(
        ImageFiles(files),
        labels=[labels[name] for name in captions] if has_labels else None,
        captions=[tuple(lines) for lines in captions.values()] if has_captions else None,
    )


def _is_inside(folder: Path, name: str) -> bool:
    """Whether a name stays in the folder, absolute or not. Links are followed: who made the folder made them."""
    base = os.path.abspath(folder)
    return Path(os.path.normpath(os.path.join(base, name))).is_relative_to(base)


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines = (line + "\n" for line in read_lines(str(path)))  # a quoted caption may go over several
    try:
        for number, row in enumerate(csv.DictReader(lines, strict=True), start=2):
            where = f"[data] {path}, row {number}"
            if None in row or None in row.values():
                raise ValueError(f"{where}: expected as many values as the first line has names")
            yield where, row
    except csv.Error as error:
        raise ValueError(f"[data] {path}: expected CSV: {error}") from None


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    if key not in row:
        raise ValueError(f"{where}: expected the key {key!r}, got {', '.join(map(quoted, [*row][:20])) or 'none'}")
    value = row[key]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: expected text under {key!r}, got {quoted(value)}")
    return value.strip()


def _captions(row: Mapping[str, Any], key: str, where: str) -> list[str]:
    if key not in row:
        return []
    value = row[key]
    lines = value if isinstance(value, list) else [value]
    if not lines or not all(isinstance(line, str) and line.strip() for line in lines):
        raise ValueError(f"{where}: expected a caption or a list of them under {key!r}, got {quoted(value)}")
    return [" ".join(line.split()) for line in lines]


def _check_files(files: list[Path], path: Path) -> None:
    """A file that is not there should show before training starts; whether it is whole shows when it is read."""
    missing = [file for file in files if not file.is_file()]
    if missing:
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise ValueError(f"[data] {path}: expected the images it names, but {missing[0]}{more} cannot be found")


def _all_or_none(path: Path, what: str, having: list[str], names: Mapping[str, Any]) -> bool:
    if having and len(having) < len(names):
        lacking = next(name for name in names if name not in set(having))
        raise ValueError(f"[data] {path}: expected a {what} for each image or for none, got none for {lacking}")
    return bool(having)
