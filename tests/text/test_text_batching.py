"""Batches: every sentence once, the token limit, the packed layout, and exact continuation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnkit._batching import cut_batches, pack
from attnkit.text.batching import Batch, BatchIterator
from attnkit.text.corpus import EncodedCorpus, flatten

BOS, EOS = 2, 3
Sentences = list[tuple[list[int], list[int]]]
IDS = st.lists(st.integers(4, 1000), max_size=12)


def corpus_of(pairs: Sentences) -> EncodedCorpus:
    return EncodedCorpus(*flatten(source for source, _ in pairs), *flatten(target for _, target in pairs))


def random_corpus(count: int, seed: int = 0) -> EncodedCorpus:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, size=(count, 2))
    return corpus_of([tuple(rng.integers(4, 99, size=n).tolist() for n in row) for row in lengths])


def iterator(corpus: EncodedCorpus, max_tokens: int = 100, **options: int) -> BatchIterator:
    return BatchIterator(corpus, max_tokens, bos=BOS, eos=EOS, **options)  # type: ignore[arg-type]


def contents(batches: list[Batch]) -> list[tuple[object, ...]]:
    return [
        tuple(
            getattr(batch, name).tolist()
            for name in ("indices", "source_ids", "source_offsets", "target_input_ids", "target_labels")
        )
        for batch in batches
    ]


@given(
    st.lists(st.tuples(IDS, IDS), max_size=40), st.integers(1, 60), st.integers(1, 9), st.booleans(), st.integers(1, 5)
)
def test_every_sentence_once_within_the_limit(
    pairs: Sentences, max_tokens: int, bucket_size: int, shuffle: bool, max_sentences: int
) -> None:
    batches = list(
        iterator(corpus_of(pairs), max_tokens, bucket_size=bucket_size, shuffle=shuffle, max_sentences=max_sentences)
    )
    assert sorted(index for batch in batches for index in batch.indices) == list(range(len(pairs)))
    for batch in batches:
        assert batch.sentences == len(batch.indices) <= max_sentences
        assert batch.tokens == len(batch.target_labels) == batch.target_offsets[-1]
        if batch.sentences > 1:
            assert max(len(batch.source_ids), batch.tokens) <= max_tokens
        for position, index in enumerate(batch.indices):
            source, target = pairs[index]
            start, end = batch.source_offsets[position : position + 2]
            assert batch.source_ids[start:end].tolist() == [*source, EOS]
            start, end = batch.target_offsets[position : position + 2]
            assert batch.target_input_ids[start:end].tolist() == [BOS, *target]
            assert batch.target_labels[start:end].tolist() == [*target, EOS]


def test_arrays_are_int32() -> None:
    batch = next(iterator(random_corpus(5)))
    for name in ("source_ids", "source_offsets", "target_input_ids", "target_labels", "target_offsets", "indices"):
        assert getattr(batch, name).dtype == np.int32


def test_batches_are_nearly_full() -> None:
    batches = list(iterator(random_corpus(3000), 500))
    fill = [max(batch.tokens, len(batch.source_ids)) for batch in batches]
    assert np.mean(fill) > 0.9 * 500


def test_sentences_of_a_batch_have_similar_lengths() -> None:
    spreads = [np.ptp(np.diff(batch.target_offsets)) for batch in iterator(random_corpus(3000), 200)]
    assert np.median(spreads) <= 1


def test_epochs_differ_and_seeds_differ_but_repeat() -> None:
    corpus = random_corpus(300)
    first = iterator(corpus)
    epochs = [contents(list(first)) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    again = iterator(corpus)
    assert [contents(list(again)) for _ in range(3)] == epochs
    assert contents(list(iterator(corpus, seed=2))) != epochs[0]


def test_without_shuffling_every_epoch_goes_from_short_to_long() -> None:
    batches = iterator(random_corpus(300), shuffle=False)
    first, second = list(batches), list(batches)
    assert contents(first) == contents(second)
    lengths = np.concatenate([np.diff(batch.target_offsets) for batch in first])
    assert (np.diff(lengths) >= 0).all()


def test_source_eos_is_optional() -> None:
    corpus = random_corpus(3)
    with_eos, without = next(iterator(corpus)), next(iterator(corpus, source_eos=False))
    assert len(with_eos.source_ids) == len(without.source_ids) + 3
    assert EOS not in without.source_ids


@pytest.mark.parametrize("taken", [0, 1, 7, 10_000])
def test_saved_position_continues_exactly(taken: int) -> None:
    corpus = random_corpus(300)
    unbroken = iterator(corpus)
    list(unbroken)  # the second epoch is the one that is interrupted
    taken = min(taken, len(unbroken))
    for _ in range(taken):
        next(unbroken)
    state = json.loads(json.dumps(unbroken.state_dict()))
    resumed = iterator(corpus)
    resumed.load_state_dict(state)
    assert (resumed.epoch, resumed.index) == (1, taken)
    for _ in range(2):
        rest, expected = contents(list(resumed)), contents(list(unbroken))
        assert rest == expected


@pytest.mark.parametrize(
    "change", [{"seed": 2}, {"max_tokens": 99}, {"sentences": 1}, {"epoch": -1}, {"index": -1}, {"index": 10_000}]
)
def test_position_of_another_run_is_refused(change: dict[str, int]) -> None:
    batches = iterator(random_corpus(50))
    next(batches)
    before = batches.state_dict()
    with pytest.raises(ValueError, match=r"\[batching\] expected"):
        batches.load_state_dict({**before, **change})
    assert batches.state_dict() == before


def test_empty_corpus_has_no_batch() -> None:
    batches = iterator(corpus_of([]))
    assert len(batches) == 0
    assert list(batches) == []
    assert batches.epoch == 1


@pytest.mark.parametrize("options", [{"max_tokens": 0}, {"bucket_size": 0}, {"max_sentences": 0}, {"seed": -1}])
def test_bad_limits_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"\[batching\] expected"):
        iterator(random_corpus(2), **options)


def test_packing_refuses_what_does_not_exist() -> None:
    ids, offsets = flatten([[5, 6], [7]])
    for chosen in ([2], [-1]):
        with pytest.raises(ValueError, match=r"\[pack\] expected indices in \[0, 2\)"):
            pack(ids, offsets, np.array(chosen))
    for bad in ([0, 5, 3], [0, 2, 9], [-1, 2, 3]):
        with pytest.raises(ValueError, match=r"offsets in \[0, 3\]"):
            pack(ids, np.array(bad), np.array([0, 1]))
    with pytest.raises(ValueError, match="32 bits"):
        pack(ids, offsets, np.array([0]), 1 << 40)


def test_packing_reads_read_only_arrays() -> None:
    ids, offsets = flatten([[5, 6], [7]])
    ids.flags.writeable = offsets.flags.writeable = False
    packed, packed_offsets = pack(ids, offsets, np.array([1, 0]), BOS, EOS)
    assert packed.tolist() == [BOS, 7, EOS, BOS, 5, 6, EOS]
    assert packed_offsets.tolist() == [0, 3, 7]


def test_cutting_refuses_bad_input() -> None:
    one, two = np.ones(1, dtype=np.int32), np.ones(2, dtype=np.int32)
    with pytest.raises(ValueError, match="expected 2 target lengths, got 1"):
        cut_batches(two, one, 5, 5)
    with pytest.raises(ValueError, match="limits of at least 1"):
        cut_batches(two, two, 0, 5)
    assert cut_batches(two, two, 1, 5).tolist() == [1, 2]
