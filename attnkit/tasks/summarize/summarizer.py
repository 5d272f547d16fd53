"""Writing a summary of each of many documents."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Unpack

import numpy as np
import numpy.typing as npt

from attnkit.data.arrivals import Paused, characters
from attnkit.decoding.options import SearchArguments
from attnkit.decoding.workers import Stop
from attnkit.tasks.shared.places import at
from attnkit.tasks.shared.progress import Done, unseen
from attnkit.tasks.shared.text_writer import Source, TextWriter
from attnkit.text.forced import Forced

if TYPE_CHECKING:
    from attnkit.decoding.options import DecodingOptions
    from attnkit.decoding.search import Hypothesis
    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.tasks.summarize.figures import SummaryReport

_TITLE = 80  # characters of a document that name it


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What is written about one document.

    text: the summary; empty for an empty document.
    score: the normalised log-probability that hypotheses are compared by; 0 for an empty document.
    tokens: the pieces of `text`, N of them.
    attention: cross-attention float32 [N, M], averaged over heads; None unless asked for.
    source_tokens: the M pieces that the model read, with those that stand around a document.
    unread: how many tokens of the document the model did not read, because it is longer.
    alternatives: the second to the nbest-th summary, best first (samples as drawn), where nbest > 1.
    """

    text: str
    score: float
    tokens: list[str]
    attention: npt.NDArray[np.float32] | None
    source_tokens: list[str]
    unread: int = 0
    alternatives: tuple[Summary, ...] = ()

    @property
    def truncated(self) -> bool:
        """Whether the document was longer than the model reads, which then saw its beginning."""
        return self.unread > 0


class Summarizer(TextWriter):
    """A model that summarizes documents, with its tokenizer. Made by `attnkit.load`."""

    task, what, written = "summarize", "document", "summary"

    def summarize(
        self,
        texts: Iterable[str],
        *,
        prompt: str | None = None,
        attention: bool = False,
        batch_tokens: int = 4096,
        **search: Unpack[SearchArguments],
    ) -> list[Summary]:
        """One Summary a document, in order.

        A document is read as it is, line ends too, from its beginning and as far as the model reads: see
        `Summary.unread`.
        prompt: what is put before each document, of a model that reads such (T5): the name of one of its `prompts` or
        the text itself; None puts the model's own there, "" nothing.
        attention: also return the cross-attention; the text is the same with and without.
        batch_tokens: about how many tokens of documents go through the model at once.
        beam=, nbest=1, min_length=, max_length=, ...: see `DecodingOptions`; a model brings its own defaults.
        """
        if isinstance(texts, str):
            raise TypeError("[summarize] expected a list of documents, got one string")
        texts = list(texts)
        window = max(1, len(texts))
        return list(
            self.summarize_stream(
                texts, prompt=prompt, attention=attention, batch_tokens=batch_tokens, window=window, **search
            )
        )

    def summarize_stream(
        self,
        texts: Iterable[str | Paused],
        *,
        prompt: str | None = None,
        attention: bool = False,
        batch_tokens: int = 4096,
        window: int = 64,
        **search: Unpack[SearchArguments],
    ) -> Iterator[Summary]:
        """`summarize` for input of any length: yields in input order while it reads, `window` documents at a time, or
        those that are there before a PAUSE (`attnkit.data.arrivals`). Arguments are checked at the call."""
        options = self._chosen({**search}, first=False, prompt=prompt)
        for name, value in (("batch_tokens", batch_tokens), ("window", window)):
            if value < 1:
                raise ValueError(f"[summarize] expected {name} >= 1, got {value}")
        decode = functools.partial(self._summarized, options, attention)
        read = functools.partial(self._read, prompt=self._prompt(prompt))
        return self._written(texts, characters, read, decode, _empty(attention), batch_tokens, window)

    def evaluate(
        self,
        texts: Iterable[str],
        references: Sequence[str],
        *,
        prompt: str | None = None,
        batch_tokens: int = 4096,
        done: Done = unseen,
        **search: Unpack[SearchArguments],
    ) -> SummaryReport:
        """ROUGE of the summaries of documents, against one right summary of each, as results on English are published.

        done: called for each document once it is summarized. The other arguments are those of `summarize`. Raises what
        that raises, and ValueError for other numbers of documents and references.
        """
        from attnkit.tasks.summarize.figures import SummaryReport

        found = []
        for summary in self.summarize_stream(texts, prompt=prompt, batch_tokens=batch_tokens, **search):
            found.append(summary)
            done(1)
        return SummaryReport.of(found, references)

    def attention(
        self, text: str, target: str | None = None, *, prompt: str | None = None, **search: Unpack[SearchArguments]
    ) -> AttentionMaps:
        """All that the model looks at while it summarizes a document: self-attention of encoder and decoder, and
        cross-attention, of all layers and heads; see `AttentionMaps`.

        target: the summary; None writes one first, as `summarize` does with these arguments. Raises ValueError for an
        empty document, and what `summarize` raises.
        """
        from attnkit.tasks.shared.pair_attention import look

        source = self._read(0, text, self._prompt(prompt))
        if not source.ids:
            raise ValueError("[attention] expected a document with a word, got an empty one")
        if target is None:  # its own tokens: what its text would be cut into can be others
            [(_, [best, *_])] = self._decode(
                self._chosen({**search}, first=False, prompt=prompt), [source], Stop(), attention=False
            )
            ids = best.tokens.tolist()
            target = self.target_tokenizer.decode(ids).strip()
        else:
            ids = Forced.read(target, self.target_tokenizer).ids
        return look(self, _title(text), target, source.ids, ids, source.first)

    def _read(self, number: int, text: str, prompt: str = "") -> Source:
        if not isinstance(text, str):
            raise TypeError(f"[summarize] expected text in document {number + 1}, got {type(text).__name__}")
        with at(f"document {number + 1}"):
            read = self._read_ids(prompt + text if text.strip() else "")
        return Source(number=number, first=self._first, **read)

    def _summarized(
        self, options: DecodingOptions, attention: bool, batch: list[Source], stop: Stop
    ) -> dict[int, Summary]:
        """The summaries of a batch by document."""
        found = self._decode(options, batch, stop, attention=attention)
        return {source.number: self._write(source, hypotheses) for source, hypotheses in found}

    def _write(self, source: Source, hypotheses: list[Hypothesis]) -> Summary:
        best, *others = (self._write_one(source, hypothesis) for hypothesis in hypotheses)
        return dataclasses.replace(best, alternatives=tuple(others)) if others else best

    def _write_one(self, source: Source, hypothesis: Hypothesis) -> Summary:
        ids, tokenizer = hypothesis.tokens.tolist(), self.target_tokenizer
        return Summary(
            text=tokenizer.decode(ids).strip(),
            score=hypothesis.score,
            tokens=tokenizer.pieces(ids),
            attention=hypothesis.attention,
            source_tokens=source.pieces,
            unread=source.unread,
        )


def _empty(attention: bool) -> Callable[[Source], Summary]:
    """What is written about a document without a word."""
    return lambda source: Summary("", 0.0, [], np.zeros((0, 0), np.float32) if attention else None, [])


def _title(text: str) -> str:
    line = " ".join(text[: 2 * _TITLE].split())
    return line if len(line) <= _TITLE and len(text) <= 2 * _TITLE else f"{line[:_TITLE]}…"
