"""Lines of several sentences: split, translated sentence by sentence, and joined as they stood."""

from __future__ import annotations

import collections
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

import msgspec

from attnkit.data.arrivals import PAUSE, Paused
from attnkit.tasks.translate.result import Result, Sentence
from attnkit.tasks.translate.text import Text
from attnkit.text.long_sentences import split_long
from attnkit.text.sentences import Span, sentence_spans

_WORD = re.compile(r"\S+")
# Signs at the start of an entry of a list or of what somebody says: they stay where they are.
_BULLET = re.compile(r"(?:[-–—*•·>#]+\s+)+")
_PAIRS = {'"': '"', "“": "”", "„": "“", "«": "»", "»": "«", "‘": "’", "(": ")", "[": "]", "「": "」", "『": "』"}
_DEPTH = 3  # of quotes within quotes


class Paragraph(msgspec.Struct, frozen=True):
    """A line and where its sentences stand in it; what is between them stays as it is. head: where the text begins,
    behind the tag of a language."""

    line: str
    spans: list[Span]
    head: int = 0

    @classmethod
    def read(cls, line: str, fits: Callable[[str], bool], head: int = 0, shadow: str | None = None) -> Paragraph:
        """Splits a line. fits: whether the model reads as much at once; a longer sentence is cut where it hurts least.
        shadow: a text of the same length in whose stead the line is split."""
        shown = line if shadow is None else shadow
        parts = [
            _inner(shown, *part)
            for start, end in sentence_spans(shown[head:])
            for part in split_long(shown, (start + head, end + head), lambda a, b: fits(line[a:b]))
        ]
        return cls(line, [(start, end) for start, end in parts if any(map(str.isalnum, shown[start:end]))], head)

    @property
    def sentences(self) -> list[str]:
        """One at least, which is empty where the line has no words."""
        return [self.line[start:end] for start, end in self.spans] or [""]

    def join(self, results: list[Result]) -> Result:
        """The result of the line, of those of its sentences."""
        if not self.spans:
            return msgspec.structs.replace(results[0], text=self.line[self.head :])
        parts, places, length, end = list[str](), list[int](), 0, self.head
        for (start, stop), result in zip(self.spans, results, strict=True):
            parts += [self.line[end:start], result.text]
            places.append(length + start - end)
            length += start - end + len(result.text)
            end = stop
        text = "".join([*parts, self.line[end:]])
        source_words = _words_at(self.line, [start for start, _ in self.spans])
        first_words = list(zip(source_words, _words_at(text, places), strict=True))
        return msgspec.structs.replace(
            results[0],
            text=text,
            score=sum(result.score for result in results),
            tokens=[token for result in results for token in result.tokens],
            attention=None,
            source_tokens=[token for result in results for token in result.source_tokens],
            truncated=any(result.truncated for result in results),
            looped=any(result.looped for result in results),
            unkept=[text for result in results for text in result.unkept],
            unknown=[word for result in results for word in result.unknown],
            source_words=_shifted([result.source_words for result in results], [first for first, _ in first_words]),
            target_words=_shifted([result.target_words for result in results], [first for _, first in first_words]),
            sentences=tuple(map(Sentence, self.sentences, results, first_words)),
        )


def translated(
    texts: Iterable[Text | Paused],
    read: Callable[[Text], tuple[Paragraph, list[Text]]],
    translate: Callable[[Iterable[Text | Paused]], Iterator[Result]],
) -> Iterator[Result]:
    """A result for each text, all sentences going through one stream. read: a text as its sentences."""
    waiting: collections.deque[tuple[Paragraph, int]] = collections.deque()

    def sentences() -> Iterator[Text | Paused]:
        for text in texts:
            if text is PAUSE:
                yield PAUSE
                continue
            paragraph, parts = read(text)
            waiting.append((paragraph, len(parts)))
            yield from parts

    results: list[Result] = []
    for result in translate(sentences()):
        results.append(result)
        if len(results) == waiting[0][1]:
            yield waiting.popleft()[0].join(results)
            results = []


def _inner(line: str, start: int, end: int) -> Span:
    """A sentence without what stands around it and is nothing to translate: the bullet of a list; brackets and quotes
    around the whole, or that are opened here and closed in another sentence."""
    if bullet := _BULLET.match(line, start, end):
        start = bullet.end()
    for _ in range(_DEPTH):
        opening, closing = line[start : start + 1], line[end - 1 : end]
        partner = _PAIRS.get(opening)
        own = {each for each, other in _PAIRS.items() if other == closing}
        if partner is not None and end - start > 1:
            inside = line.find(partner, start + 1, end)
            if inside == end - 1:  # around the whole
                start, end = start + 1, end - 1
                continue
            if inside < 0:
                start += 1
                continue
        if (
            own
            and (closing != "’" or not line[end - 2].isalnum())
            and not any(each in line[start : end - 1] for each in own)
        ):
            end -= 1
            continue
        break
    part = line[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


def _words_at(text: str, places: list[int]) -> list[int]:
    """The word of a text that stands at each place, or begins next before it."""
    starts = [match.start() for match in _WORD.finditer(text)]
    return [max(0, bisect_right(starts, place) - 1) for place in places]


def _shifted(words: list[list[int]], first: list[int]) -> list[int]:
    return [word + (shift if word >= 0 else 0) for own, shift in zip(words, first, strict=True) for word in own]
