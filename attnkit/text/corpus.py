"""Reading sentence pairs from files, counting what is left out, and their compact encoded form."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from attnkit.data.lines import STDIN, Path, one_line, read_lines, read_records, string_field
from attnkit.text.languages import add_tag, split_tag

Format = Literal["parallel", "tsv", "jsonl"]
Links = Sequence[tuple[int, int]]
WordFinder = Callable[[str, Sequence[int]], Sequence[int]]
"""The word, counted from 0, of each id that a text became; -1 for an id of none."""


# ----- Pairs

Pair = tuple[str, str]


def read_parallel(source: Path, target: Path) -> Iterator[Pair]:
    """Line i of one file with line i of the other. Raises ValueError with both counts when they differ."""
    if os.fspath(source) == os.fspath(target) == STDIN:
        raise ValueError("[corpus] expected at most one of the two files to be standard input")
    sources, targets = read_lines(source), read_lines(target)
    for number in itertools.count():
        first, second = next(sources, None), next(targets, None)
        if first is None and second is None:
            return
        if first is None or second is None:
            counts = [number + (line is not None) + sum(1 for _ in rest)
                      for line, rest in ((first, sources), (second, targets))]  # fmt: skip
            raise ValueError(
                f"[corpus] expected as many lines in both files, got {counts[0]} in {os.fspath(source)} and "
                f"{counts[1]} in {os.fspath(target)}"
            )
        yield first, second


def read_tsv(path: Path, languages: bool = False) -> Iterator[Pair]:
    """Source and target, separated by one tab; with `languages`, behind another one the language of the target, whose
    tag is put before the source. Blank lines are ignored. Raises ValueError for a line of other fields."""
    wanted = 2 + languages
    for number, line in enumerate(read_lines(path), start=1):
        fields = line.split("\t")
        if len(fields) == 1 and not line.strip():
            continue
        where = f"[corpus] {os.fspath(path)}, line {number}"
        if len(fields) != wanted:
            raise ValueError(f"{where}: expected {wanted} fields, got {len(fields)}")
        yield _tagged(fields[2], fields[0], where) if languages else fields[0], fields[1]


def _tagged(language: str, source: str, where: str) -> str:
    try:
        return add_tag(language.strip(), source)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def read_jsonl(
    path: Path, source_key: str = "source", target_key: str = "target", language_key: str | None = None
) -> Iterator[Pair]:
    """One JSON object a line with two strings under the given keys; other keys and blank lines are ignored. A line end
    in a string becomes a space, for a model writes lines.

    With a `language_key`, the tag of the language under it is put before the source. Raises ValueError naming file and
    line for anything else.
    """
    for where, record in read_records(path):
        source, target = (one_line(string_field(record, key, where)) for key in (source_key, target_key))
        yield (
            source if language_key is None else _tagged(string_field(record, language_key, where), source, where),
            target,
        )


# ----- Corpora


@dataclass(slots=True)
class CorpusReport:
    """What became of the pairs: how many were kept, and how many were left out and why."""

    what: str = "sentence pairs"
    kept: int = 0
    empty: int = 0
    too_long: int = 0

    @property
    def read(self) -> int:
        return self.kept + self.empty + self.too_long

    def __str__(self) -> str:
        text = f"{self.kept:,} of {self.read:,} {self.what}"
        dropped = [
            f"{count:,} {reason}" for count, reason in ((self.empty, "empty"), (self.too_long, "too long")) if count
        ]
        return text + (f" (left out: {', '.join(dropped)})" if dropped else "")


@dataclass(slots=True)
class ParallelCorpus:
    """Sentence pairs as text. Pairs with an empty side are left out and counted in `report`.

    links: of each pair between its words (`attnkit.text.alignment`), where they are known.
    """

    sources: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    report: CorpusReport = field(default_factory=CorpusReport)
    links: list[Links] | None = None

    def __len__(self) -> int:
        return len(self.sources)

    def __iter__(self) -> Iterator[Pair]:
        return zip(self.sources, self.targets, strict=True)

    @classmethod
    def from_pairs(
        cls,
        pairs: Iterable[Pair],
        links: Iterable[Links] | None = None,
        links_name: str = "links",
        tagged: bool = False,
    ) -> ParallelCorpus:
        """Takes pairs from anywhere, a reader above or a list. White space at the ends is dropped.

        links: those of each pair, of the ones that are left out too. Raises ValueError, which begins with their name,
        where there are more or fewer, and for a link to a word that is not there; words are what white space separates.
        tagged: sources may begin with the tag of a language, which is then no word.
        """
        corpus = cls()
        corpus.links = None if links is None else []
        for (source, target), found in _linked(iter(pairs), links, links_name, tagged):
            source, target = source.strip(), target.strip()
            if source and target:
                corpus.sources.append(source)
                corpus.targets.append(target)
                if corpus.links is not None:
                    corpus.links.append(found)
            else:
                corpus.report.empty += 1
        corpus.report.kept = len(corpus.sources)
        return corpus

    @classmethod
    def read(
        cls,
        source: Path,
        target: Path | None = None,
        format: Format = "parallel",
        *,
        source_key: str = "source",
        target_key: str = "target",
        language_key: str = "language",
        languages: bool = False,
        links: Iterable[Links] | None = None,
        links_name: str = "links",
    ) -> ParallelCorpus:
        """Reads two parallel files, or one file of format "tsv" or "jsonl" (`target` is None then).

        `languages`: the one file names the target language of each pair, whose tag is put before the source. `links`
        and their name as in `from_pairs`."""
        if (format == "parallel") != (target is not None):
            need = "a source and a target file" if format == "parallel" else "one file"
            raise ValueError(f"[corpus] expected {need} for the format {format!r}")
        if target is not None:
            pairs = read_parallel(source, target)
        elif format == "tsv":
            pairs = read_tsv(source, languages)
        else:
            pairs = read_jsonl(source, source_key, target_key, language_key if languages else None)
        return cls.from_pairs(pairs, links, links_name, languages)

    def encode(
        self,
        source_encoder: Callable[[str], Sequence[int]],
        target_encoder: Callable[[str], Sequence[int]],
        max_length: int | None = None,
        words: tuple[WordFinder, WordFinder] | None = None,
    ) -> EncodedCorpus:
        """Turns the text into ids. A pair with more than `max_length` ids on either side is left out and counted in the
        report of the result, which also carries the counts of this corpus.

        words: how to find the word of each id of a source and of a target, which a corpus with links needs."""
        report = CorpusReport(empty=self.report.empty, too_long=self.report.too_long)
        sources, targets = _Flat(), _Flat()
        links = None if self.links is None or words is None else TokenLinks.Builder(*words)
        for number, (source, target) in enumerate(self):
            source_ids, target_ids = source_encoder(source), target_encoder(target)
            if max_length is not None and max(len(source_ids), len(target_ids)) > max_length:
                report.too_long += 1
            elif not source_ids or not target_ids:
                report.empty += 1
            else:
                sources.append(source_ids)
                targets.append(target_ids)
                report.kept += 1
                if links is not None and self.links is not None:
                    links.append(self.links[number], (source, source_ids), (target, target_ids))
        return EncodedCorpus(*sources.arrays(), *targets.arrays(), report, None if links is None else links.finish())


def _linked(
    pairs: Iterator[Pair], given: Iterable[Links] | None, name: str, tagged: bool
) -> Iterator[tuple[Pair, Links]]:
    """Each pair with its links, which are between its words; with none where none are given."""
    if given is None:
        yield from ((pair, ()) for pair in pairs)
        return
    links = iter(given)
    for number in itertools.count(1):
        pair, found = next(pairs, None), next(links, None)
        if pair is None and found is None:
            return
        if pair is None or found is None:
            counts = [number - (each is None) + sum(1 for _ in rest) for each, rest in ((pair, pairs), (found, links))]
            raise ValueError(f"[corpus] {name}: expected links for {counts[0]} sentence pairs, got {counts[1]} lines")
        sizes = len((split_tag(pair[0])[1] if tagged else pair[0]).split()), len(pair[1].split())
        for source, target in found:
            if source >= sizes[0] or target >= sizes[1]:
                raise ValueError(
                    f"[corpus] {name}, line {number}: expected links between {sizes[0]} source and {sizes[1]} target "
                    f"words, counted from 0, got {source}-{target}"
                )
        yield pair, found


@dataclass(frozen=True, slots=True)
class TokenLinks:
    """Links between the ids of N sentence pairs, each int32, counted in their sentence; offsets int64 [N + 1]."""

    sources: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    class Builder:
        """Takes pair after pair."""

        def __init__(self, source_words: WordFinder, target_words: WordFinder) -> None:
            self._find = source_words, target_words
            self._flat = _Flat(), _Flat()

        def append(self, links: Links, *sides: tuple[str, Sequence[int]]) -> None:
            """Each id of a word is linked to each of the words that the word is linked to."""
            tokens = [_by_word(find(*side)) for find, side in zip(self._find, sides, strict=True)]
            pairs = sorted(
                {
                    (target, source)
                    for one, other in links
                    for source in tokens[0].get(one, ())
                    for target in tokens[1].get(other, ())
                }
            )
            self._flat[0].append([source for _, source in pairs])
            self._flat[1].append([target for target, _ in pairs])

        def finish(self) -> TokenLinks:
            sources, offsets = self._flat[0].arrays()
            return TokenLinks(sources, self._flat[1].arrays()[0], offsets)


def _by_word(words: Sequence[int]) -> dict[int, list[int]]:
    """The ids of each word."""
    found: dict[int, list[int]] = {}
    for token, word in enumerate(words):
        found.setdefault(word, []).append(token)
    return found


class _Flat:
    """Sentences on their way into one flat array, moved there in blocks so that few Python integers live at once."""

    _BLOCK = 1 << 16

    def __init__(self) -> None:
        self._blocks: list[npt.NDArray[np.int32]] = []
        self._ids: list[int] = []
        self._lengths: list[int] = []

    def append(self, ids: Sequence[int]) -> None:
        self._ids.extend(ids)
        self._lengths.append(len(ids))
        if len(self._ids) >= self._BLOCK:
            self._flush()

    def _flush(self) -> None:
        self._blocks.append(np.array(self._ids, dtype=np.int32))
        self._ids = []

    def arrays(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        self._flush()
        offsets = np.zeros(len(self._lengths) + 1, dtype=np.int64)
        np.cumsum(self._lengths, out=offsets[1:])
        return np.concatenate(self._blocks), offsets


def flatten(sentences: Iterable[Sequence[int]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Lists of ids as one flat array (int32) and offsets (int64): sentence i is ids[offsets[i]:offsets[i + 1]]."""
    flat = _Flat()
    for ids in sentences:
        flat.append(ids)
    return flat.arrays()


