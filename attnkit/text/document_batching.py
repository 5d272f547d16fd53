"""Token-counted batches of labelled documents, packed in two levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnkit._batching import pack
from attnkit._tensor import hold_indices
from attnkit.data.order import Int32Array, Int64Array
from attnkit.text.batch_order import TokenBatches
from attnkit.text.documents import EncodedDocuments


@dataclass(frozen=True, slots=True)
class DocumentBatch:
    """B documents in the packed layout, every array int32. What ops read is made Indices once, so read-only.

    `ids [T]`; `sentence_offsets [S + 1]` into them; `document_offsets [B + 1]` into the sentences; `labels [B]`.
    `indices [B]` says which documents of the corpus they are.
    """

    ids: Int32Array
    sentence_offsets: Int32Array
    document_offsets: Int32Array
    labels: Int32Array
    indices: Int32Array

    def __post_init__(self) -> None:
        hold_indices(self, "ids", "sentence_offsets", "document_offsets", "labels")

    @property
    def tokens(self) -> int:
        """The number of labels, which is what a loss is a mean over."""
        return len(self.labels)


class DocumentIterator(TokenBatches[DocumentBatch]):
    """Batches of at most `max_tokens` tokens, in the order of `TokenBatches`."""

    def __init__(
        self,
        documents: EncodedDocuments,
        max_tokens: int,
        *,
        seed: int = 1,
        shuffle: bool = True,
        bucket_size: int = 8192,
    ) -> None:
        sentences = np.diff(documents.document_offsets).astype(np.int32)
        numbers = {
            "documents": len(documents),
            "sentences": int(documents.document_offsets[-1]),
            "document_tokens": len(documents.ids),
        }
        lengths = documents.lengths.astype(np.int32)
        super().__init__(sentences, lengths, numbers, max_tokens, seed, shuffle, bucket_size, 1 << 30)
        self._documents = documents
        self._sentence_numbers = np.arange(len(documents.sentence_offsets) - 1, dtype=np.int32)

    def _gather(self, chosen: Int64Array) -> DocumentBatch:
        documents = self._documents
        sentences, document_offsets = pack(self._sentence_numbers, documents.document_offsets, chosen)
        ids, sentence_offsets = pack(documents.ids, documents.sentence_offsets, sentences.astype(np.int64))
        return DocumentBatch(
            ids=ids,
            sentence_offsets=sentence_offsets,
            document_offsets=document_offsets,
            labels=documents.labels[chosen],
            indices=chosen.astype(np.int32),
        )
