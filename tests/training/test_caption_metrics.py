"""BLEU-1 to 4 and CIDEr-D of captions, held to their formulas written out in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attnkit.metrics import captions as caption_metrics

REFERENCES = [
    ("A dog runs on the beach .", "A brown dog is running.", "the dog runs"),
    ("Two children play football", "Kids are playing with a ball"),
    ("A man rides a horse",),
    ("A dog sleeps on a red sofa", "the dog's asleep on the sofa"),
]
CAPTIONS = [
    "a dog runs on the beach",
    "two children play with a ball",
    "a man on a bicycle",
    "dog dog sofa sofa sofa dog",
]


def grams(caption: str, order: int) -> list[tuple[str, ...]]:
    tokens = caption_metrics.words(caption)
    return [tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1)]


def cider_formula(captions: list[str], references: list[tuple[str, ...]]) -> float:
    """CIDEr-D with dense vectors over all n-grams there are."""
    images, total = len(captions), 0.0
    for order in range(1, 5):
        every = [*captions, *(line for lines in references for line in lines)]
        vocabulary = sorted({gram for line in every for gram in grams(line, order)})
        having = [[any(gram in grams(line, order) for line in lines) for lines in references] for gram in vocabulary]
        idf = np.log(images / np.maximum(1.0, np.array(having, float).reshape(len(vocabulary), images).sum(1)))

        def vector(line: str, n: int = order, vocabulary: list = vocabulary, idf: np.ndarray = idf) -> np.ndarray:
            return np.array([grams(line, n).count(gram) for gram in vocabulary]) * idf

        for caption, lines in zip(captions, references, strict=True):
            g = vector(caption)
            for line in lines:
                h = vector(line)
                norm = np.linalg.norm(g) * np.linalg.norm(h)
                apart = len(caption_metrics.words(caption)) - len(caption_metrics.words(line))
                similarity = np.minimum(g, h) @ h / norm if norm else 0.0
                total += 10.0 * math.exp(-(apart**2) / 72.0) * similarity / len(lines)
    return 100.0 * total / 4 / images


def bleu_formula(captions: list[str], references: list[tuple[str, ...]], highest: int) -> float:
    logs = 0.0
    for order in range(1, highest + 1):
        matched = count = 0
        for caption, lines in zip(captions, references, strict=True):
            mine = grams(caption, order)
            for gram in set(mine):
                matched += min(mine.count(gram), max(grams(line, order).count(gram) for line in lines))
            count += len(mine)
        logs += math.log(matched / count) / highest
    length = sum(len(caption_metrics.words(caption)) for caption in captions)
    nearest = 0
    for caption, lines in zip(captions, references, strict=True):
        own = len(caption_metrics.words(caption))
        lengths = [len(caption_metrics.words(line)) for line in lines]
        nearest += min(lengths, key=lambda n, own=own: (abs(n - own), n))
    return 100.0 * math.exp(logs) * min(1.0, math.exp(1 - nearest / length))


def test_cider_is_its_formula() -> None:
    score = caption_metrics.cider(CAPTIONS, REFERENCES)
    assert score == pytest.approx(cider_formula(CAPTIONS, REFERENCES), rel=1e-12) and score > 50


def test_cider_at_its_ends() -> None:
    right = [lines[0] for lines in REFERENCES]
    alone = [(line,) for line in right]
    assert caption_metrics.cider(right, alone) == pytest.approx(1000.0)
    assert caption_metrics.cider(["nothing of this"] * 4, alone) == 0.0
    assert caption_metrics.cider(["", "", "", ""], alone) == 0.0
    assert caption_metrics.cider(right[:1], alone[:1]) == 0.0  # one image: every word is in all images


def test_bleu_is_its_formula() -> None:
    scores = caption_metrics.bleu(CAPTIONS[:3], REFERENCES[:3])
    expected = [bleu_formula(CAPTIONS[:3], REFERENCES[:3], order) for order in range(1, 5)]
    assert scores == pytest.approx(expected, rel=1e-9) and scores == sorted(scores, reverse=True)


def test_case_and_punctuation_do_not_count() -> None:
    shouted = ["A DOG runs, on the beach!"]
    assert caption_metrics.bleu(shouted, REFERENCES[:1]) == pytest.approx([100.0] * 4)
    assert caption_metrics.words("It's a dog's-ear; 3 of them …") == ["it's", "a", "dog's", "ear", "3", "of", "them"]


@pytest.mark.parametrize("metric", [caption_metrics.bleu, caption_metrics.cider])
@pytest.mark.parametrize("references", [[], [("a",), ("b",)], [()]])
def test_references_for_every_caption(metric: object, references: list[tuple[str, ...]]) -> None:
    captions = ["a"] * (1 if references else 0)
    with pytest.raises(ValueError, match="expected references for each of one or more captions"):
        metric(captions, references)  # type: ignore[operator]
