"""`attnkit evaluate` for models that summarize: ROUGE."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from .shared.line_counter import line_counter
from .shared.loading import load_for
from .shared.measured import report, timed
from .shared.search_options import checked_search


def run(
    model: str,
    *,
    source: str,
    reference: str | None,
    text_key: str | None,
    summary_key: str | None,
    prompt: str | None,
    search: dict[str, Any],
    precision: Any,
    threads: int | None,
    batch_tokens: int | None,
    as_json: bool,
    **others: Any,
) -> None:
    """Summarizes documents and prints how near that comes to the summaries given."""
    from attnkit.data.lines import read_records, string_field
    from attnkit.text.corpus import read_parallel

    if reference is not None:
        pairs = list(read_parallel(source, reference))
    else:
        keys = (text_key or "text", summary_key or "summary")
        pairs = [
            (string_field(record, keys[0], where), string_field(record, keys[1], where))
            for where, record in read_records(source)
        ]
    if not pairs:
        raise ValueError(f"[evaluate] expected at least one document, got none in {source}")
    summarizer = load_for("summarize", model, precision, threads)
    given = {"prompt": prompt, "batch_tokens": batch_tokens or 4096, **search}
    with checked_search():
        summarizer.summarize_stream((), **given)
    documents, references = zip(*pairs, strict=True)
    start = time.perf_counter()
    with line_counter(total=len(pairs), what="documents") as advance:
        found = summarizer.evaluate(documents, references, done=advance, **given)
    seconds = time.perf_counter() - start
    figures = dataclasses.asdict(found) | {"seconds": seconds, "documents_per_second": found.documents / seconds}
    unread = f", {found.unread:,} longer than the model reads" if found.unread else ""
    lines = [
        f"ROUGE-1 {found.rouge1:.2f}   ROUGE-2 {found.rouge2:.2f}   ROUGE-L {found.rouge_l:.2f}   "
        f"ROUGE-Lsum {found.rouge_lsum:.2f}   {found.words:.1f} words a summary",
        timed(found.documents, f"documents{unread}", seconds),
    ]
    report(figures, lines, as_json)
