"""Under one picture, what soft and hard attention look at for each word of its caption: a row each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from attnkit.explain.drawing.canvas import QUIET, TEXT, Canvas
from attnkit.explain.drawing.photos import Photo, Photos
from attnkit.explain.drawing.scale import Scale
from attnkit.explain.drawing.slide import HEIGHT, WIDTH, draw_warning
from attnkit.explain.image.picture import overlay_legend
from attnkit.explore.laboratory import Laboratory
from attnkit.vision import shapes

if TYPE_CHECKING:
    from attnkit.explore.soft_hard import Looked

_MARGIN, _SIDE = 36.0, 140.0


def draw_rows(
    laboratory: Laboratory, scene: shapes.Scene, looked: Mapping[str, Looked], numbers: Mapping[str, Any]
) -> Path:
    """The slide: the picture with its caption and the figures of both, their maps, and a legend."""
    canvas = Canvas(WIDTH, HEIGHT, smooth=2)
    canvas.text(_MARGIN, 40, "What soft and hard attention look at in a picture, word by word", 22, TEXT)
    top = 72.0
    if laboratory.warning:
        top = draw_warning(canvas, top, laboratory.warning)
    image = Image.fromarray(shapes.draw(scene))
    large = image.resize((2 * round(_SIDE), 2 * round(_SIDE)), Image.Resampling.BICUBIC)
    canvas.picture(_MARGIN, top, _SIDE, _SIDE, large)
    _draw_words(canvas, _MARGIN + _SIDE + 20, top, scene.caption().text, numbers)
    words = scene.caption().words
    scale = Scale.of(looked["soft"].maps)
    photos = [
        Photo.under(image, weights, scale.top, word, [] if each.gates is None else [f"β {each.gates[index]:.2f}"])
        for each in looked.values()
        for index, (word, weights) in enumerate(zip(words, each.maps, strict=True))
    ]
    body = Photos(photos, len(words), list(looked), room=(WIDTH - 2 * _MARGIN - 20, 300.0))
    body.draw(canvas, _MARGIN, top + _SIDE + 16)
    legend = overlay_legend(np.concatenate([each.maps for each in looked.values()]), scale)
    legend.draw(canvas, _MARGIN, min(top + _SIDE + 16 + body.height + 14, HEIGHT - legend.height - 8))
    path = laboratory.folder / "picture.png"
    canvas.save(path)
    return path


def _draw_words(canvas: Canvas, left: float, top: float, caption: str, numbers: Mapping[str, Any]) -> None:
    canvas.text(left, top + 14, f"“{caption}”", 18, TEXT)
    canvas.text(left, top + 40, "the right caption, which both are made to write", 13, QUIET)
    for row, (kind, figures) in enumerate(numbers.items()):
        exact, pointing = f"{figures['exact']:.1f} %", f"{figures['pointing']:.1f} %"
        words = f"{kind}: {exact} of all captions are exactly right; in these {pointing} of the words that name a thing"
        canvas.text(left, top + 74 + 22 * row, f"{words} look at it", 14, TEXT)
    canvas.text(left, top + 122, "β: how far a word lets in what it looks at, from 0 to 1", 13, QUIET)
