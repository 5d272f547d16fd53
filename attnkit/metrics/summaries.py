"""How good summaries are: ROUGE-1, ROUGE-2 and ROUGE-L (Lin, 2004), F1, as results on English summaries are published.

Words are runs of the letters a to z and digits, in lower case, and those of more than three are stemmed: what
`rouge-score` counts with its stemmer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from attnkit.metrics.lengths import check_lengths
from attnkit.metrics.stems import stem

_LONGEST_WITHOUT = 3  # letters of a word that is not stemmed


@dataclass(frozen=True, slots=True)
class Rouge:
    """F1 in percent, means over the summaries. rouge_l: of the longest common subsequence of whole texts. rouge_lsum:
    of those of their sentences, put together, which is what results on CNN / Daily Mail call ROUGE-L."""

    rouge1: float
    rouge2: float
    rouge_l: float
    rouge_lsum: float


def rouge(summaries: Sequence[str], references: Sequence[str]) -> Rouge:
    """ROUGE against one reference each. For rouge_lsum a line is a sentence.

    Raises ValueError for other numbers of either, and where no reference has a word of English letters or digits.
    """
    check_lengths("rouge", summaries, references)
    read = [[_sentences(text) for text in pair] for pair in zip(summaries, references, strict=True)]
    if not any(_joined(reference) for _, reference in read):
        raise ValueError("[rouge] expected references with words of the letters a to z or digits, got none")
    scores = [_scores(summary, reference) for summary, reference in read]
    means = (100.0 * sum(column) / len(scores) for column in zip(*scores, strict=True))
    return Rouge(*means)


def words(text: str) -> list[str]:
    """The words of a text as they are counted."""
    found: list[str] = re.findall("[a-z0-9]+", text.lower())
    return [stem(word) if len(word) > _LONGEST_WITHOUT else word for word in found]


def _sentences(text: str) -> list[list[str]]:
    return [words(line) for line in text.split("\n")]


def _joined(sentences: Iterable[list[str]]) -> list[str]:
    return [word for sentence in sentences for word in sentence]


def _scores(summary: list[list[str]], reference: list[list[str]]) -> tuple[float, float, float, float]:
    mine, right = _joined(summary), _joined(reference)
    return (
        _of_grams(mine, right, 1),
        _of_grams(mine, right, 2),
        _f1(_table(right, mine)[-1][-1], len(mine), len(right)),
        _f1(_common(summary, reference), len(mine), len(right)),
    )


def _f1(hits: int, written: int, expected: int) -> float:
    return 2 * hits / (written + expected) if hits else 0.0


def _of_grams(mine: list[str], right: list[str], order: int) -> float:
    first, second = (Counter(zip(*(each[n:] for n in range(order)), strict=False)) for each in (mine, right))
    return _f1((first & second).total(), first.total(), second.total())


def _table(right: list[str], mine: list[str]) -> list[list[int]]:
    """Lengths of longest common subsequences, [i][j] of the first i words and the first j."""
    table = [[0] * (len(mine) + 1)]
    for word in right:
        above, row = table[-1], [0]
        for j, other in enumerate(mine):
            row.append(above[j] + 1 if word == other else max(above[j + 1], row[-1]))
        table.append(row)
    return table


def _common(summary: list[list[str]], reference: list[list[str]]) -> int:
    """Words of the reference's sentences that a longest common subsequence with a sentence of the summary has, each as
    often as both texts have it: Lin's section 3.2, and what ROUGE-1.5.5 does."""
    left = Counter(_joined(summary)) & Counter(_joined(reference))
    hits = 0
    for sentence in reference:
        places = {place for other in summary for place in _subsequence(sentence, other)}
        for place in sorted(places):
            if left[sentence[place]]:
                left[sentence[place]] -= 1
                hits += 1
    return hits


def _subsequence(right: list[str], mine: list[str]) -> list[int]:
    """Where the words of a longest common subsequence stand in `right`; of several, the one that rouge-score takes."""
    table, i, j, places = _table(right, mine), len(right), len(mine), []
    while i and j:
        if right[i - 1] == mine[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places
