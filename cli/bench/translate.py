"""`attnkit bench translate`: words or tokens a second, latency, memory, and the time to the first translation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from attnkit._tensor import PRECISIONS
from attnkit.benchmark.peers.translate_peers import PEERS, find_peers
from attnkit.benchmark.sentences import lines_for_model, lines_of_file, synthetic_lines
from attnkit.benchmark.translate import SIZES, Work, bench_translate, own_beam

from ..shared.loading import located, name_options
from ..shared.run_options import FILE
from .output import (
    BEAMS,
    against_option,
    bench_device,
    decoding_options,
    only_on_cpu,
    print_decoding,
    write_json,
)

_SYNTHETIC, _LENGTH, _BATCH = 64, 25, 32
_ALONE = 100  # lines of a user's text that are timed one at a time
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("translate")
@click.argument("size", type=click.Choice(list(SIZES)), required=False)
@click.option("--model", "named", metavar="DIR|NAME", help="A model in place of random weights.")
@name_options
@click.option(
    "-i", "--input", type=FILE, metavar="FILE", help="Text for it, a line a sentence.  [default: random words]"
)
@against_option(*PEERS, help="Also run ctranslate2 with the same weights, or bergamot with its own folder of them.")
@click.option(
    "--bergamot-model", type=_FOLDER, metavar="DIR", help="What --model was converted from, with its config*.yml."
)
@click.option(
    "--bergamot-python",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="A Python 3.10 with Bergamot's wheel.  [default: python3.10]",
)
@decoding_options("1 and 4; of a --model its own", "all; of a --model int8 and fp32")
@click.option("--sentences", type=click.IntRange(1), help=f"Lines translated.  [default: {_SYNTHETIC}; all of --input]")
@click.option(
    "--length", type=click.IntRange(1, 500), help=f"Tokens that each becomes, without --model.  [default: {_LENGTH}]"
)
@click.option(
    "--batch", type=click.IntRange(1), help=f"Lines at once.  [default: {_BATCH}; of a --model about 1024 tokens]"
)
def translate(
    size: str | None,
    named: str | None,
    input: str | None,
    against: tuple[str, ...],
    bergamot_model: Path | None,
    bergamot_python: str | None,
    precision: tuple[str, ...],
    beam: tuple[int, ...],
    sentences: int | None,
    length: int | None,
    batch: int | None,
    runs: int,
    threads: int | None,
    json_file: str | None,
) -> None:
    """Translation: tokens or words per second, latency of single lines, memory, load time, cold start.

    SIZE is tiny (4 + 4 layers of 128) or base (6 + 6 layers of 512, as OPUS-MT models are), with random weights; every
    translation then has --length tokens, so that all do the same work. A model of your own (--model) translates as it
    was made to, and words of its sources are counted. Each contestant is a process of its own; runs go in turn.
    """
    _check(size, named, input, length, against, bergamot_model)
    only_on_cpu(against, "bergamot")
    model = None if named is None else Path(located(named))
    beams = beam or (BEAMS if model is None else (own_beam(model),))
    peers = find_peers(against, model, bergamot_model, bergamot_python, lambda problem: click.echo(problem, err=True))
    subject: str | Path
    if model is None:
        subject, unit, precision = size or "tiny", "tokens", precision or PRECISIONS
        lines = synthetic_lines(sentences or _SYNTHETIC, SIZES[subject].vocabulary)
        work = Work(lines, length or _LENGTH, batch or _BATCH, beam=1)
    else:
        subject, unit, precision = model, "words", precision or ("int8", "fp32")
        lines = lines_of_file(input, model, sentences) if input else lines_for_model(model, sentences or _SYNTHETIC)
        work = Work(lines, None, batch, beam=1, alone=_ALONE)
    runs_of = []
    for width in beams:
        work = dataclasses.replace(work, beam=width)
        found = bench_translate(
            subject,
            work,
            precision,
            peers,
            runs,
            threads,
            lambda message: click.echo(message, err=True),
            bench_device(),
        )
        name = subject if named is None else Path(named).resolve().name  # by name, the folder has none of its own
        print_decoding(f"{name}, beam {width}, {_described(work)}", unit, found)
        runs_of += [{"beam": width, **dataclasses.asdict(each)} for each in found]
    if json_file:
        write_json(json_file, "translate", {**_record(str(subject), input, work), "unit": unit}, runs_of)


def _check(
    size: str | None,
    model: str | None,
    input: str | None,
    length: int | None,
    against: tuple[str, ...],
    bergamot_model: Path | None,
) -> None:
    """Options that do not go together."""
    if model is not None and size is not None:
        raise click.UsageError(f"expected a SIZE or --model, got both {size} and {model}")
    if model is not None and length is not None:
        raise click.UsageError("--length: expected no --model, whose translations end by themselves")
    if model is None and input is not None:
        raise click.UsageError("--input: expected --model, since random weights read only random words")
    if "bergamot" in against and (model is None or bergamot_model is None):
        raise click.UsageError(
            "--against bergamot: expected --model, and --bergamot-model with the folder that it was converted from"
        )


def _described(work: Work) -> str:
    if work.length is None:
        return f"{len(work.lines)} lines of {work.words():,} words"
    return f"{len(work.lines)} lines in batches of {work.batch}, {work.length} tokens each"


def _record(model: str, input: str | None, work: Work) -> dict[str, Any]:
    record = {"model": model, "sentences": len(work.lines), "batch": work.batch}
    if work.length is None:
        return {**record, "input": input, "words": work.words()}
    return {**record, "length": work.length}
