"""CTranslate2's side of `attnkit bench translate`: python -m ... FOLDER MODEL COMPUTE_TYPE WORKERS THREADS DEVICE
[once].

It brings no tokenizer. Its users take that of the model, as is done here, and the time counts as it does for attnkit.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import ctranslate2

from attnkit.benchmark.timing import answer_bench
from attnkit.benchmark.translate import Work
from attnkit.benchmark.work import read_work
from attnkit.decoding.options import decoding_options
from attnkit.tasks.shared.directory import ModelDirectory
from attnkit.text.tokenizers.base import Tokenizer


def entries_of(tokenizer: Tokenizer) -> list[str]:
    """What the ids are called over there. Of two alike the second has its id in its name."""
    entries: dict[str, None] = {}
    for number in range(tokenizer.vocab_size):
        (piece,) = tokenizer.pieces([number])
        entries[f"{piece} {number}" if piece in entries else piece] = None
    return list(entries)


def options_of(work: Work, directory: ModelDirectory) -> dict[str, Any]:
    """The search and the batches that attnkit is measured with, in its words."""
    given: dict[str, Any] = {"beam": work.beam}
    search = decoding_options(**(directory.decoding.merge(given) if directory.decoding else given))
    options: dict[str, Any] = {"beam_size": search.beam, "length_penalty": search.length_penalty}
    if work.batch is None:
        options |= {"max_batch_size": work.batch_tokens(), "batch_type": "tokens"}
    else:
        options |= {"max_batch_size": work.batch}
    if work.length is not None:
        options |= {"min_decoding_length": work.length, "max_decoding_length": work.length}
    return options


def main(
    folder_name: str, model: str, compute_type: str, workers: str, threads: str, device: str, mode: str = "serve"
) -> None:
    folder, (kind, _, number) = Path(folder_name), device.partition(":")
    begin = time.perf_counter()
    translator = ctranslate2.Translator(
        str(folder / compute_type),
        compute_type=compute_type,
        device=kind,
        device_index=int(number or 0),
        inter_threads=int(workers),
        intra_threads=int(threads),
    )
    directory = ModelDirectory.read(model)
    tokenizers = directory.tokenizers()
    entries = entries_of(tokenizers.target)
    load_seconds = time.perf_counter() - begin

    work = read_work(folder, Work)
    options = options_of(work, directory)
    numbers = {entry: number for number, entry in enumerate(entries)}
    end = entries[tokenizers.source.eos_id]

    def translate(lines: list[str]) -> None:
        encoded = [tokenizers.source.encode(line) for line in lines]
        if work.length is None:  # attnkit's bound of each line, which here can only be that of the longest
            options["max_decoding_length"] = 2 * (1 + max(map(len, encoded))) + 10
        results = translator.translate_batch([[*(entries[id] for id in ids), end] for ids in encoded if ids], **options)
        for result in results:
            tokenizers.target.decode([numbers[token] for token in result.hypotheses[0]])
            assert work.length in (None, len(result.hypotheses[0]))

    answer_bench(mode, translate, work.lines, load_seconds, work.alone)


if __name__ == "__main__":
    main(*sys.argv[1:])
