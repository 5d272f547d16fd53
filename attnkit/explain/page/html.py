"""The page of every kind of attention: no network, no library, usable by mouse, by keyboard and by ear.

It lies beside this file: page.html, page.css and the scripts, which are joined in the order of `SCRIPTS`. Here what is
drawn is put in and everything escaped. Classified documents are text that needs no script (documents.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnkit.explain.drawing.standalone import standalone_page
from attnkit.explain.image.map import ImageMap
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.explain.page.data import Input, plain
from attnkit.explain.sentence.map import AttentionMap
from attnkit.files import atomic_write

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps

SCRIPTS = (
    "tools.js", "weights.js", "colours.js", "words.js", "picture.js", "links.js", "heatmap.js", "grid.js", "bars.js",
    "page.js",
)  # fmt: skip

Path = str | os.PathLike[str]


def write_maps_html(path: Path, maps: Sequence[AttentionMaps | Input], *, title: str = "Attention") -> None:
    """Writes one page that holds every input: a list of them, menus of kinds, layers and heads, the words with their
    links, the picture, a grid of all heads and the heat map.

    It stays under 5 MB for one input of 512 tokens, 12 layers and 12 heads: see `attnkit.explain.page.packing`. Tokens
    are shown through `attnkit.explain.drawing.pieces.labels`. Raises OSError.
    """
    page = standalone_page(__package__, title, data=plain(maps), scripts=SCRIPTS, images=True)
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", "replace"))


def write_html(path: Path, maps: Sequence[AttentionMap], *, title: str = "Attention") -> None:
    """`write_maps_html` for maps between source and target tokens. Raises OSError."""
    write_maps_html(path, [_of_sentence(each) for each in maps], title=title)


def write_images_html(path: Path, images: Sequence[ImageMap], *, title: str = "Where the model looks") -> None:
    """`write_maps_html` for images with captions or classes. Raises OSError."""
    write_maps_html(path, [_of_image(each) for each in images], title=title)


def _of_sentence(map: AttentionMap) -> Input:
    kind = AttentionWeights(
        "cross",
        map.by_layer_and_head(),
        map.target_tokens,
        map.source_tokens,
        query_axis="target (written)",
        key_axis="source (read)",
    )
    return Input([kind], map.title)


def _of_image(map: ImageMap) -> Input:
    rows, columns = map.grid
    regions = [f"row {row + 1}, column {column + 1}" for row in range(rows) for column in range(columns)]
    kind = AttentionWeights(
        "cross",
        map.weights.reshape(1, 1, len(map.tokens), rows * columns),
        map.tokens if map.gates is None else map.labels,
        regions,
        query_axis="words (written)",
        key_axis="picture (read)",
        key_grid=map.grid,
    )
    return Input([kind], map.title, map.caption, map.image)
