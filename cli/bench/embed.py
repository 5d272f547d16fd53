"""`attnkit bench embed`: texts a second, latency of one text, memory, and the time to the first vector."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import click

from attnkit.benchmark.embed import bench_embed
from attnkit.benchmark.peers.embed_peers import PEERS, find_peers
from attnkit.benchmark.sentences import mixed_texts
from attnkit.benchmark.work import EmbedWork

from ..shared.loading import name_options
from ..shared.run_options import FILE
from .output import against_option, bench_device, model_options, only_on_cpu, print_decoding, say, write_json
from .subject import MODEL_HELP, model_folder

_TEXTS = 1000


@click.command("embed")
@click.option("--model", "named", required=True, metavar="DIR|NAME", help=MODEL_HELP)
@name_options
@click.option(
    "--texts", "file", type=FILE, metavar="FILE", help="Texts for it, one a line.  [default: of the built-in corpus]"
)
@click.option("--count", type=click.IntRange(1), help=f"Texts read.  [default: {_TEXTS}; all of --texts]")
@against_option(*PEERS, help="Also run the checkpoint by torch (transformers) or onnxruntime.")
@model_options()
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Texts at once.")
def embed(
    named: str,
    file: str | None,
    count: int | None,
    against: tuple[str, ...],
    precision: tuple[str, ...],
    batch: int,
    runs: int,
    threads: int | None,
    json_file: str | None,
) -> None:
    """Vectors of texts: texts per second, latency of a single text, memory, load time, cold start.

    Peers need --model to be the checkpoint as transformers keeps it; attnkit then converts it, before the clock runs.
    Texts go through in batches of about one length, the first hundred also one at a time. Each contestant is a process
    of its own; runs go in turn.
    """
    only_on_cpu(against, "onnxruntime")
    model = model_folder(named, against)
    peers = find_peers(against, model, say)
    texts = _read(file, count) if file else mixed_texts(count or _TEXTS)
    work = EmbedWork(texts, batch)
    found = bench_embed(model, work, precision or ("int8", "fp32"), peers, runs, threads, say, bench_device())
    name = Path(named).resolve().name
    print_decoding(f"{name}, {len(texts)} texts of {work.words():,} words in batches of {batch}", "texts", found)
    if json_file:
        what = {"model": named, "texts": file, "count": len(texts), "words": work.words(), "batch": batch}
        write_json(json_file, "embed", what, [dataclasses.asdict(each) for each in found])


def _read(file: str, count: int | None) -> list[str]:
    from attnkit.data.lines import read_lines

    texts = list(islice((line for line in read_lines(file) if line.strip()), count))
    if not texts:
        raise ValueError(f"[bench] {file}: expected text, got none")
    return texts
