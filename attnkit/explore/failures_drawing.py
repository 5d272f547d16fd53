"""Wrong captions on a slide: the picture, what it should say and what was said, and where the model looked then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from attnkit.explain.drawing.canvas import QUIET, TEXT, Canvas, shorten, text_width
from attnkit.explain.drawing.chart import Box
from attnkit.explain.drawing.colours import Colour
from attnkit.explain.drawing.photos import Photo, Photos
from attnkit.explain.drawing.scale import Scale
from attnkit.explain.drawing.slide import HEIGHT, WIDTH, draw_warning
from attnkit.explain.image.picture import overlay_legend
from attnkit.explore.laboratory import Laboratory

_MARGIN, _GAP, _BELOW = 36.0, 28.0, 88.0
_ROWS, _MAPS = 3, 3  # rows of two failures; the most maps of one
_SIZE = 13.0
_WRONG: Colour = (190, 40, 40)


@dataclass(frozen=True)
class Failure:
    """Pixels, the words that were expected and those that were written; of each wrong word its place, and whether the
    model looked at the thing (None: it names none); and the map of each word."""

    pixels: npt.NDArray[np.uint8]
    expected: Sequence[str]
    written: Sequence[str]
    wrong: Sequence[tuple[int, bool | None]]
    maps: npt.NDArray[np.float32]


def draw_failures(laboratory: Laboratory, title: str, failures: Sequence[Failure], summary: Sequence[str]) -> Path:
    """The slide; below, a legend, and beside it the lines of the summary."""
    canvas = Canvas(WIDTH, HEIGHT, smooth=2)
    canvas.text(_MARGIN, 36, shorten(title, 22, WIDTH - 2 * _MARGIN), 22, TEXT)
    top = 66.0
    if laboratory.warning:
        top = draw_warning(canvas, top, laboratory.warning)
    maps = [each.maps[place] for each in failures for place, _ in each.wrong]
    scale = Scale.of(np.concatenate([part.ravel() for part in maps]) if maps else np.zeros(1, np.float32))
    bottom = HEIGHT - _BELOW
    width = (WIDTH - 2 * _MARGIN - _GAP) / 2
    height = (bottom - top) / _ROWS
    for index, failure in enumerate(failures):
        row, column = divmod(index, 2)
        _draw(canvas, Box(_MARGIN + column * (width + _GAP), top + row * height, width, height - 6), failure, scale)
    if maps:
        overlay_legend(maps, scale).draw(canvas, _MARGIN, bottom + 6)
    for index, line in enumerate(summary):
        canvas.text(_MARGIN + width + _GAP + 24, bottom + 10 + 18 * index, shorten(line, 13, width - 24), 13, TEXT)
    path = laboratory.folder / "failures.png"
    canvas.save(path)
    return path


def _draw(canvas: Canvas, box: Box, failure: Failure, scale: Scale) -> None:
    """Two lines of words, below them the picture and a map for each of the first wrong words."""
    _draw_words(canvas, box.left, box.top + 8, "is:", failure.expected, ())
    _draw_words(canvas, box.left, box.top + 25, "said:", failure.written, [place for place, _ in failure.wrong])
    image = Image.fromarray(failure.pixels)
    photos = [Photo(image.resize((240, 240), Image.Resampling.BICUBIC), "", [""])]
    for place, looked in failure.wrong[:_MAPS]:
        note = "" if looked is None else "looked at it" if looked else "elsewhere"
        photos.append(Photo.under(image, failure.maps[place], scale.top, failure.written[place], [note]))
    Photos(photos, _MAPS + 1, room=(box.width, box.height - 38)).draw(canvas, box.left, box.top + 38)


def _draw_words(canvas: Canvas, left: float, top: float, name: str, words: Sequence[str], wrong: Sequence[int]) -> None:
    canvas.text(left, top, name, _SIZE, QUIET)
    x = left + 38
    for place, word in enumerate(words):
        canvas.text(x, top, word, _SIZE, _WRONG if place in wrong else TEXT)
        if place in wrong:
            canvas.line([(x, top + 8), (x + text_width(word, _SIZE), top + 8)], _WRONG, 1.2)
        x += text_width(word + " ", _SIZE)
