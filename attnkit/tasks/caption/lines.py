"""A caption as it is written into a file: one line, of text or of JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attnkit.data.lines import line_of

if TYPE_CHECKING:
    from attnkit.tasks.caption.captioner import Caption


def text_lines(name: str, result: Caption, nbest: int) -> bytes:
    """The image's name and the caption; with nbest > 1 a line for each, the score between them."""
    if nbest == 1:
        return line_of(name, result.text)
    found = (result, *result.alternatives)
    return b"".join(line_of(name, f"{each.score:.6f}", each.text) for each in found)


def json_line(name: str, result: Caption) -> bytes:
    """All that is known of it but its attention."""

    def plain(each: Caption) -> dict[str, Any]:
        record = {"text": each.text, "score": each.score, "tokens": each.tokens, "truncated": each.truncated}
        return record if each.gates is None else {**record, "gates": [round(float(gate), 7) for gate in each.gates]}

    record = {"image": name, **plain(result)}
    if result.alternatives:
        record["alternatives"] = [plain(each) for each in result.alternatives]
    # json, unlike msgspec, has an escape for the names that are not text.
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"
