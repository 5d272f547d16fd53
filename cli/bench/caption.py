"""`attnkit bench caption`: images a second, latency, memory, and the time to the first caption."""

from __future__ import annotations

import dataclasses

import click

from attnkit._tensor import PRECISIONS
from attnkit.benchmark.caption import IMAGE_SIZE, MODELS, CaptionWork, bench_caption

from .output import BEAMS, decoding_options, print_decoding, write_json


@click.command("caption")
@click.argument("model", type=click.Choice(list(MODELS)), default="show-attend-tell")
@decoding_options()
@click.option("--images", type=click.IntRange(1), default=64, show_default=True, help="Images that are captioned.")
@click.option("--length", type=click.IntRange(1, 60), default=12, show_default=True, help="Tokens of each caption.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Images at once.")
def caption(
    model: str,
    precision: tuple[str, ...],
    beam: tuple[int, ...],
    images: int,
    length: int,
    batch: int,
    runs: int,
    threads: int | None,
    json_file: str | None,
) -> None:
    """Captions with random weights: images per second, latency of one image, memory, load time, cold start.

    MODEL is show-attend-tell or show-and-tell (a residual network and an LSTM, with and without attention), or
    vit-transformer. Images are noise in the model's size; the time to read files is not counted.
    """
    runs_of = []
    for width in beam or BEAMS:
        work = CaptionWork(images, length, batch, width)
        found = bench_caption(
            model, work, precision or PRECISIONS, runs, threads, lambda message: click.echo(message, err=True)
        )
        side = f"{IMAGE_SIZE} x {IMAGE_SIZE}"
        title = f"{model}, beam {width}, {images} images of {side} in batches of {batch}, {length} tokens each"
        print_decoding(title, "images", found)
        runs_of += [{"beam": width, **dataclasses.asdict(each)} for each in found]
    if json_file:
        write_json(json_file, "caption", {"model": model, "images": images, "length": length, "batch": batch}, runs_of)
