"""CTranslate2's side of `attnkit bench translate`: python -m ... FOLDER COMPUTE_TYPE WORKERS THREADS [once]."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import ctranslate2


def main(folder_name: str, compute_type: str, workers: str, threads: str, mode: str = "serve") -> None:
    folder = Path(folder_name)
    begin = time.perf_counter()
    translator = ctranslate2.Translator(
        str(folder / compute_type), compute_type=compute_type, inter_threads=int(workers), intra_threads=int(threads)
    )
    load_seconds = time.perf_counter() - begin

    from attnkit.benchmark.translate import read_work

    work = read_work(folder)

    def translate(lines: list[str]) -> None:
        results = translator.translate_batch(
            [[*line.split(), "</s>"] for line in lines],
            beam_size=work.beam,
            max_batch_size=work.batch,
            min_decoding_length=work.length,
            max_decoding_length=work.length,
        )
        assert all(len(result.hypotheses[0]) == work.length for result in results)

    if mode == "once":
        translate(work.lines[:1])
        print(json.dumps({"load_seconds": load_seconds}))
        return

    from attnkit.benchmark.runner import answer_requests
    from attnkit.benchmark.timing import throughput_and_latencies

    answer_requests(lambda request: throughput_and_latencies(translate, work.lines), load_seconds=load_seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
