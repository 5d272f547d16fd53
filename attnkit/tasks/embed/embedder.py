"""Vectors of texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.tasks.shared.by_length import batches_by_length
from attnkit.text.documents import DocumentReader

if TYPE_CHECKING:
    from attnkit.models.sentence_encoder import SentenceEncoder
    from attnkit.tasks.shared.directory import ModelDirectory


class Embedder:
    """A model that makes vectors of texts, with its tokenizer. Made by `attnkit.load`."""

    def __init__(self, model: SentenceEncoder, reader: DocumentReader, *, precision: Precision = "fp32") -> None:
        check_precision(precision)
        self.model = model
        self.reader = reader
        self.precision: Precision = precision

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> Embedder:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        text = directory.tokenizers().source
        model = cast("SentenceEncoder", directory.load_model(precision))
        directory.check_vocabulary(text.vocab_size)
        return cls(model, DocumentReader(text, model.config.layout), precision=precision)

    def embed(self, texts: Iterable[str], *, batch_tokens: int = 4096) -> npt.NDArray[np.float32]:
        """One vector a text: float32 [N, D], in order; zeros for a text without a word."""
        read = [self.reader.read(self.reader.prepare(text)).sentences for text in texts]
        vectors = np.zeros((len(read), self.model.width), np.float32)
        numbered = [(number, sentences[0]) for number, sentences in enumerate(read) if sentences]
        for batch in batches_by_length(numbered, lambda text: len(text[1]), batch_tokens):
            ids = np.concatenate([np.array(text, np.int32) for _, text in batch])
            offsets = np.cumsum([0, *(len(text) for _, text in batch)]).astype(np.int32)
            with _tensor.no_grad(), _tensor.precision(self.precision):
                vectors[[number for number, _ in batch]] = self.model(ids, offsets).numpy()
        if self.model.config.normalize:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors
