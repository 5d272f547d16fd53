"""attnkit's side of `attnkit bench embed`: python -m ... FOLDER MODEL PRECISION THREADS [once]."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import attnkit


def main(folder_name: str, model: str, precision: Any, threads: str, mode: str = "serve") -> None:
    begin = time.perf_counter()
    embedder = attnkit.load(model, precision=precision, threads=int(threads), task="embed")
    load_seconds = time.perf_counter() - begin

    from attnkit.benchmark.embed import read_work

    work = read_work(Path(folder_name))
    if mode == "once":
        embedder.embed(work.texts[:1])
        print(json.dumps({"load_seconds": load_seconds}))
        return

    from attnkit.benchmark.runner import answer_requests
    from attnkit.benchmark.timing import throughput_and_latencies

    # As many tokens as the peers have in a batch of so many texts, padding apart.
    tokens = sum(len(embedder.tokenizer.encode(text)) + 2 for text in work.texts)
    batch_tokens = -(-tokens * work.batch // len(work.texts))

    def embed(texts: list[str]) -> None:
        vectors = embedder.embed(texts, batch_tokens=batch_tokens)
        assert vectors.shape == (len(texts), embedder.width)

    answer_requests(lambda request: throughput_and_latencies(embed, work.texts, work.alone), load_seconds=load_seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
