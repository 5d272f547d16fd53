"""`attnkit evaluate` for language models: the perplexity of a text."""

from __future__ import annotations

import time
from typing import Any

from .shared.line_counter import line_counter
from .shared.loading import load_for
from .shared.measured import report


def run(
    model: str,
    *,
    source: str,
    precision: Any,
    threads: int | None,
    batch_tokens: int | None,
    as_json: bool,
    **others: Any,
) -> None:
    """Prints how well the model foretells the lines of a file."""
    from attnkit.text.lines import read_texts

    texts = read_texts((source,), "", False)
    generator = load_for("language-model", model, precision, threads)
    start = time.perf_counter()
    with line_counter(what="tokens") as advance:
        found = generator.perplexity(texts, batch_tokens=batch_tokens or 4096, done=advance)
    seconds = time.perf_counter() - start
    figures = dict(perplexity=found.perplexity, loss=found.loss, tokens=found.tokens, texts=found.texts, cut=found.cut)
    rates = dict(seconds=seconds, tokens_per_second=found.tokens / seconds)
    cut = f", {found.cut:,} read in parts" if found.cut else ""
    lines = [
        f"perplexity {found.perplexity:.2f}   loss {found.loss:.4f} a token",
        f"{found.texts:,} texts{cut}, {found.tokens:,} tokens in {seconds:.1f} s: "
        f"{found.tokens / seconds:,.0f} tokens/s",
    ]
    report(figures | rates, lines, as_json)
