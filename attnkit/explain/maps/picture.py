"""One kind of attention as a picture, by what it is: matrices of all layers and heads, one word's row, gates, channels.

The picture of an image under attention is in photos.py.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from attnkit.explain.document.map import readable
from attnkit.explain.drawing.channels import BAR, Channels
from attnkit.explain.drawing.colours import ORANGE
from attnkit.explain.drawing.legend import Legend, Mark
from attnkit.explain.drawing.matrices import Matrices, Matrix
from attnkit.explain.drawing.pieces import labels
from attnkit.explain.drawing.running_text import Passage, RunningText
from attnkit.explain.drawing.scale import Scale
from attnkit.explain.drawing.sheet import Body, Header, Note, save_sheet
from attnkit.explain.maps.photos import image_header, photo_sheet
from attnkit.explain.maps.titles import place, title_of
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.explain.weights import Weights

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps

_TEXT_FROM = 48  # keys: a single row of more is running text
_ROWS = 20  # of one matrix with a row for each layer and head
_SHARE = "share of a row's attention"
_GATE = "0: closed, 1: open"


def write_kind(path: str | os.PathLike[str], maps: AttentionMaps, kind: AttentionWeights) -> None:
    """Draws one kind of `maps`: SVG where the path ends in .svg, otherwise PNG. Needs Pillow. Raises OSError."""
    header = Header(maps.title, maps.output, title_of(kind))
    if maps.image is not None:
        header = image_header(maps, kind)
    if not kind.weights.size:
        save_sheet(path, header, Note())
    elif kind.key_grid is not None and maps.image is not None:
        header, photos, legend = photo_sheet(maps, kind)
        save_sheet(path, header, photos, legend, smooth=1)
    else:
        save_sheet(path, _named(header, kind), *_body(kind))


def _named(header: Header, kind: AttentionWeights) -> Header:
    """With the word whose row is drawn."""
    if not _is_row(kind):
        return header
    return Header(header.title, header.output, f"{header.name}: what “{labels(kind.queries)[0]}” looks at")


def _is_row(kind: AttentionWeights) -> bool:
    return len(kind.queries) == 1 and kind.scale == "share"


def _body(kind: AttentionWeights) -> tuple[Body, Legend]:
    if kind.kind == "excitation":
        return _channels(kind)
    if kind.scale == "gate":
        return _gates(kind)
    if _is_row(kind):
        return _row(kind)
    return _sentences(kind) if kind.kind == "words" else _all(kind)


# ----- Matrices


def _all(kind: AttentionWeights) -> tuple[Body, Legend]:
    scale = Scale.of(kind.weights)
    full = kind.layers > 1 and kind.heads > 1
    body = Matrices(
        _panels(kind, titled=not full),
        labels(kind.queries),
        labels(kind.keys),
        scale,
        _axis("query", kind.query_axis),
        _axis("key", kind.key_axis),
        grid=(kind.layers, kind.heads) if full else None,
        row_titles=[kind.layer_name(layer) for layer in range(kind.layers)] if full else (),
        column_titles=[kind.head_name(head) for head in range(kind.heads)] if full else (),
    )
    return body, Legend(scale, _SHARE, _marks(kind))


def _panels(kind: AttentionWeights, titled: bool) -> list[Matrix]:
    return [
        Matrix(kind.weights[layer, head], place(kind, layer, head) if titled else "", kind.centres)
        for layer in range(kind.layers)
        for head in range(kind.heads)
    ]


def _marks(kind: AttentionWeights) -> list[Mark]:
    if kind.centres is None:
        return []
    sampled = float(kind.weights.max(axis=-1).min()) > 0.995
    return [Mark("wedge", ORANGE, "the position that was read" if sampled else "the centre of the window")]


def _axis(role: str, name: str) -> str:
    return f"{role}: {name}" if name else role


# ----- One word


def _row(kind: AttentionWeights) -> tuple[Body, Legend]:
    """A row for each layer and head, and their mean; of a long text the text itself."""
    rows = kind.weights[:, :, 0].reshape(-1, len(kind.keys))
    names = [place(kind, layer, head) for layer in range(kind.layers) for head in range(kind.heads)]
    separators: list[int] = []
    if len(rows) > 1:
        separators = [1 + layer * kind.heads for layer in range(kind.layers if kind.heads > 1 else 1)]
        rows, names = np.concatenate([rows.mean(axis=0, keepdims=True), rows]), ["mean", *names]
    if len(kind.keys) > _TEXT_FROM:
        return _running_text(kind, rows, names)
    if len(rows) > _ROWS and kind.heads > 1:
        return _by_layer(kind)
    scale = Scale.of(rows)
    names = names if len(rows) > 1 else labels(kind.queries)
    centres = None if kind.centres is None else np.repeat(kind.centres, len(rows))
    axes = ("head" if len(rows) > 1 else "query", _axis("key", kind.key_axis))
    body = Matrices([Matrix(rows, centres=centres)], names, labels(kind.keys), scale, *axes, separators=separators)
    return body, Legend(scale, _SHARE, _marks(kind))


def _by_layer(kind: AttentionWeights) -> tuple[Body, Legend]:
    """A matrix for each layer, of many: what each of its heads looks at, and their mean."""
    scale = Scale.of(kind.weights)
    panels = [Matrix(weights[:, 0], kind.layer_name(layer)) for layer, weights in enumerate(kind.weights)]
    heads = [kind.head_name(head) for head in range(kind.heads)]
    body = Matrices(panels, heads, labels(kind.keys), scale, "head", _axis("key", kind.key_axis), mean="mean")
    return body, Legend(scale, _SHARE)


def _running_text(kind: AttentionWeights, rows: Weights, names: list[str]) -> tuple[Body, Legend]:
    scale, words = Scale.of(rows), readable(kind.keys)
    several = len(rows) > 1
    passages = [
        Passage(words, np.clip(row / scale.top, 0.0, 1.0).tolist(), name=name if several else "")
        for row, name in zip(rows, names, strict=True)
    ]
    return RunningText(passages), Legend(scale, _SHARE)


def _sentences(kind: AttentionWeights) -> tuple[Body, Legend]:
    """The words of each sentence, which looks at no others, as text."""
    rows = kind.weights.mean(axis=(0, 1))
    scale, passages = Scale.of(rows), []
    for name, row in zip(labels(kind.queries), rows, strict=True):
        own = np.flatnonzero(row)
        words, shares = readable([kind.keys[index] for index in own.tolist()]), np.clip(row[own] / scale.top, 0.0, 1.0)
        passages.append(Passage(words, shares.tolist(), name=name))
    return RunningText(passages), Legend(scale, "share of a sentence's attention")


# ----- Gates


def _gates(kind: AttentionWeights) -> tuple[Body, Legend]:
    """Units down, words across, and the mean of all units below."""
    weights, units, words = kind.weights, kind.queries, kind.keys
    axes = (kind.query_axis, kind.key_axis)
    if "unit" in kind.key_axis and "unit" not in kind.query_axis:
        weights, units, words, axes = weights.swapaxes(2, 3), words, units, (axes[1], axes[0])
    several = len(units) > 1
    turned = AttentionWeights(
        kind.kind, weights, units, words, "gate", layer_names=kind.layer_names, head_names=kind.head_names
    )
    body = Matrices(
        _panels(turned, titled=True),
        labels(units),
        labels(words),
        Scale(),
        axes[0] if several else "",
        axes[1],
        mean="mean" if several else "",
        stretch=True,
    )
    return body, Legend(Scale(), f"gate, {_GATE}")


def _channels(kind: AttentionWeights) -> tuple[Body, Legend]:
    sizes = kind.sizes or [len(kind.keys)] * kind.layers
    gates = kind.weights.mean(axis=(1, 2), dtype=np.float64)
    layers = [(kind.layer_name(layer), gates[layer, :size].tolist()) for layer, size in enumerate(sizes)]
    return Channels(layers), Legend(None, marks=[Mark("box", BAR, f"gate of a channel, {_GATE}")])
