"""Weights as text for a page: exact where they are few, and where they are many the strongest, with words that say so.

Three forms, which weights.js reads. "16": two bytes a weight, in steps of top / 65,535. "8": one byte, the square root
of weight / top in steps of 1 / 255, so that small weights have small steps. "sparse": of each matrix, and of the means
over heads and over layers, only the strongest weights; three streams of bytes follow each other: how many weights each
row has, by how much the key of each is behind the one before it, and the weights as in "8". A number of 255 or more is
written as 255 and what is left of it, as often as need be.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.explain.weights import Weights

Bytes = npt.NDArray[np.uint8]


def packed(weights: Weights, scale: str, budget: int) -> dict[str, Any]:
    """Weights [layers, heads, queries, keys] in about `budget` bytes at most, of which base64 makes a third more.

    Returns form, top (the largest weight), data (base64), note (how exact it is, for the reader), and group: how many
    neighbouring keys one column stands for, which is 1 but for gates that are too many.
    """
    group = 1
    if scale == "gate" and weights.size > budget:  # a gate that is left out would read as closed
        group = -(-weights.size // budget)
        weights = grouped(weights, group)
    top = float(weights.max(initial=0.0)) or 1.0
    if 2 * weights.size <= budget:
        data, form = np.rint(weights * (65535.0 / top)).astype("<u2").tobytes(), "16"
        note = f"Each weight is exact to {_short(top / 131070)}."
    elif weights.size <= budget or scale == "gate":
        data, form = _codes(weights, top).tobytes(), "8"
        note = f"Each weight is exact to {_short(top / 255)}, small ones to less."
    else:
        data, note = _strongest(weights, top, budget)
        form = "sparse"
    if group > 1:
        note += f" Each column is the mean of {group} neighbours."
    return {"form": form, "top": top, "data": base64.b64encode(data).decode(), "note": note, "group": group}


def grouped(weights: Weights, group: int) -> Weights:
    """The means over each `group` neighbouring keys; the last group may be smaller."""
    starts = np.arange(0, weights.shape[-1], group)
    sizes = np.diff([*starts, weights.shape[-1]])
    return np.asarray(np.add.reduceat(weights, starts, axis=-1) / sizes, dtype=np.float32)


def _codes(weights: Weights, top: float) -> Bytes:
    return np.asarray(np.rint(np.sqrt(weights * (1.0 / top)) * 255.0), dtype=np.uint8)


def _strongest(weights: Weights, top: float, budget: int) -> tuple[bytes, str]:
    """The streams of the form "sparse", and the words about what is left out."""
    codes = _with_means(weights, top)
    rows = codes.shape[0] * codes.shape[1] * codes.shape[2]
    least, strongest, kept = _choice(codes, (budget - rows) / 2.05)
    row, key = np.nonzero(kept.reshape(rows, -1))
    before = np.concatenate([[0], key[:-1]])
    first = np.concatenate([[True], row[1:] != row[:-1]]) if len(row) else np.zeros(0, bool)
    steps = np.where(first, key, key - before[: len(key)])
    counts = np.bincount(row, minlength=rows)
    values = codes.reshape(rows, -1)[row, key]
    data = b"".join(each.tobytes() for each in (_escaped(counts), _escaped(steps), values))
    own = kept[: len(weights), : weights.shape[1]]
    shown = float(weights[own].sum(dtype=np.float64) / max(float(weights.sum(dtype=np.float64)), 1e-12))
    from_here = _short(top * ((least - 0.5) / 255.0) ** 2)
    note = (
        f"So that the page stays small it holds the {strongest} strongest keys of each row and every weight of at "
        f"least {from_here}: together {100 * shown:.1f} % of all weight. What is left out is drawn as 0. "
        f"Each weight is exact to {_short(top / 255)}, small ones to less."
    )
    return data, note


def _with_means(weights: Weights, top: float) -> Bytes:
    """Codes [layers + 1, heads + 1, queries, keys]: behind the heads their mean, behind the layers theirs."""
    layers, heads, *matrix = weights.shape
    codes = np.empty((layers + 1, heads + 1, *matrix), np.uint8)
    for layer in range(layers):
        codes[layer, :heads] = _codes(weights[layer], top)
        codes[layer, heads] = _codes(weights[layer].mean(axis=0), top)
    over_layers = weights.mean(axis=0)
    codes[layers, :heads] = _codes(over_layers, top)
    codes[layers, heads] = _codes(over_layers.mean(axis=0), top)
    return codes


def _choice(codes: Bytes, entries: float) -> tuple[int, int, npt.NDArray[np.bool_]]:
    """The least code that is kept everywhere, how many are kept in each row at least, and which those are."""
    above = np.cumsum(np.bincount(codes.reshape(-1), minlength=256)[::-1])[::-1]  # how many of each code or more
    least = max(1, int(np.searchsorted(-above, -0.85 * entries)))
    kept = codes >= least
    counts, full = kept.sum(axis=-1, dtype=np.int64), (codes > 0).sum(axis=-1, dtype=np.int64)
    strongest = 1  # and then as many in each row as there is room for
    while strongest < codes.shape[-1] and np.maximum(counts, np.minimum(strongest + 1, full)).sum() <= entries:
        strongest += 1
    for layer, of_layer in zip(codes, kept, strict=True):  # a layer at a time, for the memory that ranks take
        best = np.argpartition(layer, -strongest, axis=-1)[..., -strongest:]
        np.put_along_axis(of_layer, best, True, axis=-1)
        of_layer &= layer > 0
    return least, strongest, kept


def _escaped(numbers: npt.NDArray[np.int64]) -> Bytes:
    """Each number as a byte, or as several 255 and what is left."""
    ends = np.cumsum(numbers // 255 + 1) - 1
    stream = np.full(int(ends[-1]) + 1 if len(ends) else 0, 255, np.uint8)
    stream[ends] = numbers % 255
    return stream


def _short(number: float) -> str:
    """Two digits that count, or one of a very small number, written out: 0.0018."""
    places = -int(np.floor(np.log10(number)))
    return f"{number:.{max(2, places + 1 if places < 4 else places)}f}"
