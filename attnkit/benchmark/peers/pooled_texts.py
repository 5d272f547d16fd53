"""What PyTorch and ONNX Runtime have in common in `attnkit bench embed`: batches as sentence-transformers makes them,
the longest texts first and padded to the longest of a batch, and one vector of a text's states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.benchmark.timing import answer_bench
from attnkit.benchmark.work import EmbedWork, read_work

Floats = npt.NDArray[np.float32]


def serve(folder: str, mode: str, load_seconds: float, tokenizer: Any, kind: str, vectors: Callable[..., Any]) -> None:
    """Answers the bench. kind: of the tensors that the tokenizer makes, "pt" or "np". vectors: of a batch of those,
    [B, D]."""
    work = read_work(Path(folder), EmbedWork)

    def embed(texts: list[str]) -> None:
        order = np.argsort([-len(text) for text in texts], kind="stable")
        found = []
        for begin in range(0, len(texts), work.batch):
            batch = [texts[number].strip() for number in order[begin : begin + work.batch]]
            read = tokenizer(batch, padding=True, truncation=True, max_length=work.longest, return_tensors=kind)
            found.append(np.asarray(vectors(read)))
        result = np.concatenate(found)[np.argsort(order)]
        assert len(result) == len(texts)

    answer_bench(mode, embed, work.texts, load_seconds, work.alone)
