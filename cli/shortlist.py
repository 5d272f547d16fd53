"""attnkit shortlist: which target tokens each source token can need, for faster translation."""

from __future__ import annotations

import click

from .shared import errors
from .shared.loading import load_for, located, name_options
from .shared.outputs import check_output
from .shared.run_options import FILE, language_options


@click.command("shortlist")
@click.argument("model", type=click.Path())
@click.option("--source", type=FILE, required=True, metavar="FILE", help="Text, a line a sentence; .gz too.")
@click.option(
    "--target", type=FILE, metavar="FILE", help="Its translation.", show_default="the model's own, by greedy search"
)
@language_options
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    callback=check_output,
    metavar="FILE",
    help="Where to.",
    show_default="into MODEL",
)
@click.option(
    "--per-token", type=click.IntRange(1), default=50, metavar="N", help="Of each source token.", show_default=True
)
@name_options
def command(
    model: str,
    source: str,
    target: str | None,
    source_language: str | None,
    to: str | None,
    output: str | None,
    per_token: int,
) -> None:
    """Count which words of a translation go with which words of the source.

    `attnkit translate --shortlist` then leaves all others out of account. In MODEL itself, `auto` finds the file.
    """
    from pathlib import Path

    from attnkit.data.lines import read_lines
    from attnkit.files import check_writable
    from attnkit.tasks.translate import shortlist_source as shortlists

    model = located(model)
    translator = load_for("translate", model, "fp32", None)
    path = output or str(Path(model) / shortlists.FILE)
    check_writable(path)
    sources = list(read_lines(source))
    if target is None:
        results = translator.translate(sources, source_language=source_language, to=to, beam=1)
        targets = [result.text for result in results]
    else:
        targets = list(read_lines(target))
    if len(targets) != len(sources):
        raise click.UsageError(f"expected as many lines in both files, got {len(sources)} and {len(targets)}")
    shortlist = shortlists.build(translator, sources, targets, per_token)
    if not len(shortlist.ids):
        raise ValueError(f"[shortlist] expected sentences and their translations, got none in {source}")
    shortlist.save(path)
    errors.tell(f"{path}: {len(shortlist.ids):,} pairs of tokens, {len(shortlist.always)} tokens for all")
