"""attnkit's side of `attnkit bench train`: python -m attnkit.benchmark.train_worker MODEL PRECISION BATCH THREADS."""

from __future__ import annotations

import sys

import numpy as np

import attnkit
from attnkit.benchmark.runner import serve
from attnkit.benchmark.train import MODELS, VOCAB_SIZE, SentenceBatch
from attnkit.models import build_model
from attnkit.optim import Adam, clip_scale, grad_norm
from attnkit.text.batching import Batch


def pack(batch: SentenceBatch) -> Batch:
    def flat(rows: list[list[int]]) -> np.ndarray:
        return np.concatenate([np.asarray(row, dtype=np.int32) for row in rows])

    def offsets(rows: list[list[int]]) -> np.ndarray:
        return np.cumsum([0, *map(len, rows)]).astype(np.int32)

    inputs, labels = [t[:-1] for t in batch.targets], [t[1:] for t in batch.targets]
    return Batch(
        source_ids=flat(batch.sources),
        source_offsets=offsets(batch.sources),
        target_input_ids=flat(inputs),
        target_labels=flat(labels),
        target_offsets=offsets(inputs),
        indices=np.arange(len(labels), dtype=np.int32),
        tokens=batch.target_tokens,
        sentences=len(labels),
    )


def main(model_name: str, precision: str, batch_path: str, threads: str) -> None:
    attnkit.set_num_threads(int(threads))
    sentences = SentenceBatch.load(batch_path)
    batch = pack(sentences)
    model = build_model(MODELS[model_name], VOCAB_SIZE, VOCAB_SIZE)
    optimizer = Adam(model.parameters(), lr=1e-4)
    parameters = list(model.parameters())

    def step() -> None:
        with attnkit.precision(precision):
            model.loss(batch, label_smoothing=0.1).loss.backward()
        optimizer.step(clip_scale(grad_norm(parameters), 1.0))
        optimizer.zero_grad()

    serve(step, sentences.target_tokens)


if __name__ == "__main__":
    main(*sys.argv[1:])
