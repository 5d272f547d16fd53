"""A translation as it is written into a file: one line, of text or of JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attnkit.data.lines import line_of

if TYPE_CHECKING:
    from attnkit.tasks.translate.result import Result
    from attnkit.text.alignment import Link


def text_lines(number: int, result: Result, nbest: int) -> bytes:
    """The text; with nbest > 1 a line for each, behind the number of the input line and the score."""
    if nbest == 1:
        return line_of(result.text)
    found = (result, *result.alternatives)
    return b"".join(line_of(str(number), f"{each.score:.6f}", each.text) for each in found)


def json_line(source: str, result: Result, links: Callable[[Result], list[Link]] | None = None) -> bytes:
    """All that is known of it but its attention. links: what gives its word alignment, where that is wanted."""
    import msgspec

    from attnkit.tasks.translate.pivot import PivotResult

    def plain(each: Result) -> dict[str, Any]:
        record: dict[str, Any]
        record = {"text": each.text, "score": each.score, "tokens": each.tokens, "truncated": each.truncated}
        if isinstance(each, PivotResult):
            record["scores"] = each.scores
        return record if links is None else {**record, "alignment": links(each)}

    record = {"source": source, **plain(result), "unknown": result.unknown}
    if isinstance(result, PivotResult):
        record["through"] = plain(result.through)
    if result.looped:
        record["looped"] = True
    if result.sentences:
        record["sentences"] = [{"source": part, **plain(each)} for part, each, _ in result.sentences]
    if result.alternatives:
        record["alternatives"] = [plain(each) for each in result.alternatives]
    return msgspec.json.encode(record) + b"\n"
