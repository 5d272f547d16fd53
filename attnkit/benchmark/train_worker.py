"""attnkit's side of `attnkit bench train`: python -m ... MODEL PRECISION BATCH THREADS DEVICE."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

import attnkit
from attnkit import _core
from attnkit.benchmark.roof import Counted
from attnkit.benchmark.runner import serve
from attnkit.benchmark.train_batches import Arrays, load_batch, rows, units
from attnkit.benchmark.train_models import MODELS, Inputs
from attnkit.models.registry import build_model
from attnkit.optim import Adam, clip_scale, grad_norm


def make_batch(inputs: Inputs, arrays: Arrays) -> Any:
    """The arrays of a batch file as the models take them."""
    if inputs == "images":
        from attnkit.vision.targets import ImageBatch

        return ImageBatch(arrays["images"], arrays["labels"])
    if inputs == "documents":
        from attnkit.text.document_batching import DocumentBatch

        word_offsets, sentence_offsets = (_offsets(arrays[f"{name}_lengths"]) for name in ("word", "sentence"))
        labels = arrays["labels"]
        return DocumentBatch(arrays["word"], word_offsets, sentence_offsets, labels, _indices(labels))

    targets = rows(arrays, "target")
    read = np.concatenate([target[:-1] for target in targets])
    labels = np.concatenate([target[1:] for target in targets])
    offsets = _offsets(arrays["target_lengths"] - 1)
    if inputs == "captions":
        from attnkit.vision.targets import CaptionBatch

        return CaptionBatch(arrays["images"], read, labels, offsets, _indices(targets), len(labels))

    from attnkit.text.batching import Batch

    return Batch(
        source_ids=arrays["source"],
        source_offsets=_offsets(arrays["source_lengths"]),
        target_input_ids=read,
        target_labels=labels,
        target_offsets=offsets,
        indices=_indices(targets),
        tokens=len(labels),
        sentences=len(targets),
    )


def _offsets(lengths: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def _indices(items: Any) -> npt.NDArray[np.int32]:
    return np.arange(len(items), dtype=np.int32)


def main(model_name: str, precision: str, batch_path: str, threads: str, device: str) -> None:
    attnkit.set_num_threads(int(threads))
    _core.set_default_device(device)
    trained, arrays = MODELS[model_name], load_batch(batch_path)
    batch = make_batch(trained.inputs, arrays)
    model: Any = build_model(trained.config, *trained.sizes)  # one that is trained
    optimizer = Adam(model.parameters(), lr=1e-4)
    parameters = list(model.parameters())

    def step() -> None:
        with attnkit.precision(precision):
            model.loss(batch, label_smoothing=0.1).loss.backward()
        optimizer.step(clip_scale(grad_norm(parameters), 1.0))
        optimizer.zero_grad()

    counted = Counted(step)
    serve(counted, units(trained, arrays), _core.synchronize, counted.answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
