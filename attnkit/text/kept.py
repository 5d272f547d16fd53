"""What a translation keeps as it is: tags, placeholders, numbers, whatever patterns say.

Models copy numbers of three digits more faithfully than anything else, and the sentences around them stay well formed.
So what is kept is read as such a number and put back for it. A tag is no word: it is taken out, and goes to where the
words are that it stood at, which attention says.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from attnkit.printable import quoted

NAMED = {
    "tags": r"</?[A-Za-z][^<>]*>|<!--[^<>]*>",
    "placeholders": (
        r"\$?\{\{[^{}]*\}\}|\$?\{[^{}]*\}|%\([^()\s]+\)[#0+-]*\d*(?:\.\d+)?[a-zA-Z](?![A-Za-z])|"
        r"%(?:\d+\$)?[#0+-]*\d*(?:\.\d+)?(?:hh?|ll?|[Lzjt])?[diouxXeEfFgGcrsa@](?![A-Za-z])"
    ),
    "numbers": r"(?<![\w.,])\d+(?:[.,:'’/\u00a0\u202f-]\d+)*(?![\w])",
}
_WORD = re.compile(r"\S+")
_STAND_INS = (918, 927, 846, 735, 624, 573, 482, 391, 739, 648, 857, 296, 387, 475, 564, 653, 742, 831, 974, 863)
_GARBLED = 0.5  # of its attention a word has on a number that was lost, to be what became of it
Edit = tuple[int, int, str]


class Keeper:
    """The patterns of a call. Raises ValueError for one that is no regular expression."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = []
        for pattern in patterns:
            try:
                self._patterns.append(re.compile(NAMED.get(pattern, pattern)))
            except re.error as error:
                names = ", ".join(NAMED)
                raise ValueError(
                    f"[translate] expected {names} or a regular expression to keep, got {quoted(pattern)}: {error}"
                ) from None

    def find(self, text: str) -> list[tuple[int, int]]:
        """What is kept of a text, in order; of matches that overlap the first, and of those the longest."""
        spans = sorted(
            (match.span() for pattern in self._patterns for match in pattern.finditer(text) if match[0]),
            key=lambda span: (span[0], -span[1]),
        )
        found: list[tuple[int, int]] = []
        for span in spans:
            if not found or span[0] >= found[-1][1]:
                found.append(span)
        return found

    def counts(self, text: str) -> Counter[str]:
        return Counter(text[start:end] for start, end in self.find(text))

    def shadow(self, text: str) -> str:
        """A text of the same length to split in its stead: a word for what is kept, signs for a tag."""
        edits = [(a, b, ("*" if _is_tag(text[a:b]) else "X") * (b - a)) for a, b in self.find(text)]
        return _edited(text, edits)

    def hold(self, line: str) -> Held | None:
        """A line ready to be read; None where it has nothing to keep."""
        spans = self.find(line)
        return Held(self, line, spans) if spans else None


@dataclass(slots=True)
class _Item:
    """Something that is kept, and how it is read: as a number, or not at all. place: where in the text that is read."""

    text: str
    start: int
    end: int
    number: str | None
    place: int = 0
    partner: _Item | None = field(default=None, repr=False)


class Held:
    """A line, and `masked`, in which other text stands for what is kept of it."""

    def __init__(self, keeper: Keeper, line: str, spans: Sequence[tuple[int, int]]) -> None:
        self._keeper, self.line = keeper, line
        self._items = _numbered(line, spans)
        _pair(self._items)
        edges = {edge for item in self._items if not _is_tag(item.text) for edge in (item.start, item.end)}
        edits = [_reading(line, item, edges) for item in self._items]
        self.masked = _edited(line, edits)
        shift = _Shift(edits)
        for item in self._items:
            item.place = shift.after(item.start)
        starts = [match.start() for match in _WORD.finditer(line)]
        self.source_words = [_word_of(starts, shift.before(match.start())) for match in _WORD.finditer(self.masked)]
        """The word of the line that each word of `masked` is."""

    def restore(self, text: str, attention: npt.NDArray[np.float32]) -> tuple[str, list[int], list[str]]:
        """A translation with what is kept in its place; for each word of the text that was given the word it became;
        and what does not stand there as often as in the line. attention [target words, words of `masked`]."""
        words = [match.span() for match in _WORD.finditer(text)]
        read = [match.span() for match in _WORD.finditer(self.masked)]
        placing = _Placing(text, words, self.masked, read, attention)
        edits: list[Edit] = []
        for item in self._items:
            copies = list(re.finditer(rf"(?<!\d)(?<!\d[.,]){item.number}(?![.,]?\d)", text)) if item.number else []
            if item.number != item.text:
                edits += [(*copy.span(), item.text) for copy in copies]
            if not copies:
                edits.append(placing.edit(item, self.line))
        # Of what goes to one place, what closes comes first; else the order is the line's.
        order = sorted(range(len(edits)), key=lambda i: (edits[i][0], edits[i][1], i))
        edits = _apart([edits[i] for i in order])
        whole = _edited(text, edits)
        starts = [match.start() for match in _WORD.finditer(whole)]
        shift = _Shift(edits)
        moved = [_word_of(starts, shift.after(start)) for start, _ in words]
        wanted, found = self._keeper.counts(self.line), self._keeper.counts(whole)
        return whole, moved, sorted({*(wanted - found), *(found - wanted)})


class _Placing:
    """Where in a translation something goes that did not come through it."""

    def __init__(
        self,
        text: str,
        words: Sequence[tuple[int, int]],
        masked: str,
        read: Sequence[tuple[int, int]],
        attention: npt.NDArray[np.float32],
    ) -> None:
        self._text, self._words, self._masked, self._read = text, words, masked, read
        self._attention = np.zeros((len(words), len(read)), np.float32)
        rows, columns = (min(pair) for pair in zip(attention.shape, self._attention.shape, strict=True))
        self._attention[:rows, :columns] = attention[:rows, :columns]

    def edit(self, item: _Item, line: str) -> Edit:
        if not self._words or not self._read:
            return len(self._text), len(self._text), item.text
        if not _is_tag(item.text):
            return self._for_word(item)
        before, after = line[: item.start][-1:], line[item.end :][:1]
        closes = item.partner is not None and item.partner.start < item.start
        span: list[int] = []
        if item.partner is not None:
            first, last = sorted((item.place, item.partner.place))
            span = [i for i, (start, end) in enumerate(self._read) if end > first and start < last]
        if not span:
            closes = item.partner is None and bool(before.strip()) and not after.strip()  # at the word before it
            span = [self._word_before(item.place) if closes else self._word_after(item.place)]
        targets = self._targets(span, _is_sign(after if closes else before))
        start, end = self._words[max(targets) if closes else min(targets)]
        beyond = item.place >= self._read[-1][1] and not closes
        if closes or beyond:
            end = self._words[-1][1] if beyond else end
            while not beyond and _is_sign(after) and end > start and not self._text[end - 1].isalnum():
                end -= 1
            return end, end, ("" if before.strip() else " ") + item.text
        while _is_sign(before) and start < end and not self._text[start].isalnum():
            start += 1
        return start, start, item.text + ("" if after.strip() else " ")

    def _for_word(self, item: _Item) -> Edit:
        column = self._attention[:, self._word_after(item.place)]
        target = int(column.argmax())
        start, end = self._words[target]
        garbled = item.number is not None and column[target] > _GARBLED
        if garbled and (wrong := re.search(r"\d[\d.,]*(?<![.,])", self._text[start:end])):
            return start + wrong.start(), start + wrong.end(), item.text
        return start, start, item.text + " "

    def _targets(self, span: Sequence[int], without_signs: bool) -> list[int]:
        """The words that look most at these words of the source; one at least. without_signs: rather such as are more
        than signs."""
        best = self._attention.argmax(axis=1)
        own = [t for t in range(len(self._words)) if best[t] in span and self._attention[t].any()]
        if without_signs:
            own = [t for t in own if any(map(str.isalnum, self._text[slice(*self._words[t])]))] or own
        return own or [int(self._attention[:, list(span)].sum(axis=1).argmax()) if span else 0]

    def _word_after(self, place: int) -> int:
        return next((i for i, (_, end) in enumerate(self._read) if end > place), len(self._read) - 1)

    def _word_before(self, place: int) -> int:
        return max(0, next((i for i, (start, _) in enumerate(self._read) if start >= place), len(self._read)) - 1)


