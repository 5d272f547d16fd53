"""attnkit's side of `attnkit bench caption`: python -m ... FOLDER PRECISION THREADS [once]."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import attnkit


def main(folder_name: str, precision: Any, threads: str, mode: str = "serve") -> None:
    folder = Path(folder_name)
    begin = time.perf_counter()
    captioner = attnkit.load(folder / "attnkit", precision=precision, threads=int(threads), task="caption")
    load_seconds = time.perf_counter() - begin

    from attnkit.benchmark.caption import read_work

    work = read_work(folder)
    pictures = work.pictures()
    search: Any = {"beam": work.beam, "min_length": work.length, "max_length": work.length}

    def caption(images: list[Any]) -> None:
        results = captioner.caption(images, batch_images=work.batch, **search)
        assert all(len(result.tokens) == work.length for result in results)

    if mode == "once":
        caption(pictures[:1])
        print(json.dumps({"load_seconds": load_seconds}))
        return

    from attnkit.benchmark.runner import answer_requests
    from attnkit.benchmark.timing import throughput_and_latencies

    answer_requests(lambda request: throughput_and_latencies(caption, pictures), load_seconds=load_seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
