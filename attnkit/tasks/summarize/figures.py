"""How good the summaries of documents are whose right summaries are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from attnkit.metrics.summaries import rouge
from attnkit.text.sentences import split_sentences

if TYPE_CHECKING:
    from attnkit.tasks.summarize.summarizer import Summary


@dataclass(frozen=True, slots=True)
class SummaryReport:
    """How a summarizer does on documents with summaries.

    documents: how many. rouge1, rouge2, rouge_l, rouge_lsum: F1 in percent, see `attnkit.metrics.summaries.Rouge`; a
    line end in a text and the end of a sentence end a sentence. words: of a summary, the mean. unread: documents that
    are longer than the model reads.
    """

    documents: int
    rouge1: float
    rouge2: float
    rouge_l: float
    rouge_lsum: float
    words: float
    unread: int

    @classmethod
    def of(cls, summaries: Sequence[Summary], references: Sequence[str]) -> SummaryReport:
        texts = [summary.text for summary in summaries]
        found = rouge(*(["\n".join(split_sentences(text)) for text in each] for each in (texts, references)))
        return cls(
            documents=len(texts),
            words=sum(len(text.split()) for text in texts) / len(texts),
            unread=sum(summary.truncated for summary in summaries),
            **asdict(found),
        )
