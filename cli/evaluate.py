"""attnkit evaluate: BLEU and chrF of a model on parallel text, or how well a language model foretells a text."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import click

from . import evaluate_texts
from .shared import errors
from .shared.line_counter import line_counter
from .shared.loading import load_translator, name_options, task_of
from .shared.run_options import (
    FILE,
    language_options,
    precision_option,
    shortlist_option,
    then_option,
    threads_option,
)
from .shared.search_options import checked_search, chosen_search, translation_options

if TYPE_CHECKING:
    from attnkit.tasks.translate.result import Result


@click.command("evaluate")
@click.argument("model", type=click.Path())
@click.option(
    "--source", type=FILE, required=True, metavar="FILE", help="Text to translate, or to foretell, by lines; .gz too."
)
@click.option("--reference", type=FILE, metavar="FILE", help="Its translations, line by line.")
@then_option
@click.option(
    "--metric", "metrics", type=click.Choice(["bleu", "chrf"]), multiple=True, help="Repeatable.", show_default="both"
)
@click.option(
    "--tokenize",
    type=click.Choice(["13a", "none", "intl", "char", "zh", "ja-mecab", "ko-mecab", "flores200"]),
    default="13a",
    help="Of sacrebleu; none where the text is tokenised already.",
    show_default=True,
)
@language_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@translation_options()
@precision_option
@shortlist_option
@threads_option
@name_options
@click.option(
    "--batch-tokens",
    type=click.IntRange(1),
    metavar="N",
    help="Tokens at once.",
    show_default="1024, 512 with a shortlist",
)
def command(
    model: str,
    source: str,
    reference: str | None,
    then: str | None,
    metrics: tuple[str, ...],
    tokenize: Any,
    source_language: str | None,
    to: str | None,
    as_json: bool,
    precision: Any,
    shortlist: str | None,
    threads: int | None,
    batch_tokens: int | None,
    **arguments: Any,
) -> None:
    """Translate a file with MODEL, a directory or a name, and score it against a reference.

    An empty line is translated as an empty line, and counts.

    A language model writes nothing: what is scored is how well it foretells each line of --source, by its perplexity.
    It takes none of the options of a search.
    """
    search = chosen_search(arguments)
    if reference is None:
        if then is not None or task_of(model) != "language-model":
            raise click.UsageError("Missing option '--reference'.")
        others = dict(metric=metrics or None, source_language=source_language, to=to, shortlist=shortlist)
        evaluate_texts.run(model, source, precision, threads, batch_tokens, as_json, {**search, **others})
        return

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
    report = _report(results, [line for _, line in pairs], metrics, tokenize, time.perf_counter() - start)
    click.echo(_as_json(report) if as_json else _as_text(report))


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


def _as_json(report: dict[str, Any]) -> str:
    import msgspec

    return msgspec.json.encode(report).decode()


def _as_text(report: dict[str, Any]) -> str:
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
    return "\n".join(lines)
