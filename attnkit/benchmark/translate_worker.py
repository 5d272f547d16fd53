"""attnkit's side of `attnkit bench translate`: python -m ... FOLDER MODEL PRECISION THREADS DEVICE [once]."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import attnkit


def main(folder_name: str, model: str, precision: Any, threads: str, device: str, mode: str = "serve") -> None:
    begin = time.perf_counter()
    translator = attnkit.load(model, precision=precision, threads=int(threads), device=device, task="translate")
    load_seconds = time.perf_counter() - begin

    from attnkit.benchmark.timing import answer_bench
    from attnkit.benchmark.translate import Work
    from attnkit.benchmark.work import read_work

    work = read_work(Path(folder_name), Work)
    search: Any = {"beam": work.beam}
    if work.length is not None:
        search |= {"min_length": work.length, "max_length": work.length}
    batch_tokens = None if work.batch is None else work.batch_tokens()  # None: what translations take by themselves

    def translate(lines: list[str]) -> None:
        results = translator.translate(lines, batch_tokens=batch_tokens, **search)
        assert work.length is None or all(len(result.tokens) == work.length for result in results)

    answer_bench(mode, translate, work.lines, load_seconds, work.alone, counted=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
