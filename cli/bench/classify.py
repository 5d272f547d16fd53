"""`attnkit bench classify`: images a second, latency of one image, memory, and the time to the first class."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import click

from attnkit.benchmark.images import bench_images
from attnkit.benchmark.peers.checkpoint_peers import installed
from attnkit.benchmark.peers.image_peers import CLASSIFY_PEERS
from attnkit.benchmark.pictures import pictures_for
from attnkit.benchmark.random_checkpoint import CLASSIFIERS, made
from attnkit.benchmark.work import ClassifyWork

from .images import chosen_subject, image_options, shown_images, size_unless, title_of
from .output import bench_device, model_options, print_decoding, say, write_json

_COUNT, _BATCH = 64, 32


@click.command("classify")
@click.argument("size", type=click.Choice(list(CLASSIFIERS)), required=False)
@image_options(str(_COUNT), str(_BATCH))
@model_options()
def classify(
    size: str | None,
    named: str | None,
    against: tuple[str, ...],
    images: Path | None,
    count: int | None,
    batch: int | None,
    precision: tuple[str, ...],
    runs: int,
    threads: int | None,
    json_file: str | None,
) -> None:
    """Classes of images: images per second, latency of a single image, memory, load time, cold start.

    SIZE is vit-tiny, vit-small or vit-base, the default (16 pixels a patch, 224 a side, 1,000 classes): a checkpoint
    that transformers makes of random weights. Peers need that, or --model to be the checkpoint as transformers keeps
    it. What is timed begins, for all, with pixels in the size that the model reads: files and resizing are not in it,
    normalising is. The first images also go through one at a time. Each contestant is a process of its own; runs go in
    turn.
    """
    size = size_unless(named, size, "vit-base")
    work = ClassifyWork(batch or _BATCH)
    with chosen_subject(size, named, against, partial(made, progress=say)) as subject:
        peers = installed(against, CLASSIFY_PEERS, say)
        pictures = pictures_for(subject.directory, "classify", images, count or _COUNT)
        precisions = precision or ("int8", "fp32")
        found = bench_images(subject, pictures, work, precisions, peers, runs, threads, say, bench_device())
    print_decoding(f"{title_of(size, named)}, {shown_images(pictures)} in batches of {work.batch}", "images", found)
    if json_file:
        what = {"model": size or named, "images": images and str(images), "count": len(pictures.pixels)}
        write_json(json_file, "classify", {**what, "batch": work.batch}, [dataclasses.asdict(each) for each in found])
