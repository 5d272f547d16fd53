"""All attention of a model in a terminal: a table of its kinds, and each kind as a grid, a list or small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attnkit.explain.drawing.pieces import labels
from attnkit.explain.drawing.scale import scale_top
from attnkit.explain.maps.weights import AttentionWeights, Grid
from attnkit.explain.sentence.map import AttentionMap
from attnkit.explain.sentence.terminal import SHADES, Painter, display_width, fit, level, render_terminal
from attnkit.explain.weights import Weights

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps

_MOST_ROWS = 24  # of layers and heads, and of small pictures: what is more is a mean, or a list


def render_kinds(maps: AttentionMaps, width: int = 80) -> str:
    """What was read and made of it, then a line for each kind: its layers, heads, queries and keys."""
    head = ["kind", "layers", "heads", "queries", "keys", "from", "to"]
    rows = [
        [each.kind, *map(str, each.weights.shape), each.query_axis or "", each.key_axis or ""] for each in maps.values()
    ]
    columns = [max(map(display_width, column)) for column in zip(head, *rows, strict=True)]
    lines = [each for each in (maps.title, maps.output and f"→ {maps.output}") if each]
    lines = [fit(labels([line])[0], width) for line in lines]
    for row in (head, *rows):
        cells = [
            cell.rjust(room) if 0 < number < 5 else cell.ljust(room)
            for number, (cell, room) in enumerate(zip(row, columns, strict=True))
        ]
        lines.append(fit("  ".join(cells).rstrip(), width))
    return "".join(f"{line}\n" for line in lines)


def render_maps(maps: AttentionMaps, colour: bool = True, width: int = 80) -> str:
    """What was read and made of it, then each kind, pieces joined to words, in lines of at most `width` columns.

    A kind of one query has a row for each layer and head, others the mean over them. Where regions of an image are
    looked at, and the rows are few, each row is a small picture. Errors: ValueError for a width under 20.
    """
    lines = [each for each in (maps.title, maps.output and f"→ {maps.output}") if each]
    return "".join(f"{fit(labels([line])[0], width)}\n" for line in lines) + "".join(
        "\n" + render_kind(each, colour, width) for each in maps.values()
    )


def render_kind(kind: AttentionWeights, colour: bool = True, width: int = 80) -> str:
    """One kind, as `render_maps` shows it."""
    kind = kind.by_word()
    rows, weights = _rows(kind)
    title = _title(kind, by_layer=rows is not kind.queries)
    if kind.key_grid is not None and len(rows) <= _MOST_ROWS and 2 * kind.key_grid[1] <= width:
        pictures = _pictures(labels(rows), weights, kind.key_grid, Painter(colour), width)
        return "".join(f"{line.rstrip()}\n" for line in [*_wrapped(title, width), *pictures])
    heading = "".join(f"{line}\n" for line in _wrapped(title, width))
    return heading + render_terminal(AttentionMap(kind.keys, rows, weights), colour, width)


def _rows(kind: AttentionWeights) -> tuple[Sequence[str], Weights]:
    """What the rows stand for, and their weights."""
    if len(kind.queries) != 1 or kind.layers * kind.heads == 1:
        return kind.queries, kind.view()
    if kind.heads > 1 and kind.layers * kind.heads > _MOST_ROWS:
        names = [kind.layer_name(layer) for layer in range(kind.layers)]
        return names, np.asarray(kind.weights[:, :, 0].mean(axis=1, dtype=np.float64), np.float32)
    names = [
        ", ".join(
            part
            for part, several in (
                (kind.layer_name(layer), kind.layers > 1 or kind.heads == 1),
                (kind.head_name(head), kind.heads > 1),
            )
            if several
        )
        for layer in range(kind.layers)
        for head in range(kind.heads)
    ]
    return names, kind.weights.reshape(len(names), -1)


def _title(kind: AttentionWeights, by_layer: bool) -> str:
    layers = kind.layer_name(0) if kind.layers == 1 else f"mean of {kind.layers} layers"
    heads = kind.head_name(0) if kind.heads == 1 else f"mean of {kind.heads} heads"
    which = f" of {labels(kind.queries)[0]}, by layer and head" if by_layer else f", {layers}, {heads}"
    if kind.layers == kind.heads == 1 and not kind.layer_names and not kind.head_names:
        which = ""
    axes = f"{kind.query_axis} to {kind.key_axis}" if kind.query_axis and kind.key_axis else ""
    return f"{kind.kind}{which}" + (f": {axes}" if axes else "")


def _pictures(names: list[str], weights: Weights, grid: Grid, paint: Painter, width: int) -> list[str]:
    """The image's regions as blocks, darker where a row looks, side by side; above each its name and its largest
    weight. All have one scale."""
    rows, columns = grid
    top = scale_top(weights)
    # A name needs some room even above a picture of two columns.
    panel = max(2 * columns, min(16, width))
    beside = max(1, (width + 3) // (panel + 3))
    lines: list[str] = []
    for begin in range(0, len(names), beside):
        chosen = range(begin, min(begin + beside, len(names)))
        squares = {row: weights[row, len(weights[row]) - rows * columns :].reshape(grid) for row in chosen}
        lines.append("   ".join(_label(names[row], float(squares[row].max()), panel) for row in chosen))
        for line in range(rows):
            parts = ["".join(_block(float(weight) / top, paint) for weight in squares[row][line]) for row in chosen]
            lines.append((" " * (panel - 2 * columns + 3)).join(parts))
        lines.append("")
    return lines[:-1]


def _label(name: str, largest: float, width: int) -> str:
    text = f"{fit(name, width - 5)} {largest:.2f}"
    return text + " " * (width - display_width(text))


def _block(strength: float, paint: Painter) -> str:
    shade = level(strength)
    return paint.block(SHADES[shade] * 2, strength) if shade else paint.quiet("· ")


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width) or [""]
