"""ROUGE, stems, and error rates of characters and words, held to values counted by hand or by their plain tables."""

from __future__ import annotations

import numpy as np
import pytest

from attnkit.metrics.stems import stem
from attnkit.metrics.summaries import rouge, words
from attnkit.metrics.transcripts import character_error_rate, distance, word_error_rate

# What Porter (1980) gives as examples of his steps, and NLTK's additions to them.
STEMS = """
caresses:caress ponies:poni ties:tie cats:cat feed:feed agreed:agre plastered:plaster bled:bled motoring:motor
sing:sing conflated:conflat troubled:troubl sized:size hopping:hop tanned:tan falling:fall hissing:hiss
fizzed:fizz failing:fail filing:file happy:happi sky:sky relational:relat conditional:condit rational:ration
valency:valenc digitizer:digit radically:radic differently:differ vilely:vile analogously:analog
vietnamization:vietnam predication:predic operator:oper feudalism:feudal decisiveness:decis hopefulness:hope
callousness:callous formality:formal sensitivity:sensit sensibility:sensibl triplicate:triplic formative:form
formalize:formal electrical:electr goodness:good revival:reviv allowance:allow airliner:airlin
gyroscopic:gyroscop defensible:defens replacement:replac adoption:adopt communism:commun activate:activ
effective:effect probate:probat rate:rate cease:ceas controlling:control roll:roll enjoyed:enjoy spied:spi
died:die dying:die news:news skies:sky technologically:technolog syzygy:syzygi is:is
"""


def test_stems_are_porters() -> None:
    pairs = [each.split(":") for each in STEMS.split()]
    assert [(word, stem(word)) for word, _ in pairs] == [(word, right) for word, right in pairs]


def test_words_of_three_letters_are_not_stemmed() -> None:
    assert words("It's RUNNING: 12.5 runs, dogs' bus!") == ["it", "s", "run", "12", "5", "run", "dog", "bus"]


def test_rouge_counted_by_hand() -> None:
    found = rouge(["The cats sat on the mat"], ["the cat was on a mat\n"])
    # the, cat, on, mat: 4 of 6 and 6, for "cats" is stemmed. Of two words in a row only "the cat".
    assert found.rouge1 == pytest.approx(100 * 4 / 6)
    assert found.rouge2 == pytest.approx(100 * 1 / 5)
    assert found.rouge_l == found.rouge_lsum == pytest.approx(100 * 4 / 6)
    both = rouge(["The cats sat on the mat", "x"], ["the cat was on a mat", "y"])
    assert both.rouge1 == pytest.approx(found.rouge1 / 2)


def test_sentences_may_stand_in_another_order() -> None:
    """Lin (2004), section 3.2: of w1 w2 w3 w4 w5 the sentences w1 w2 w6 w7 w8 and w1 w3 w8 w9 w5 have w1 w2 w3 w5."""
    found = rouge(["w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5"], ["w1 w2 w3 w4 w5"])
    assert found.rouge_lsum == pytest.approx(100 * 2 * 4 / (10 + 5))
    turned = rouge(["two men eat\na dog runs"], ["a dog runs\ntwo men eat"])
    assert turned.rouge_lsum == pytest.approx(100.0) and turned.rouge_l == pytest.approx(50.0)
    # A word of the summary is counted once, though both sentences of the reference have it.
    twice = rouge(["dog"], ["dog\ndog"])
    assert twice.rouge_lsum == pytest.approx(100 * 2 * 1 / 3)


def test_nothing_written_scores_nothing() -> None:
    found = rouge(["", "a"], ["a b", ""])
    assert (found.rouge1, found.rouge2, found.rouge_l, found.rouge_lsum) == (0.0, 0.0, 0.0, 0.0)


def test_rouge_is_that_of_rouge_score() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer")
    rng = np.random.default_rng(0)
    vocabulary = ["dogs", "dog", "running", "run\n", "the", "house.\n", "flies", "Señor", "x-ray"]
    texts = [" ".join(rng.choice(vocabulary, rng.integers(0, 30))) for _ in range(80)]
    kinds = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scores = [
        scorer.RougeScorer(kinds, use_stemmer=True).score(b, a) for a, b in zip(texts[::2], texts[1::2], strict=True)
    ]
    found = rouge(texts[::2], texts[1::2])
    for kind, value in zip(kinds, (found.rouge1, found.rouge2, found.rouge_l, found.rouge_lsum), strict=True):
        assert value == pytest.approx(100 * np.mean([each[kind].fmeasure for each in scores]))


def test_rouge_refuses_what_it_cannot_count() -> None:
    with pytest.raises(ValueError, match="letters a to z or digits, got none"):
        rouge(["да"], ["нет"])
    with pytest.raises(ValueError, match="one reference for each"):
        rouge(["a"], ["a", "b"])


def table(first: str, second: str) -> int:
    """Levenshtein's distance by its definition."""
    rows = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        before, rows[0] = rows[0], i
        for j, b in enumerate(second, start=1):
            before, rows[j] = rows[j], min(rows[j] + 1, rows[j - 1] + 1, before + (a != b))
    return rows[-1]


def test_the_distance_is_levenshteins() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        first, second = ("".join(rng.choice(list("abc"), rng.integers(0, 90))) for _ in range(2))
        assert distance(first, second) == table(first, second), (first, second)
    assert distance("kitten", "sitting") == 3 and distance(["a", "b"], ["b"]) == 1


def test_error_rates_are_of_all_references_together() -> None:
    assert character_error_rate(["abcd", "x"], ["abce", "xyzxyz"]) == pytest.approx(100 * 6 / 10)
    assert word_error_rate(["the  red dog", ""], ["the dog", "A man"]) == pytest.approx(100 * 3 / 4)
    assert character_error_rate(["cafe\u0301 "], ["  caf\u00e9"]) == 0.0
    assert character_error_rate(["Total"], ["total"]) == pytest.approx(20.0)
    with pytest.raises(ValueError, match="references with text, got empty ones"):
        character_error_rate(["a"], [" "])
