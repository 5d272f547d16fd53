"""Attention to the regions of an image: the image under it, for every word, or for every layer and head."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from attnkit.explain.drawing.legend import Legend, Mark
from attnkit.explain.drawing.photos import QUERY, Photo, Photos
from attnkit.explain.drawing.pieces import labels
from attnkit.explain.drawing.scale import Scale
from attnkit.explain.drawing.sheet import Header
from attnkit.explain.image.picture import overlay_legend, share_notes
from attnkit.explain.maps.titles import place, title_of
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.explain.weights import Weights

if TYPE_CHECKING:
    from PIL.Image import Image

    from attnkit.explain.maps.maps import AttentionMaps

_BETA = "gates.beta"


def photo_sheet(maps: AttentionMaps, kind: AttentionWeights) -> tuple[Header, Photos, Legend]:
    """What the model made of the image as the title, and its panels.

    Where words look, a panel a word (the mean of the layers and heads; its gate in brackets, where there is one); where
    one thing looks, a panel a layer and head. Patches that look at each other are shown by what looks besides them (a
    class token), or by their mean.
    """
    name = image_header(maps, kind).name
    rows, names = _queries(kind)
    if len(names) == 1:
        return _of_one(maps, kind, rows, names[0], name)
    if kind.layers * kind.heads > 1:
        name += ", their mean"
    shares = rows.mean(axis=(0, 1))
    beside = _beside(kind, rows.mean(axis=(0, 1)))
    regions = _regions(kind, shares)
    scale = Scale.of(regions)
    words = _with_gates(maps, labels(names), kind)
    photos = [Photo(_image(maps), "image")]
    for word, weights, more in zip(words, regions, beside, strict=True):
        photos.append(Photo.under(_image(maps), weights, scale.top, word, [*share_notes(weights), *more]))
    return Header(maps.output, name=name), Photos(photos), overlay_legend(regions, scale)


def image_header(maps: AttentionMaps, kind: AttentionWeights) -> Header:
    """What the model made of the image above, the image's own name below, without the folders that it lies in."""
    return Header(maps.output, name=" · ".join(filter(None, [PurePath(maps.title).name, title_of(kind)])))


def _of_one(
    maps: AttentionMaps, kind: AttentionWeights, rows: Weights, query: str, name: str
) -> tuple[Header, Photos, Legend]:
    """A panel for each layer and head of what looks alone."""
    shares = rows[:, :, 0].reshape(kind.layers * kind.heads, -1)
    regions, beside = _regions(kind, shares), _beside(kind, shares)
    scale, patch = Scale.of(regions), _patch(kind, query)
    full = kind.layers > 1 and kind.heads > 1
    photos = [] if full else [Photo(_image(maps), "image")]
    for index, (weights, more) in enumerate(zip(regions, beside, strict=True)):
        label = "" if full else place(kind, *divmod(index, kind.heads)) or "attention"
        photos.append(Photo.under(_image(maps), weights, scale.top, label, [*share_notes(weights), *more], patch))
    marks = [] if patch is None else [Mark("frame", QUERY, "the patch that looks")]
    body = Photos(
        photos,
        kind.heads if full else 0,
        [kind.layer_name(layer) for layer in range(kind.layers)] if full else (),
        [kind.head_name(head) for head in range(kind.heads)] if full else (),
    )
    name += f": what {'region ' if patch is not None else ''}{labels([query])[0]} looks at"
    return Header(maps.output, name=name), body, overlay_legend(regions, scale, marks)


def _queries(kind: AttentionWeights) -> tuple[Weights, list[str]]:
    """The rows that are drawn, [layers, heads, n, keys], and their names."""
    if kind.query_grid is None:
        return kind.weights, list(kind.queries)
    patches = kind.query_grid[0] * kind.query_grid[1]
    others = len(kind.queries) - patches
    if others:
        return kind.weights[:, :, :others], list(kind.queries[:others])
    return kind.weights.mean(axis=2, keepdims=True), ["the mean of all patches"]


def _regions(kind: AttentionWeights, shares: Weights) -> Weights:
    """[n, rows, columns] of shares [n, keys]."""
    assert kind.key_grid is not None
    rows, columns = kind.key_grid
    return shares[:, len(kind.keys) - rows * columns :].reshape(-1, rows, columns)


def _beside(kind: AttentionWeights, shares: Weights) -> list[list[str]]:
    """What each looks at besides the image, in words."""
    assert kind.key_grid is not None
    others = len(kind.keys) - kind.key_grid[0] * kind.key_grid[1]
    if not others:
        return [[] for _ in shares]
    what = labels(kind.keys[:1])[0] if others == 1 else "words"
    return [[f"{float(row[:others].sum()):.2f} to {what}"] for row in shares]


def _patch(kind: AttentionWeights, query: str) -> tuple[int, int] | None:
    """The region (row, column) that has the name of what looks, if it is one itself."""
    assert kind.key_grid is not None
    rows, columns = kind.key_grid
    regions = kind.keys[len(kind.keys) - rows * columns :]
    return divmod(regions.index(query), columns) if query in regions else None


def _with_gates(maps: AttentionMaps, words: list[str], kind: AttentionWeights) -> list[str]:
    """A(0.98) woman(0.54): how far each word let the image in, where the model has that gate."""
    gates = maps.get(_BETA)
    if gates is None or gates.keys != kind.queries:  # of other words, where only some were chosen
        return words
    shares = gates.weights.mean(axis=(0, 1, 2)).tolist()
    return [f"{word}({share:.2f})" for word, share in zip(words, shares, strict=True)]


def _image(maps: AttentionMaps) -> Image:
    assert maps.image is not None
    return maps.image
