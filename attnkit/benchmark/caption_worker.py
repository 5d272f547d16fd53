"""attnkit's side of `attnkit bench caption`: python -m ... FOLDER MODEL PRECISION THREADS DEVICE [once]."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import attnkit


def main(folder: str, model: str, precision: Any, threads: str, device: str, mode: str = "serve") -> None:
    begin = time.perf_counter()
    captioner = attnkit.load(model, precision=precision, threads=int(threads), device=device, task="caption")
    load_seconds = time.perf_counter() - begin

    from attnkit.benchmark.pictures import as_they_are, read_pictures
    from attnkit.benchmark.timing import answer_bench
    from attnkit.benchmark.work import CaptionWork, read_work

    work = read_work(Path(folder), CaptionWork)
    captioner.preprocessing = as_they_are(captioner.preprocessing)
    search: Any = {"beam": work.beam, "min_length": work.length, "max_length": work.length}

    def caption(images: list[Any]) -> None:
        results = captioner.caption(images, batch_images=work.batch, **search)
        assert all(len(result.tokens) == work.length for result in results)

    answer_bench(mode, caption, list(read_pictures(Path(folder)).pixels), load_seconds, work.alone, counted=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
