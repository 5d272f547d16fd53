"""Wrong captions on a slide: the picture, what it should say and what was said, and where the model looked then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from attnkit.explain.drawing.canvas import QUIET, TEXT, Canvas, shorten, text_width
from attnkit.explain.drawing.colours import Colour
from attnkit.explain.drawing.photos import Photo, Photos
from attnkit.explain.drawing.scale import Scale
from attnkit.explain.drawing.slide import HEIGHT, WIDTH, draw_warning
from attnkit.explain.image.picture import overlay_legend
from attnkit.explore.laboratory import Laboratory

_MARGIN, _GAP, _COLUMNS, _MAPS = 36.0, 28.0, 2, 3
_SIZE = 13.0
_WRONG: Colour = (190, 40, 40)


@dataclass(frozen=True)
class Failure:
    """Pixels, the words that were expected and those that were written; of each wrong word its place, what would have
    been right, and whether the model looked at the thing (None: it names none); and the map of each word."""

    pixels: npt.NDArray[np.uint8]
    expected: Sequence[str]
    written: Sequence[str]
    wrong: Sequence[tuple[int, str, bool | None]]
    maps: npt.NDArray[np.float32]


def draw_failures(laboratory: Laboratory, title: str, failures: Sequence[Failure], summary: str) -> Path:
    """The slide, with a legend."""
    canvas = Canvas(WIDTH, HEIGHT, smooth=2)
    canvas.text(_MARGIN, 36, shorten(title, 22, WIDTH - 2 * _MARGIN), 22, TEXT)
    top = 62.0
    if laboratory.warning:
        top = draw_warning(canvas, top + 6, laboratory.warning)
    canvas.text(_MARGIN, top + 4, shorten(summary, 15, WIDTH - 2 * _MARGIN), 15, TEXT)
    top += 24
    maps = [each.maps[place] for each in failures for place, _, _ in each.wrong]
    scale = Scale.of(np.concatenate([part.ravel() for part in maps]) if maps else np.zeros(1, np.float32))
    legend = overlay_legend(maps, scale)
    rows = -(-len(failures) // _COLUMNS) or 1
    width = (WIDTH - 2 * _MARGIN - _GAP * (_COLUMNS - 1)) / _COLUMNS
    height = (HEIGHT - legend.height - 14 - top) / max(rows, 3)
    for index, failure in enumerate(failures):
        row, column = divmod(index, _COLUMNS)
        _draw(canvas, _MARGIN + column * (width + _GAP), top + row * height, width, height - 10, failure, scale)
    if maps:
        legend.draw(canvas, _MARGIN, HEIGHT - legend.height - 6)
    path = laboratory.folder / "failures.png"
    canvas.save(path)
    return path


def _draw(canvas: Canvas, left: float, top: float, width: float, height: float, failure: Failure, scale: Scale) -> None:
    """Two lines of words, below them the picture and a map for each of the first wrong words."""
    _draw_words(canvas, left, top + 8, "is:", failure.expected, ())
    _draw_words(canvas, left, top + 25, "said:", failure.written, [place for place, _, _ in failure.wrong])
    image = Image.fromarray(failure.pixels)
    photos = [Photo(image.resize((240, 240), Image.Resampling.BICUBIC), "picture", [""])]
    for place, right, looked in failure.wrong[:_MAPS]:
        note = f"not {right}" + ("" if looked is None else ", looked at it" if looked else ", looked elsewhere")
        photos.append(Photo.under(image, failure.maps[place], scale.top, failure.written[place], [note]))
    Photos(photos, _MAPS + 1, room=(width, height - 36)).draw(canvas, left, top + 36)


def _draw_words(canvas: Canvas, left: float, top: float, name: str, words: Sequence[str], wrong: Sequence[int]) -> None:
    canvas.text(left, top, name, _SIZE, QUIET)
    x = left + 38
    for place, word in enumerate(words):
        canvas.text(x, top, word, _SIZE, _WRONG if place in wrong else TEXT)
        if place in wrong:
            canvas.line([(x, top + 8), (x + text_width(word, _SIZE), top + 8)], _WRONG, 1.2)
        x += text_width(word + " ", _SIZE)
