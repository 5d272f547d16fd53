"""What experiments count, on examples small enough to count by hand; and the tasks that are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import attnkit
from attnkit import nn
from attnkit.explore import context, distance, local, memory, recency, small, speed
from attnkit.explore.laboratory import Laboratory, forced_hits, held_out
from attnkit.text.alignment import AlignedPair


def test_accuracy_by_place_counts_only_targets_that_reach_it() -> None:
    hits = [np.array([True, False, True]), np.array([True]), np.array([False, True])]
    assert context.by_place(hits, 5) == {1: pytest.approx(200 / 3), 2: 50.0, 3: 100.0}


def test_accuracy_by_position_follows_the_links_of_counted_words() -> None:
    # The first source word makes the second target word, and the other way round; "il" is not counted.
    pair = AlignedPair("a b", "il x", ((0, 1), (1, 0)))
    assert recency.by_position([pair], [np.array([False, True])], {"x"}, 2) == {1: 100.0}
    assert recency.by_position([pair], [np.array([True, False])], {"x", "il"}, 2) == {1: 0.0, 2: 100.0}


def test_words_of_a_hundredth_of_the_text_are_not_rare() -> None:
    pairs = [AlignedPair("", " ".join(["il"] * 99 + [f"word{index}"]), ()) for index in range(3)]
    assert recency.rare_words(pairs) == {"word0", "word1", "word2"}


def test_a_quality_is_reached_between_two_validations() -> None:
    course = [(10.0, 40.0), (20.0, 90.0), (30.0, 95.0)]
    assert speed.reached(course, 65.0) == pytest.approx(15.0)
    assert speed.reached(course, 20.0) == pytest.approx(5.0)
    assert speed.reached(course, 96.0) is None


def test_forced_hits_are_what_the_translator_writes_after_a_prefix(tmp_path: Path, tiny: None) -> None:
    translator = Laboratory(tmp_path, lambda text: None, steps=12).train("run", "en-it-recurrent")
    pairs = held_out(12)
    found = forced_hits(translator, pairs)
    assert any(hit.any() for hit in found), "a model that is never right would agree with anything"
    for pair, hits in zip(pairs, found, strict=True):
        words = pair.target.split()
        assert len(hits) == len(words)
        for place, word in enumerate(words):
            prefix = " ".join(words[:place])
            written = translator.translate([pair.source], prefix=[prefix], beam=1, max_length=place + 1)[0].text.split()
            # Words that the small vocabulary lacks are written as they stand, and are never the model's choice.
            if len(written) > place and "<unk>" not in written and hits[place]:
                assert written[place] == word


def test_a_run_of_another_experiment_is_taken_from_the_shelf(tmp_path: Path, tiny: None) -> None:
    def laboratory(name: str, notes: list[str]) -> Laboratory:
        return Laboratory(tmp_path / name, notes.append, steps=2, shelf=tmp_path)

    first: list[str] = []
    laboratory("one", first).train("a", "en-it-recurrent", ["model.score=dot"])
    second: list[str] = []
    taken = laboratory("two", second)
    taken.train("b", "en-it-recurrent", ["model.score=dot"])
    assert first == ["training a"] and second == [f"b is trained: {tmp_path / 'one' / 'runs' / 'a'}"]
    assert not (tmp_path / "two").exists() and taken.metrics("b", "loss")
    taken.train("c", "en-it-recurrent", ["model.score=general"])  # another configuration
    assert second[-1] == "training c" and (tmp_path / "two" / "runs" / "c").is_dir()


# ----- Small tasks


def test_self_attention_learns_what_lies_far_back_and_guessing_is_an_eighth() -> None:
    make = distance.READERS["self-attention"]
    assert distance.recall(make, 12, 150, seed=1) > 90.0
    assert 5.0 < distance.recall(make, 12, 1, seed=1) < 30.0


def test_a_question_is_the_key_that_was_asked_for_or_what_is_left_of_it() -> None:
    question = memory.draw_questions(np.random.default_rng(0), 5, damage=0.25)
    keys = question.keys[np.arange(5), question.asked]
    assert (question.question[:, :8] == 0).all() and (question.question[:, 8:] == keys[:, 8:]).all()
    whole = memory.draw_questions(np.random.default_rng(0), 5)
    assert (whole.question == keys).all()


def test_the_reader_of_a_memory_weighs_every_slot() -> None:
    question = memory.draw_questions(np.random.default_rng(0), 7)
    logits, weights = memory.Reader()(question)
    assert logits.shape[0] == 7 and weights.shape == question.values.shape
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)


def test_fit_lowers_the_loss_and_accuracy_is_a_percentage() -> None:
    attnkit.manual_seed(1)
    model = nn.Linear(2, 2)

    def logits(random: np.random.Generator) -> tuple[attnkit.Tensor, np.ndarray]:
        x = random.standard_normal((64, 2)).astype(np.float32)
        return model(attnkit.tensor(x)), (x[:, 0] > x[:, 1]).astype(np.int32)

    seen: list[int] = []
    small.fit(model, logits, 100, 0.05, 1, seen.append)
    assert small.accuracy(logits, 4, 2) > 90.0 and seen == list(range(1, 101))


def test_every_kind_of_attention_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "LENGTHS", (30, 60))
    for name in local.NORMALISERS:
        for backward in (False, True):
            times = local.measure(name, backward)
            assert list(times) == [30, 60] and all(0.0 < each < 1e4 for each in times.values())
