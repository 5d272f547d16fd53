"""ONNX Runtime's side of `attnkit bench embed`: python -m ... FOLDER CHECKPOINT PRECISION THREADS cpu [once].

Its users read texts by the library `tokenizers` alone, without PyTorch; so does this.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import tokenizers


class _Reader:
    """What transformers' tokenizer does, as far as the bench needs it."""

    def __init__(self, file: Path, names: list[str]) -> None:
        self._inner, self._names = tokenizers.Tokenizer.from_file(str(file)), names

    def __call__(self, texts: list[str], max_length: int, **options: Any) -> dict[str, Any]:
        self._inner.enable_truncation(max_length)
        self._inner.enable_padding(pad_id=(self._inner.padding or {}).get("pad_id", 0))
        read = self._inner.encode_batch(texts)
        columns = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        return {
            name: np.array([getattr(each, columns[name]) for each in read], np.int64)
            for name in columns
            if name in self._names
        }


def main(folder: str, model: str, precision: str, threads: str, device: str, mode: str = "serve") -> None:
    begin = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(Path(folder) / f"{precision}.onnx"), options, providers=["CPUExecutionProvider"]
    )
    tokenizer = _Reader(Path(model) / "tokenizer.json", [each.name for each in session.get_inputs()])
    load_seconds = time.perf_counter() - begin

    from attnkit.benchmark.peers.pooled_texts import serve
    from attnkit.interop.huggingface.sentence_transformers import read_modules

    modules = read_modules(Path(model))

    def vectors(batch: dict[str, Any]) -> Any:
        [states] = session.run(None, batch)
        if modules.poolings == ("cls",):
            found = states[:, 0]
        else:
            mask = batch["attention_mask"][..., None].astype(np.float32)
            found = (states * mask).sum(1) / mask.sum(1)
        return found / np.linalg.norm(found, axis=1, keepdims=True) if modules.normalize else found

    serve(folder, mode, load_seconds, tokenizer, "np", vectors)


if __name__ == "__main__":
    main(*sys.argv[1:])