def _numbered(line: str, spans: Sequence[tuple[int, int]]) -> list[_Item]:
    """What is kept, with the number that each is read as. A number of few digits is read as it is."""
    used = set(re.findall(r"\d+", line))
    free = (str(number) for number in itertools.chain(_STAND_INS, range(211, 1000, 2)) if str(number) not in used)
    items = []
    for start, end in _joined(line, spans):
        text = line[start:end]
        beside = re.search(r"\d[.,]?$", line[max(0, start - 2) : start]) or re.match(r"[.,]?\d", line[end : end + 2])
        number: str | None = None
        if text.isascii() and text.isdecimal() and len(text) <= 4:
            number = text
        elif not _is_tag(text) and beside is None:
            number = next(free, None)
        items.append(_Item(text, start, end, number))
    return items


def _joined(line: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What stands side by side and is no tag is one: {a}{b}."""
    found: list[tuple[int, int]] = []
    for start, end in spans:
        if found and start == found[-1][1] and not (_is_tag(line[start:end]) or _is_tag(line[slice(*found[-1])])):
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _pair(items: Sequence[_Item]) -> None:
    """Finds what each closing tag closes, where there are words between."""
    opened: list[tuple[str, _Item]] = []
    for item in items:
        name = re.match(r"<(/?)([A-Za-z][\w:.-]*)", item.text)
        if item.number is not None or name is None or item.text.endswith("/>"):
            continue
        if not name[1]:
            opened.append((name[2].lower(), item))
            continue
        places = [i for i, (own, _) in enumerate(opened) if own == name[2].lower()]
        if places:
            _, first = opened[places[-1]]
            del opened[places[-1] :]
            first.partner, item.partner = item, first


def _reading(line: str, item: _Item, edges: set[int]) -> Edit:
    """How an item is read: its number, or nothing. Tags within a word leave it whole, others keep words apart. edges:
    where what is read as words begins and ends."""
    if item.number is not None:
        return item.start, item.end, item.number
    before, after = line[: item.start][-1:], line[item.end :][:1]
    apart = before.strip() and after.strip() and (item.partner is None or before in ".!?…:;。")
    apart = apart or (item.start in edges and after.isalnum()) or (item.end in edges and before.isalnum())
    return item.start, item.end, " " if apart else ""


def _is_tag(text: str) -> bool:
    return text.startswith("<") and text.endswith(">")


def _is_sign(character: str) -> bool:
    return bool(character.strip()) and not character.isalnum() and character not in "<>"


def _apart(edits: Sequence[Edit]) -> list[Edit]:
    """Without overlaps: what would be put into text that is replaced goes behind it."""
    found: list[Edit] = []
    for start, end, text in edits:
        last = found[-1][1] if found else 0
        found.append((max(start, last), max(end, last), text))
    return found


def _edited(text: str, edits: Iterable[Edit]) -> str:
    def parts() -> Iterator[str]:
        done = 0
        for start, end, replacement in edits:
            yield text[done:start]
            yield replacement
            done = end
        yield text[done:]

    return "".join(parts())


class _Shift:
    """Places in a text before and after edits."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits
        self._ends = [end for _, end, _ in edits]
        changes = [len(text) - (end - start) for start, end, text in edits]
        self._shifts = [0, *itertools.accumulate(changes)]
        self._new_ends = [end + shift for end, shift in zip(self._ends, self._shifts[1:], strict=True)]

    def after(self, place: int) -> int:
        return place + self._shifts[bisect_right(self._ends, place)]

    def before(self, place: int) -> int:
        done = bisect_right(self._new_ends, place)
        old = place - self._shifts[done]
        return min(old, self._edits[done][0]) if done < len(self._edits) else old


def _word_of(starts: Sequence[int], place: int) -> int:
    return max(0, bisect_right(starts, place) - 1)
