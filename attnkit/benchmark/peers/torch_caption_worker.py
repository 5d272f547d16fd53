"""PyTorch's side of `attnkit bench caption`, by transformers' `generate`: python -m ... FOLDER CHECKPOINT PRECISION
THREADS DEVICE [once]."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers

from attnkit.benchmark.peers.torch_checkpoint import load_checkpoint, pixel_values
from attnkit.benchmark.pictures import Pictures, Pixels, read_pictures
from attnkit.benchmark.timing import answer_bench
from attnkit.benchmark.work import CaptionWork, read_work
from attnkit.devices import CPU


class Loaded(NamedTuple):
    model: Any
    tokenizer: Any
    precision: str


def load(checkpoint: str, precision: str, device: str = CPU) -> Loaded:
    model = load_checkpoint("AutoModelForImageTextToText", checkpoint, precision, device)
    return Loaded(model, transformers.AutoTokenizer.from_pretrained(checkpoint), precision)


@torch.inference_mode()
def caption(loaded: Loaded, pictures: Pictures, images: list[Pixels], work: CaptionWork) -> list[str]:
    """The caption of each image, all of the work's length. It stands behind one token that begins it."""
    found: list[str] = []
    for begin in range(0, len(images), work.batch):
        values = pixel_values(pictures, images[begin : begin + work.batch], loaded.precision, str(loaded.model.device))
        written = loaded.model.generate(
            pixel_values=values, num_beams=work.beam, do_sample=False, min_new_tokens=work.length,
            max_new_tokens=work.length,
        )  # fmt: skip
        assert written.shape == (len(values), 1 + work.length)
        found += loaded.tokenizer.batch_decode(written[:, 1:], skip_special_tokens=True)
    return found


def main(folder: str, checkpoint: str, precision: str, threads: str, device: str, mode: str = "serve") -> None:
    torch.set_num_threads(int(threads))
    begin = time.perf_counter()
    loaded = load(checkpoint, precision, device)
    load_seconds = time.perf_counter() - begin
    work, pictures = read_work(Path(folder), CaptionWork), read_pictures(Path(folder))

    def run(images: list[Pixels]) -> None:
        assert len(caption(loaded, pictures, images, work)) == len(images)

    answer_bench(mode, run, list(pictures.pixels), load_seconds, work.alone)


if __name__ == "__main__":
    main(*sys.argv[1:])
