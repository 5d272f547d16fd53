"""The classes of a text as they are written into a file: one line, of text or of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from attnkit.data.lines import line_of

if TYPE_CHECKING:
    from attnkit.tasks.classify_text.classifier import Classification


def text_line(result: Classification) -> bytes:
    """Each class and its probability."""
    return line_of(*(field for label, probability in result.top for field in (label, f"{probability:.4f}")))


def json_line(text: str, result: Classification) -> bytes:
    """All that is known of it but what was looked at."""
    record = {
        "text": text,
        "label": result.label,
        "probability": result.probability,
        "top": [{"label": label, "probability": probability} for label, probability in result.top],
        "truncated": result.truncated,
        "unknown": result.unknown,
    }
    return msgspec.json.encode(record) + b"\n"
