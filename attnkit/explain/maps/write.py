"""One call for every kind of file of a model's attention: the suffix decides."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attnkit.explain.json_file import write_maps_json
from attnkit.explain.writing import PICTURES, check_suffix

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps


def write_maps(path: str | os.PathLike[str], maps: Sequence[AttentionMaps]) -> list[Path]:
    """Writes the attention of one or more inputs, and returns the files written.

    A picture (.png, .svg) holds one kind: several go to files with their name, `it-encoder.png` and `it-cross.png` for
    `it.png`, and several inputs are numbered before it, `it-1-encoder.png`. Errors: ValueError, OSError.
    """
    suffix, path = check_suffix(path), Path(path)
    if suffix in PICTURES:
        return _write_pictures(path, maps)
    if suffix == ".html":
        from attnkit.explain.page.html import write_maps_html

        write_maps_html(path, maps)
        return [path]
    write_maps_json(path, maps)
    return [path]


def _write_pictures(path: Path, maps: Sequence[AttentionMaps]) -> list[Path]:
    from attnkit.explain.maps.picture import write_kind

    written = []
    digits = len(str(len(maps)))
    for number, each in enumerate(maps, start=1):
        for kind in each.values():
            parts = [path.stem, f"{number:0{digits}}" if len(maps) > 1 else "", kind.kind if len(each) > 1 else ""]
            written.append(path.with_name("-".join(filter(None, parts)) + path.suffix))
            write_kind(written[-1], each, kind)
    return written
