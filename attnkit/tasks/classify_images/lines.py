"""The classes of an image as they are written into a file: one line, of text or of JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from attnkit.data.lines import line_of

if TYPE_CHECKING:
    from attnkit.tasks.classify_images.classifier import ImageClassification


def text_line(name: str, result: ImageClassification) -> bytes:
    """The image's name, then each class and its probability."""
    return line_of(name, *(field for label, probability in result.top for field in (label, f"{probability:.4f}")))


def json_line(name: str, result: ImageClassification) -> bytes:
    """All that is known of it but what was looked at."""
    record = {
        "image": name,
        "label": result.label,
        "probability": result.probability,
        "top": [{"label": label, "probability": probability} for label, probability in result.top],
    }
    # json, unlike msgspec, has an escape for the names that are not text.
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"
