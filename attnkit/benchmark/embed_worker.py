"""attnkit's side of `attnkit bench embed`: python -m ... FOLDER MODEL PRECISION THREADS DEVICE [once]."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import attnkit


def main(folder: str, model: str, precision: Any, threads: str, device: str, mode: str = "serve") -> None:
    begin = time.perf_counter()
    embedder = attnkit.load(model, precision=precision, threads=int(threads), device=device, task="embed")
    load_seconds = time.perf_counter() - begin

    from attnkit.benchmark.timing import answer_bench
    from attnkit.benchmark.work import EmbedWork, read_work

    work = read_work(Path(folder), EmbedWork)
    options: Any = {}
    if mode != "once":  # as many tokens as the peers have in a batch of so many texts, padding apart
        tokens = sum(len(embedder.tokenizer.encode(text)) + 2 for text in work.texts)
        options = {"batch_tokens": -(-tokens * work.batch // len(work.texts))}

    def embed(texts: list[str]) -> None:
        vectors = embedder.embed(texts, **options)
        assert vectors.shape == (len(texts), embedder.width)

    answer_bench(mode, embed, work.texts, load_seconds, work.alone, counted=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
