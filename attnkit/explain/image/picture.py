"""An image's attention as a picture: a strip with one panel a word, the image under its attention."""

from __future__ import annotations

import os
from collections.abc import Sequence

from attnkit.explain.drawing.legend import Legend, Mark
from attnkit.explain.drawing.overlay import GLOW, glow, the_one
from attnkit.explain.drawing.photos import Photo, Photos
from attnkit.explain.drawing.scale import Scale
from attnkit.explain.drawing.sheet import Header, save_sheet
from attnkit.explain.image.map import ImageMap
from attnkit.explain.weights import Weights


def write_image_png(path: str | os.PathLike[str], image: ImageMap) -> None:
    """Draws the image as it is, then under the attention of each token, with the token below: SVG where the path ends
    in .svg, otherwise PNG. Needs Pillow. Raises OSError."""
    scale = Scale.of(image.weights)
    words = ["attention"] if list(image.tokens) == [image.caption] else image.labels
    photos = [Photo(image.image, "image")]
    for weights, word in zip(image.weights, words, strict=True):
        photos.append(Photo.under(image.image, weights, scale.top, word, share_notes(weights)))
    legend = overlay_legend(image.weights, scale) if words else None
    save_sheet(path, Header(image.caption, name=image.title), Photos(photos), legend, smooth=1)


def share_notes(weights: Weights) -> list[str]:
    """The largest share of a region, in words; nothing of one that has all, whose frame says it."""
    if the_one(weights) is not None:
        return []
    return [f"at most {float(weights.max()):.2f}" if weights.any() else "no attention"]


def overlay_legend(maps: Sequence[Weights] | Weights, scale: Scale, marks: Sequence[Mark] = ()) -> Legend:
    """What a glow, a line and a frame over a picture mean, as far as they are there."""
    hard = [the_one(weights) is not None for weights in maps]
    own: list[Mark] = []
    if not all(hard):
        own.append(Mark("line", (255, 255, 255), "line: half of what its brightest place has"))
    if any(hard):
        own.append(Mark("frame", GLOW, "the one region that was looked at"))
    words = "share of the attention in one region; grey: not looked at"
    return Legend(None if all(hard) else scale, words, [*own, *marks], ramp=glow)
