"""Attention as a picture: a grid of cells, what is read above, what is written at the left."""

from __future__ import annotations

import os

from attnkit.explain.drawing.legend import Legend
from attnkit.explain.drawing.matrices import Matrices, Matrix
from attnkit.explain.drawing.pieces import labels
from attnkit.explain.drawing.scale import Scale
from attnkit.explain.drawing.sheet import Header, Note, save_sheet
from attnkit.explain.sentence.map import AttentionMap

SHARE = "share of a row's attention"


def write_png(
    path: str | os.PathLike[str], attention: AttentionMap, *, layer: int | None = None, head: int | None = None
) -> None:
    """Draws one layer and head, or the mean over those left as None: SVG where the path ends in .svg, otherwise PNG at
    two pixels a unit.

    Cells show their weight while they are large enough. Needs Pillow. Raises OSError, IndexError for a layer or head
    that the map does not hold.
    """
    weights = attention.view(layer, head)
    header = Header(attention.title, name=_name(attention, layer, head))
    if not weights.size:
        save_sheet(path, header, Note())
        return
    body = Matrices(
        [Matrix(weights)],
        labels(attention.target_tokens),
        labels(attention.source_tokens),
        Scale.of(weights),
        attention.target_axis,
        attention.source_axis,
    )
    save_sheet(path, header, body, Legend(body.scale, SHARE))


def _name(attention: AttentionMap, layer: int | None, head: int | None) -> str:
    """Which of its layers and heads, where there are several."""
    parts = []
    for what, index, count in (("layer", layer, attention.layers), ("head", head, attention.heads)):
        if count > 1:
            parts.append(f"mean of {count} {what}s" if index is None else f"{what} {index + 1} of {count}")
    return ", ".join(parts)
