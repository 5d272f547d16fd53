"""How good captions are: BLEU-1 to BLEU-4 and CIDEr-D, against several references an image.

Before counting, captions are lower-cased and cut into words and numbers, without punctuation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from attnkit.words import words as find_words

_ORDERS = 4
_SIGMA = 6.0  # of the penalty for another length, in words

Counts = Counter[tuple[str, ...]]


def words(caption: str) -> list[str]:
    """The words of a caption as the metrics count them."""
    return find_words(caption.lower())


def bleu(captions: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Corpus BLEU-1 to BLEU-4 in percent (Papineni et al., 2002), by sacrebleu, against all references of an image.

    Raises ValueError unless there is a caption, and references for each.
    """
    from sacrebleu.metrics.bleu import BLEU

    _check("bleu", captions, references)
    most = max(map(len, references))
    # sacrebleu wants a stream for the first references, one for the second ones, and so on; None where there is none.
    streams = [[" ".join(words(each[n])) if n < len(each) else None for each in references] for n in range(most)]
    lines = [" ".join(words(caption)) for caption in captions]
    scores = []
    for order in range(1, _ORDERS + 1):
        metric = BLEU(tokenize="none", force=True, max_ngram_order=order)
        scores.append(metric.corpus_score(lines, streams).score)  # type: ignore[arg-type]  # None is allowed
    return scores


def exact(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """How many captions are, to the character, one of their references, in percent.

    Raises ValueError unless there is a caption, and references for each.
    """
    _check("exact", captions, references)
    right = sum(caption in of_image for caption, of_image in zip(captions, references, strict=True))
    return 100.0 * right / len(captions)


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """CIDEr-D in percent (Vedantam et al., 2015, section 5): how much a caption says what its references say, words
    that few images have counting most.

    For n-grams of each order n from 1 to 4, with g the tf-idf vectors and l the lengths of caption c and reference s:

        CIDEr-D_n(c, S) = 10 / |S| · Σ_s exp(-(l(c) - l(s))² / (2 · 6²)) · min(g(c), g(s)) · g(s) / (|g(c)| |g(s)|)

    and the score is the mean over n and over the images; idf is the logarithm of the number of images over those whose
    references have the n-gram. A corpus of one image has an idf of 0 throughout, and scores 0. In percent as papers
    print it: 100 is 1.0.

    Raises ValueError unless there is a caption, and references for each.
    """
    _check("cider", captions, references)
    read = [[_counts(words(line)) for line in of_image] for of_image in references]
    images_with: Counts = Counter()
    for of_image in read:
        images_with.update({gram for _, counts in of_image for each in counts for gram in each})
    idf = {gram: math.log(len(captions) / count) for gram, count in images_with.items()}
    unseen = math.log(len(captions))
    total = 0.0
    for caption, of_image in zip(captions, read, strict=True):
        mine = _counts(words(caption))
        total += sum(_similarity(mine, other, idf, unseen) for other in of_image) / len(of_image)
    return 100.0 * total / len(captions)


def _counts(tokens: list[str]) -> tuple[int, list[Counts]]:
    """The length, and how often each n-gram of each order occurs."""
    grams = [Counter(zip(*(tokens[i:] for i in range(n)), strict=False)) for n in range(1, _ORDERS + 1)]
    return len(tokens), grams


def _similarity(
    caption: tuple[int, list[Counts]],
    reference: tuple[int, list[Counts]],
    idf: dict[tuple[str, ...], float],
    unseen: float,
) -> float:
    """10 times the mean over the orders."""
    difference = caption[0] - reference[0]
    total = 0.0
    for mine, theirs in zip(caption[1], reference[1], strict=True):
        g = {gram: count * idf.get(gram, unseen) for gram, count in mine.items()}
        h = {gram: count * idf.get(gram, unseen) for gram, count in theirs.items()}
        norm = math.sqrt(sum(x * x for x in g.values())) * math.sqrt(sum(x * x for x in h.values()))
        if norm:
            total += sum(min(x, h.get(gram, 0.0)) * h.get(gram, 0.0) for gram, x in g.items()) / norm
    return 10.0 * total / _ORDERS * math.exp(-(difference**2) / (2 * _SIGMA**2))


def _check(name: str, captions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not captions or len(captions) != len(references) or not all(references):
        raise ValueError(
            f"[{name}] expected references for each of one or more captions, got {len(references)} for {len(captions)}"
        )
