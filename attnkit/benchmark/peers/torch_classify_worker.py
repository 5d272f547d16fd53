"""PyTorch's side of `attnkit bench classify`, by transformers: python -m ... FOLDER CHECKPOINT PRECISION THREADS
DEVICE [once]."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from attnkit.benchmark.peers.torch_checkpoint import load_checkpoint, pixel_values
from attnkit.benchmark.pictures import Pictures, Pixels, read_pictures
from attnkit.benchmark.timing import answer_bench
from attnkit.benchmark.work import ClassifyWork, read_work
from attnkit.devices import CPU


def load(checkpoint: str, precision: str, device: str = CPU) -> Any:
    return load_checkpoint("AutoModelForImageClassification", checkpoint, precision, device)


@torch.inference_mode()
def classify(
    model: Any, pictures: Pictures, images: list[Pixels], batch: int, precision: str
) -> list[tuple[str, float]]:
    """The likeliest class of each image, of the shape of the pictures', and its probability."""
    found = []
    for begin in range(0, len(images), batch):
        values = pixel_values(pictures, images[begin : begin + batch], precision, str(model.device))
        best = model(pixel_values=values).logits.float().softmax(-1).max(-1)
        numbers = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        found += [(model.config.id2label[index], probability) for index, probability in numbers]
    return found


def main(folder: str, checkpoint: str, precision: str, threads: str, device: str, mode: str = "serve") -> None:
    torch.set_num_threads(int(threads))
    begin = time.perf_counter()
    model = load(checkpoint, precision, device)
    load_seconds = time.perf_counter() - begin
    work, pictures = read_work(Path(folder), ClassifyWork), read_pictures(Path(folder))

    def run(images: list[Pixels]) -> None:
        assert len(classify(model, pictures, images, work.batch, precision)) == len(images)

    answer_bench(mode, run, list(pictures.pixels), load_seconds, work.alone)


if __name__ == "__main__":
    main(*sys.argv[1:])
