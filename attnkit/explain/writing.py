"""One call for every kind of file: the suffix decides."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from attnkit.explain.document.map import DocumentMap
from attnkit.explain.document.picture import write_document_png
from attnkit.explain.image.map import ImageMap
from attnkit.explain.image.picture import write_image_png
from attnkit.explain.json_file import write_documents_json, write_images_json, write_json
from attnkit.explain.page.documents import write_documents_html
from attnkit.explain.page.html import write_html, write_images_html
from attnkit.explain.sentence.map import AttentionMap
from attnkit.explain.sentence.picture import write_png
from attnkit.printable import quoted

M = TypeVar("M")
PICTURES = (".png", ".svg")
SUFFIXES = (".html", *PICTURES, ".json")


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of `path` in lower case, for callers who want to know before the work starts.

    Errors: ValueError that names the kinds of file.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"[write] expected a file ending in .html, .png, .svg or .json, got {quoted(os.fspath(path))}")
    return suffix


def write(path: str | os.PathLike[str], maps: Sequence[AttentionMap]) -> list[Path]:
    """Writes the maps as an HTML page, pictures (PNG, SVG) or JSON by the suffix of `path`, and returns the files.

    A picture holds one map: several go to numbered files, `map-1.png`, `map-2.png` and so on for `map.png`, with as
    many digits as the last needs, so that they sort. Without any map the page and the JSON are empty and no picture is
    written. Errors: ValueError for another suffix, OSError.
    """
    suffix, path = check_suffix(path), Path(path)
    if suffix in PICTURES:
        return _write_pictures(path, maps, write_png)
    (write_html if suffix == ".html" else write_json)(path, maps)
    return [path]


def write_documents(path: str | os.PathLike[str], documents: Sequence[DocumentMap]) -> list[Path]:
    """`write` for classified documents."""
    suffix, path = check_suffix(path), Path(path)
    if suffix in PICTURES:
        return _write_pictures(path, documents, write_document_png)
    (write_documents_html if suffix == ".html" else write_documents_json)(path, documents)
    return [path]


def write_images(path: str | os.PathLike[str], images: Sequence[ImageMap]) -> list[Path]:
    """`write` for images with captions or classes."""
    suffix, path = check_suffix(path), Path(path)
    if suffix in PICTURES:
        return _write_pictures(path, images, write_image_png)
    (write_images_html if suffix == ".html" else write_images_json)(path, images)
    return [path]


def _write_pictures(path: Path, maps: Sequence[M], write_one: Callable[[Path, M], None]) -> list[Path]:
    digits = len(str(len(maps)))
    paths = [path.with_name(f"{path.stem}-{number:0{digits}}{path.suffix}") for number in range(1, len(maps) + 1)]
    paths = [path] if len(maps) == 1 else paths
    for target, each in zip(paths, maps, strict=True):
        write_one(target, each)
    return paths
