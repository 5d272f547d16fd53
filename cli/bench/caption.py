"""`attnkit bench caption`: images a second, latency, memory, and the time to the first caption."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from attnkit._tensor import PRECISIONS
from attnkit.benchmark.caption import MODELS, write_model
from attnkit.benchmark.images import bench_images
from attnkit.benchmark.peers.checkpoint_peers import installed
from attnkit.benchmark.peers.image_peers import CAPTION_PEERS
from attnkit.benchmark.pictures import pictures_for
from attnkit.benchmark.random_checkpoint import CAPTIONERS, made
from attnkit.benchmark.work import CaptionWork

from .images import chosen_subject, image_options, shown_images, size_unless, title_of
from .output import BEAMS, bench_device, decoding_options, print_decoding, say, write_json

# Of the models of a few million weights, and of those of hundreds.
_COUNT, _BATCH, _ALONE = (64, 16), (32, 8), (16, 4)


@click.command("caption")
@click.argument("size", type=click.Choice([*MODELS, *CAPTIONERS]), required=False)
@image_options("64; 16 of blip-base and of a --model", "32; 8 of blip-base and of a --model")
@decoding_options("1 and 4; 1 of blip-base and of a --model", "all; int8 and fp32 of blip-base and of a --model")
@click.option("--length", type=click.IntRange(1, 500), default=12, show_default=True, help="Tokens of each caption.")
def caption(
    size: str | None,
    named: str | None,
    against: tuple[str, ...],
    images: Path | None,
    count: int | None,
    batch: int | None,
    length: int,
    precision: tuple[str, ...],
    beam: tuple[int, ...],
    runs: int,
    threads: int | None,
    json_file: str | None,
) -> None:
    """Captions of one length: images per second, latency of one image, memory, load time, cold start.

    SIZE has random weights. show-attend-tell (the default) and show-and-tell (a residual network and an LSTM, with and
    without attention) and vit-transformer are attnkit's own; blip-base is a checkpoint that transformers makes, of the
    size of blip-image-captioning-base. Peers need that, or --model to be the checkpoint as transformers keeps it. What
    is timed begins, for all, with pixels in the size that the model reads: files and resizing are not in it,
    normalising is. The first images also go through one at a time. Each contestant is a process of its own; runs go in
    turn.
    """
    size = size_unless(named, size, "show-attend-tell")
    if against and size in MODELS:
        raise click.UsageError(f"--against: expected blip-base or --model CHECKPOINT, got {size}")
    large = size not in MODELS
    work = CaptionWork(length, batch or _BATCH[large], 1, _ALONE[large])
    precisions = precision or (("int8", "fp32") if large else PRECISIONS)
    runs_of = []
    with chosen_subject(size, named, against, _made) as subject:
        peers = installed(against, CAPTION_PEERS, say)
        pictures = pictures_for(subject.directory, "caption", images, count or _COUNT[large])
        for width in beam or ((1,) if large else BEAMS):
            work = dataclasses.replace(work, beam=width)
            found = bench_images(subject, pictures, work, precisions, peers, runs, threads, say, bench_device())
            shown = f"beam {width}, {shown_images(pictures)} in batches of {work.batch}, {length} tokens each"
            print_decoding(f"{title_of(size, named)}, {shown}", "images", found)
            runs_of += [{"beam": width, **dataclasses.asdict(each)} for each in found]
    if json_file:
        what = {"model": size or named, "images": images and str(images), "count": len(pictures.pixels)}
        write_json(json_file, "caption", {**what, "length": length, "batch": work.batch}, runs_of)


@contextmanager
def _made(size: str) -> Iterator[Path]:
    if size in CAPTIONERS:
        with made(size, say) as folder:
            yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        say("writing the model")
        write_model(Path(name), MODELS[size])
        yield Path(name)
