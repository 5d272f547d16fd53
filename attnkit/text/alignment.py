"""Word alignments: aligned sentence pairs, hard alignments from attention weights, and the alignment error rate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attnkit.data.lines import Path, read_lines
from attnkit.printable import quoted

Link = tuple[int, int]
ALIGNMENTS_FILE = "train.align"  # in the folder of a run whose alignments are made by models


@dataclass(frozen=True, slots=True)
class AlignedPair:
    """A sentence, its translation, and the links (source index, target index) between their whitespace tokens."""

    source: str
    target: str
    alignment: tuple[Link, ...]

    def reversed(self) -> AlignedPair:
        """The same pair with the sentences' parts exchanged."""
        return AlignedPair(
            self.target, self.source, tuple(sorted((target, source) for source, target in self.alignment))
        )

    def pharaoh(self) -> str:
        """The links in the Pharaoh format, `0-0 1-0 2-1`."""
        return pharaoh(self.alignment)


def pharaoh(links: Iterable[Link]) -> str:
    """Links in the Pharaoh format, `0-0 1-0 2-1`."""
    return " ".join(f"{source}-{target}" for source, target in links)


def parse_pharaoh(line: str) -> tuple[Link, ...]:
    """Reads one line of the Pharaoh format. Raises ValueError for anything but `i-j` pairs of whole numbers."""
    links = []
    for item in line.split():
        source, dash, target = item.partition("-")
        if not (dash and source.isascii() and source.isdigit() and target.isascii() and target.isdigit()):
            raise ValueError(f"[alignment] expected links such as 0-1, got {quoted(item)}")
        links.append((int(source), int(target)))
    return tuple(links)


def read_alignments(path: Path) -> Iterator[tuple[Link, ...]]:
    """The links of each line of a file in the Pharaoh format. Raises ValueError naming file and line."""
    for number, line in enumerate(read_lines(path), start=1):
        try:
            yield parse_pharaoh(line)
        except ValueError as error:
            raise ValueError(f"{error} in {os.fspath(path)}, line {number}") from None


def hard_alignment(weights: npt.ArrayLike, every_source: bool = False, threshold: float | None = None) -> list[Link]:
    """The most attended source token of every target token, as sorted links.

    `weights` is `[target, source]`, one distribution over the source for each target token; of equal weights the first
    wins. A row without any weight (a query that sees no key) gives no link. With `every_source`, a source token that
    has no link then gets one to the target token that attends to it most: where several source words make one target
    word, a link for each target word cannot be all. With a `threshold`, every other weight that is as large is a link
    too: attention that learnt from links says by itself where a target word has several.
    """
    matrix = np.asarray(weights)
    if matrix.ndim != 2:
        raise ValueError(f"[hard_alignment] expected weights of shape [target, source], got {list(matrix.shape)}")
    if matrix.size == 0:
        return []
    best = matrix.argmax(axis=1)
    attended = matrix[np.arange(len(matrix)), best] > 0
    links = {(int(best[target]), int(target)) for target in np.flatnonzero(attended)}
    if every_source:
        unlinked = sorted(set(np.flatnonzero(matrix.any(axis=0)).tolist()) - {source for source, _ in links})
        links |= {(source, int(matrix[:, source].argmax())) for source in unlinked}
    if threshold is not None:
        links |= {(int(source), int(target)) for target, source in np.argwhere(matrix >= threshold)}
    return sorted(links)


def alignment_error_rate(
    predicted: Sequence[Iterable[Link]],
    sure: Sequence[Iterable[Link]],
    possible: Sequence[Iterable[Link]] | None = None,
) -> float:
    """Alignment error rate of a corpus, in [0, 1] (Och & Ney 2003): 1 - (|A & S| + |A & P|) / (|A| + |S|).

    Each argument has one set of links for each sentence: the predicted links A, the sure links S, and the possible
    links P, which contain S (`None`: the sure links are all there are). The counts are summed over the corpus.
    Raises ValueError when the numbers of sentences differ.
    """
    if possible is None:
        possible = sure
    if not len(predicted) == len(sure) == len(possible):
        raise ValueError(
            f"[alignment_error_rate] expected {len(sure)} sentences, got {len(predicted)} predicted and "
            f"{len(possible)} with possible links"
        )
    agreed = total = 0
    for predicted_links, sure_links, possible_links in zip(predicted, sure, possible, strict=True):
        a, s = set(predicted_links), set(sure_links)
        p = set(possible_links) | s
        agreed += len(a & s) + len(a & p)
        total += len(a) + len(s)
    return 1.0 - agreed / total if total else 0.0