@dataclass(frozen=True, slots=True)
class EncodedCorpus:
    """N sentence pairs as ids, without bos and eos: for each side one flat int32 array and int64 offsets `[N + 1]`."""

    source_ids: npt.NDArray[np.int32]
    source_offsets: npt.NDArray[np.int64]
    target_ids: npt.NDArray[np.int32]
    target_offsets: npt.NDArray[np.int64]
    report: CorpusReport = field(default_factory=CorpusReport)
    links: TokenLinks | None = None

    def __post_init__(self) -> None:
        if len(self.source_offsets) != len(self.target_offsets):
            raise ValueError(
                f"[corpus] expected as many sentences on both sides, got {len(self.source_offsets) - 1} and "
                f"{len(self.target_offsets) - 1}"
            )
        for side, ids, offsets in (
            ("source", self.source_ids, self.source_offsets),
            ("target", self.target_ids, self.target_offsets),
        ):
            if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != len(ids) or (np.diff(offsets) < 0).any():
                raise ValueError(f"[corpus] expected {side} offsets that rise from 0 to {len(ids)}")

    def __len__(self) -> int:
        return len(self.source_offsets) - 1

    def source(self, index: int) -> npt.NDArray[np.int32]:
        """The ids of one source sentence, a view."""
        return self.source_ids[self.source_offsets[index] : self.source_offsets[index + 1]]

    def target(self, index: int) -> npt.NDArray[np.int32]:
        """The ids of one target sentence, a view."""
        return self.target_ids[self.target_offsets[index] : self.target_offsets[index + 1]]
