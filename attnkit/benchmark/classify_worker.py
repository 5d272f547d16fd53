"""attnkit's side of `attnkit bench classify`: python -m ... FOLDER MODEL PRECISION THREADS DEVICE [once]."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import attnkit


def main(folder: str, model: str, precision: Any, threads: str, device: str, mode: str = "serve") -> None:
    begin = time.perf_counter()
    classifier = attnkit.load(
        model, precision=precision, threads=int(threads), device=device, task="classify", reads="images"
    )
    load_seconds = time.perf_counter() - begin

    from attnkit.benchmark.pictures import as_they_are, read_pictures
    from attnkit.benchmark.timing import answer_bench
    from attnkit.benchmark.work import ClassifyWork, read_work

    work = read_work(Path(folder), ClassifyWork)
    classifier.preprocessing = as_they_are(classifier.preprocessing)

    def classify(images: list[Any]) -> None:
        assert len(classifier.classify(images, batch_images=work.batch)) == len(images)

    answer_bench(mode, classify, list(read_pictures(Path(folder)).pixels), load_seconds, work.alone, counted=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
