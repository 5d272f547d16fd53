"""One call for every kind of file of a model's attention: the suffix decides."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attnkit.explain.json_file import write_maps_json
from attnkit.explain.page.html import write_maps_html
from attnkit.explain.write import check_suffix

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps


def write_maps(path: str | os.PathLike[str], maps: Sequence[AttentionMaps]) -> list[Path]:
    """Writes the attention of one or more inputs, and returns the files written. Errors: ValueError, OSError."""
    suffix, path = check_suffix(path), Path(path)
    if suffix == ".html":
        write_maps_html(path, maps)
        return [path]
    if suffix != ".json":
        raise ValueError(f"[write] expected a file ending in .html or .json, got {path.name}")
    write_maps_json(path, maps)
    return [path]
