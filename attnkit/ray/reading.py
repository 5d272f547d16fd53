"""Files as datasets: lines of text with the file and the number of each, and images by their names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from attnkit.ray import storage
from attnkit.ray.library import library
from attnkit.ray.parts import Part, cut_file, texts_of

Files = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

_LINES = 10_000  # of a block
_TABLES = {".parquet": "read_parquet", ".jsonl": "read_json", ".json": "read_json", ".csv": "read_csv"}


def read_lines(files: Files, *, key: str | None = None) -> Any:
    """A `ray.data.Dataset` of text files: columns `file`, `line` (from 1) and `text`, an empty line too.

    files: names, patterns and folders, of a file system that all nodes share, or addresses (s3://bucket/*.txt); a name
    in .gz is unpacked. Blocks are of 10,000 lines: no file is held in memory. key: the files are JSON lines, each text
    under this key. Raises ValueError where there are no files, OSError for one that cannot be read.
    """
    ray = library()
    parts = [part for file in _found(files) for part in cut_file(file, "", "", _LINES).parts]
    items = [{"part": msgspec.json.encode(part).decode()} for part in parts]
    return ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        _Lines(key), batch_size=1, batch_format="pyarrow"
    )


def read_images(files: Files) -> Any:
    """A `ray.data.Dataset` of the names of images: the column `image`. They are read where they are captioned or
    classified. files: as of `read_lines`; of folders and patterns what has the suffix of an image."""
    from attnkit.vision.images import SUFFIXES

    found = _found(files)
    images = [path for path, name in found if Path(name).suffix.lower() in SUFFIXES]
    if not images:
        raise ValueError(f"[ray] expected images, got none among {len(found)} files")
    return library().data.from_items([{"image": path} for path in images])


def read(files: Files, images: bool) -> Any:
    """A dataset of Parquet, CSV or JSON lines by the suffix, else `read_lines` or `read_images`."""
    paths = [os.fspath(files)] if isinstance(files, str | os.PathLike) else [os.fspath(file) for file in files]
    suffixes = {Path(path.removesuffix(".gz")).suffix.lower() for path in paths}
    if len(suffixes) == 1 and (reader := _TABLES.get(next(iter(suffixes)))) is not None:
        data = library().data
        found = [path for path, _ in _found(paths)]
        return data.read_json(found, lines=True) if reader == "read_json" else getattr(data, reader)(found)
    return read_images(paths) if images else read_lines(paths)


class _Lines:
    """For `map_batches`: parts become their lines."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, batch: Any) -> Any:
        import pyarrow

        [part] = (msgspec.json.decode(each.as_py(), type=Part) for each in batch.column("part"))
        texts = list(texts_of(part, self._key))
        columns = {
            "file": pyarrow.array([part.source] * len(texts), pyarrow.string()),
            "line": pyarrow.array(range(part.first, part.first + len(texts)), pyarrow.int64()),
            "text": pyarrow.array(texts, pyarrow.string()),
        }
        return pyarrow.table(columns)


def _found(files: Files) -> list[storage.Found]:
    patterns = [files] if isinstance(files, str | os.PathLike) else list(files)
    found = [file for pattern in patterns for file in storage.found(os.fspath(pattern))]
    return [file if storage.is_remote(file.path) else file._replace(path=os.path.abspath(file.path)) for file in found]
