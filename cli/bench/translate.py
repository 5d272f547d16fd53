"""`attnkit bench translate`: tokens a second, latency, memory, and the time to the first translation."""

from __future__ import annotations

import dataclasses

import click

from attnkit._tensor import PRECISIONS
from attnkit.benchmark.translate import (
    SIZES,
    Work,
    bench_translate,
    peer_problems,
    synthetic_lines,
)

from .output import against_option, decoding_options, print_decoding, write_json


@click.command("translate")
@click.argument("size", type=click.Choice(list(SIZES)), default="tiny")
@against_option("ctranslate2", help="ctranslate2: also run CTranslate2 on the same weights, in turn with ours.")
@decoding_options
@click.option("--sentences", type=click.IntRange(1), default=64, show_default=True, help="Lines that are translated.")
@click.option("--length", type=click.IntRange(1, 500), default=25, show_default=True, help="Tokens that each becomes.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Lines at once.")
def translate(
    size: str,
    against: tuple[str, ...],
    precision: tuple[str, ...],
    beam: tuple[int, ...],
    sentences: int,
    length: int,
    batch: int,
    runs: int,
    threads: int | None,
    json_file: str | None,
) -> None:
    """Translation with random weights: tokens per second, latency of single lines, memory, load time, cold start.

    SIZE is tiny (4 + 4 layers of 128) or base (6 + 6 layers of 512, as OPUS-MT models are). Each contestant is a
    process of its own; runs go in turn. Every translation has --length tokens, so that all do the same work.
    """
    for problem in peer_problems(against):
        click.echo(problem, err=True)
    lines = synthetic_lines(sentences, SIZES[size].vocabulary)
    runs_of = []
    for width in beam:
        work = Work(lines, length, batch, width)
        found = bench_translate(
            size, work, precision or PRECISIONS, against, runs, threads, lambda message: click.echo(message, err=True)
        )
        title = f"{size}, beam {width}, {sentences} lines in batches of {batch}, {length} tokens each"
        print_decoding(title, "tokens", found)
        runs_of += [{"beam": width, **dataclasses.asdict(each)} for each in found]
    if json_file:
        what = {"model": size, "sentences": sentences, "length": length, "batch": batch}
        write_json(json_file, "translate", what, runs_of)
