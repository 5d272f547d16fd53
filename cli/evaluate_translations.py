"""`attnkit evaluate` for models that translate: BLEU and chrF on parallel text."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import click

from .shared import errors
from .shared.line_counter import line_counter
from .shared.loading import load_translator
from .shared.measured import report
from .shared.search_options import checked_search

if TYPE_CHECKING:
    from attnkit.tasks.translate.result import Result


def run(
    model: str,
    *,
    source: str,
    reference: str | None,
    then: str | None,
    prompt: str | None,
    metrics: tuple[str, ...],
    tokenize: Any,
    source_language: str | None,
    to: str | None,
    as_json: bool,
    search: dict[str, Any],
    precision: Any,
    shortlist: str | None,
    threads: int | None,
    batch_tokens: int | None,
    **others: Any,
) -> None:
    """Translates the lines of a file and prints how near they come to the reference."""
    if reference is None:
        raise click.UsageError("Missing option '--reference'.")

    from attnkit.metrics.text import METRICS, check_tokenization
    from attnkit.tasks.translate import shortlist_source as shortlists
    from attnkit.text.corpus import read_parallel

    metrics = metrics or METRICS
    if "bleu" in metrics:
        check_tokenization(tokenize)
    pairs = list(read_parallel(source, reference))
    if not pairs:
        raise ValueError(f"[evaluate] expected at least one line, got none in {source}")
    translator, folder = load_translator(model, then, precision, threads)
    restriction = shortlists.find(shortlist, translator, folder, errors.say)
    lines = (line for line, _ in pairs)
    with checked_search():
        stream = translator.translate_stream(
            lines,
            source_language=source_language,
            to=to,
            prompt=prompt,
            batch_tokens=batch_tokens,
            shortlist=restriction,
            **search,
        )
    start = time.perf_counter()
    results = []
    with line_counter(total=len(pairs)) as advance:
        for result in stream:
            results.append(result)
            advance()
    found = _report(results, [line for _, line in pairs], metrics, tokenize, time.perf_counter() - start)
    report(found, _as_text(found), as_json)


def _report(
    results: list[Result], references: list[str], metrics: tuple[str, ...], tokenize: Any, seconds: float
) -> dict[str, Any]:
    from attnkit.metrics import text as text_metrics

    texts = [result.text for result in results]
    report: dict[str, Any] = {}
    if "bleu" in metrics:
        report["bleu"] = dataclasses.asdict(text_metrics.bleu(texts, references, tokenize))
    if "chrf" in metrics:
        report["chrf"] = dataclasses.asdict(text_metrics.chrf(texts, references))
    return report | {
        "sentences": len(results),
        "truncated": sum(result.truncated for result in results),
        "seconds": seconds,
        "sentences_per_second": len(results) / seconds,
        "tokens_per_second": sum(len(result.tokens) for result in results) / seconds,
    }


def _as_text(report: dict[str, Any]) -> list[str]:
    lines = []
    if bleu := report.get("bleu"):
        precisions = " / ".join(f"{precision:.1f}" for precision in bleu["precisions"])
        lines.append(
            f"BLEU {bleu['score']:.2f}   {precisions}   brevity penalty {bleu['brevity_penalty']:.3f}   "
            f"length {bleu['hypothesis_length']:,} / {bleu['reference_length']:,}"
        )
        lines.append(f"     {bleu['signature']}")
    if chrf := report.get("chrf"):
        lines.append(f"chrF {chrf['score']:.2f}")
        lines.append(f"     {chrf['signature']}")
    cut = f", {report['truncated']:,} cut" if report["truncated"] else ""
    lines.append(
        f"{report['sentences']:,} sentences{cut} in {report['seconds']:.1f} s: "
        f"{report['sentences_per_second']:,.1f} sentences/s, {report['tokens_per_second']:,.0f} target tokens/s"
    )
    return lines
