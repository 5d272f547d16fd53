"""What a classifier of texts answers where the right class is known."""

from __future__ import annotations

from attnkit.distributed import Group
from attnkit.models.document_classifier import DocumentClassifier
from attnkit.tasks.shared.answers import Answered, Answers
from attnkit.tasks.shared.measured import of_batches
from attnkit.tasks.shared.progress import Done
from attnkit.text.document_batching import DocumentBatch, DocumentIterator
from attnkit.text.documents import EncodedDocuments


def answers(
    model: DocumentClassifier,
    documents: EncodedDocuments,
    batch_tokens: int,
    done: Done,
    processes: Group,
) -> Answers:
    """For all documents, `batch_tokens` tokens at a time, shared out among the processes."""
    found = Answers(documents.labels)

    def answer(batch: DocumentBatch) -> Answered:
        answered = found.read(batch.indices, model(batch).numpy())
        done(len(batch.indices))
        return answered

    for answered in of_batches(processes, DocumentIterator(documents, batch_tokens, shuffle=False), answer):
        found.add(answered)
    return found
