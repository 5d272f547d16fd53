"""A vector as it is written into a file of JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from attnkit.tasks.embed.embedder import Embedding


def json_line(text: str, result: Embedding) -> bytes:
    record = {"text": text, "vector": result.vector.tolist(), "truncated": result.truncated}
    return msgspec.json.encode(record) + b"\n"
