"""What a classifier of texts answers where the right class is known."""

from __future__ import annotations

from attnkit.models.document_classifier import DocumentClassifier
from attnkit.tasks.shared.answers import Answers
from attnkit.tasks.shared.progress import Done
from attnkit.text.document_batching import DocumentIterator
from attnkit.text.documents import EncodedDocuments


def answers(model: DocumentClassifier, documents: EncodedDocuments, batch_tokens: int, done: Done) -> Answers:
    """For all documents, `batch_tokens` tokens at a time."""
    found = Answers(documents.labels)
    for batch in DocumentIterator(documents, batch_tokens, shuffle=False):
        found.add(batch.indices, model(batch).numpy())
        done(len(batch.indices))
    return found
