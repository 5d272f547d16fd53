"""An image's attention as a picture: a strip with one panel a word, the image under its attention."""

from __future__ import annotations

import os

from attnkit.explain.drawing.canvas import QUIET, Canvas, shorten
from attnkit.explain.drawing.pieces import labels
from attnkit.explain.image.map import ImageMap

_MARGIN, _GAP = 24.0, 12.0
_SIDE = 132.0  # of a panel
_LABEL = 24.0
_COLUMNS = 7  # panels in a row
_TITLE_SIZE, _CAPTION_SIZE, _LABEL_SIZE = 12.0, 16.0, 13.0


def write_image_png(path: str | os.PathLike[str], image: ImageMap) -> None:
    """Draws the image as it is, then under the attention of each token, with the token below. Needs Pillow.

    Raises OSError.
    """
    panels = 1 + len(image.tokens)
    columns = min(panels, _COLUMNS)
    rows = -(-panels // columns)
    header = [(text, size) for text, size in ((image.caption, _CAPTION_SIZE), (image.title, _TITLE_SIZE)) if text]
    top = _MARGIN + sum(size + 8 for _, size in header) + (6 if header else 0)
    width = max(2 * _MARGIN + columns * _SIDE + (columns - 1) * _GAP, 420.0)
    canvas = Canvas(width, top + rows * (_SIDE + _LABEL) + (rows - 1) * _GAP + _MARGIN / 2)
    y = _MARGIN
    for text, size in header:
        line = shorten(labels([text])[0], size, width - 2 * _MARGIN)
        if size == _TITLE_SIZE:
            canvas.text(_MARGIN, y + size / 2, line, size, QUIET)
        else:
            canvas.text(_MARGIN, y + size / 2, line, size)
        y += size + 8
    for panel, word in enumerate(["", *image.labels]):
        row, column = divmod(panel, columns)
        x, y = _MARGIN + column * (_SIDE + _GAP), top + row * (_SIDE + _LABEL + _GAP)
        canvas.picture(x, y, _SIDE, _SIDE, image.lit(panel - 1) if panel else image.image)
        canvas.text(x + _SIDE / 2, y + _SIDE + 13, shorten(word, _LABEL_SIZE, _SIDE), _LABEL_SIZE, anchor="mm")
    canvas.save(path)
