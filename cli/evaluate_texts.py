"""`attnkit evaluate` for language models: the perplexity of a text."""

from __future__ import annotations

import time
from typing import Any

import click

from .shared.loading import load_for


def run(
    model: str,
    source: str,
    precision: Any,
    threads: int | None,
    batch_tokens: int | None,
    as_json: bool,
    others: dict[str, Any],
) -> None:
    """Prints how well the model foretells the lines of a file. others: options that were given, of which these models
    take none. Raises click.UsageError for them."""
    for name, value in others.items():
        if value is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} is for models that translate; this one foretells texts")

    from attnkit.text.lines import read_texts

    texts = read_texts((source,), "", False)
    generator = load_for("language-model", model, precision, threads)
    start = time.perf_counter()
    found = generator.perplexity(texts, **({} if batch_tokens is None else {"batch_tokens": batch_tokens}))
    seconds = time.perf_counter() - start
    if as_json:
        import msgspec

        report = dict(
            perplexity=found.perplexity, loss=found.loss, tokens=found.tokens, texts=found.texts, cut=found.cut
        )
        rates = dict(seconds=seconds, tokens_per_second=found.tokens / seconds)
        click.echo(msgspec.json.encode({**report, **rates}).decode())
        return
    cut = f", {found.cut:,} read in parts" if found.cut else ""
    click.echo(f"perplexity {found.perplexity:.2f}   loss {found.loss:.4f} a token")
    click.echo(
        f"{found.texts:,} texts{cut}, {found.tokens:,} tokens in {seconds:.1f} s: "
        f"{found.tokens / seconds:,.0f} tokens/s"
    )
