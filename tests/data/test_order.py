"""Batches that are cut among processes: together the shards are the batch, whoever makes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attnkit.data.order import Epochs, shards
from attnkit.text import EncodedCorpus, Masker, MaskingConfig, Vocabulary, WordTokenizer
from attnkit.text.batching import BatchIterator
from attnkit.text.corpus import TokenLinks, flatten
from attnkit.text.document_batching import DocumentBatch, DocumentIterator
from attnkit.text.documents import DocumentReport, EncodedDocuments
from attnkit.text.masked_batching import MaskedBatch, MaskedIterator
from attnkit.text.tokenizers.vocabulary import MASK_TOKEN
from attnkit.vision import AugmentationConfig, Captions, Classes, ImageLoader, PixelArray, Preprocessing

# ----- Where a batch is cut


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 8))
def test_shards_are_runs_that_cover_the_batch(costs: list[int], of: int) -> None:
    found = [range(len(costs))[cut] for cut in shards(np.array(costs, np.int32), of)]
    assert [place for run in found for place in run] == list(range(len(costs)))
    filled = [bool(run) for run in found]
    assert filled == [part < len(costs) for part in range(of)]


@given(st.lists(st.integers(1, 50), min_size=40, max_size=90), st.integers(2, 6))
def test_the_cuts_are_where_the_costs_are_nearest_to_equal(costs: list[int], of: int) -> None:
    sums = np.concatenate([[0], np.cumsum(costs)])
    for part, cut in enumerate(shards(np.array(costs, np.int32), of)[:-1], start=1):
        assert abs(sums[cut.stop] * of - part * sums[-1]) == np.abs(sums * of - part * sums[-1]).min()


def test_where_one_example_costs_most_the_others_still_share() -> None:
    assert shards(np.array([100, 1, 1, 1]), 3) == [slice(0, 1), slice(1, 2), slice(2, 4)]
    assert shards(np.array([1, 1, 1, 100]), 3) == [slice(0, 2), slice(2, 3), slice(3, 4)]
    assert shards(np.array([2**31 - 1] * 4, np.int32), 2) == [slice(0, 2), slice(2, 4)]


# ----- Every kind of batch


def corpus(count: int, sources: bool = True, seed: int = 0) -> EncodedCorpus:
    random = np.random.default_rng(seed)
    targets = [random.integers(5, 90, length).tolist() for length in random.integers(1, 30, count)]
    lines = [random.integers(5, 90, length).tolist() if sources else [] for length in random.integers(1, 30, count)]
    links = [[(int(random.integers(len(line))), place) for place in range(0, len(target), 2)] if sources else []
             for line, target in zip(lines, targets, strict=True)]  # fmt: skip
    places, offsets = flatten([[source for source, _ in each] for each in links])
    found = TokenLinks(places, flatten([[target for _, target in each] for each in links])[0], offsets)
    return EncodedCorpus(*flatten(lines), *flatten(targets), links=found if sources else None)


def pairs() -> Epochs[Any]:
    return BatchIterator(corpus(200), 100, bos=2, eos=3)


def recut_pairs() -> Epochs[Any]:
    """As BPE-dropout does: other ids, and other lengths, in each epoch."""

    def resample(epoch: int) -> EncodedCorpus:
        return corpus(200, seed=epoch)

    return BatchIterator(corpus(200), 100, bos=2, eos=3, resample=resample)


def texts() -> Epochs[Any]:
    return BatchIterator(corpus(200, sources=False), 100, bos=2, eos=3, source_eos=False)


def hidden() -> Epochs[Any]:
    tokenizer = WordTokenizer(Vocabulary([f"w{number}" for number in range(100)], [MASK_TOKEN]))
    return MaskedIterator(corpus(200, sources=False), Masker(MaskingConfig(), tokenizer, 4), 100, bos=2)


def documents() -> Epochs[Any]:
    random = np.random.default_rng(0)
    count, sentences = 100, random.integers(1, 4, 100)
    ids, sentence_offsets = flatten([5, *random.integers(5, 90, 3).tolist()] for _ in range(sentences.sum()))
    document_offsets = np.concatenate([[0], np.cumsum(sentences)]).astype(np.int64)
    labels = np.arange(count, dtype=np.int32)
    return DocumentIterator(EncodedDocuments(ids, sentence_offsets, document_offsets, labels, DocumentReport()), 100)


class Watched(PixelArray):
    """Pictures that remember which of them were asked for."""

    def __init__(self, count: int) -> None:
        super().__init__(np.random.default_rng(0).integers(0, 256, (count, 4, 4), np.uint8))
        self.seen: list[int] = []

    def get(self, index: int, channels: int, at_least: int) -> Image.Image:
        self.seen.append(index)
        return super().get(index, channels, at_least)


PREPARED = Preprocessing(size=4, channels=1)


def images(mixup: float = 0.0, pictures: Watched | None = None, shuffle: bool = True) -> ImageLoader:
    pictures = pictures or Watched(50)
    augmentation = AugmentationConfig(operations=1, erase=0.5)
    labels = Classes(np.arange(len(pictures), dtype=np.int32), mixup)
    return ImageLoader(pictures, labels, PREPARED, 8, augmentation=augmentation, shuffle=shuffle)


def blended() -> Epochs[Any]:
    return images(mixup=0.4)


def captions() -> Epochs[Any]:
    written = [[[number, turn] for turn in range(3)] for number in range(5, 55)]
    augmentation = AugmentationConfig(operations=1, erase=0.5)
    return ImageLoader(Watched(50), Captions(written, 2, 3), PREPARED, 8, augmentation=augmentation)


KINDS = [pairs, recut_pairs, texts, hidden, documents, images, blended, captions]
of_every_kind = pytest.mark.parametrize("kind", KINDS)
Kind = Callable[[], Epochs[Any]]


def arrays(batch: Any) -> list[Any] | None:
    """All that a batch holds."""
    if batch is None:
        return None
    values = [getattr(batch, field.name) for field in fields(batch)]
    return [(str(value.dtype), value.tolist()) if isinstance(value, np.ndarray) else value for value in values]


def examples(batch: Any) -> list[Any]:
    """What a batch holds, by its examples; places are counted in each."""
    found: list[list[Any]] = [[int(index)] for index in batch.indices]

    def by_offsets(offsets: Any, values: Any) -> None:
        for number, own in enumerate(found):
            own.append(np.asarray(values)[offsets[number] : offsets[number + 1]].tolist())

    def by_owner(offsets: Any, places: Any, values: Any) -> None:
        owners = np.searchsorted(np.asarray(offsets), np.asarray(places), side="right") - 1
        for owner, place, value in zip(owners.tolist(), places, values, strict=True):
            found[owner].append((int(place - offsets[owner]), value))

    if isinstance(batch, MaskedBatch):
        by_offsets(batch.offsets, batch.ids)
        by_owner(batch.offsets, batch.places, batch.labels.tolist())
    elif isinstance(batch, DocumentBatch):
        begins, sizes = batch.sentence_offsets[batch.document_offsets], np.diff(batch.sentence_offsets)
        by_offsets(begins, batch.ids)
        by_owner(begins, batch.sentence_offsets[:-1], sizes.tolist())
        by_offsets(range(len(found) + 1), batch.labels)
    else:
        rows = [getattr(batch, name, None) for name in ("images", "labels", "other_labels", "share")]
        for values in rows:
            if values is not None:
                by_offsets(range(len(found) + 1), values)
    if hasattr(batch, "target_offsets"):
        by_offsets(batch.target_offsets, batch.target_input_ids)
        by_offsets(batch.target_offsets, batch.target_labels)
    if hasattr(batch, "source_offsets"):
        by_offsets(batch.source_offsets, batch.source_ids)
        owners = np.searchsorted(np.asarray(batch.target_offsets), batch.link_targets, side="right") - 1
        by_owner(batch.target_offsets, batch.link_targets, (batch.link_sources - batch.source_offsets[owners]).tolist())
    return found


@of_every_kind
@pytest.mark.parametrize("of", [2, 3, 4, 16])
def test_all_shards_together_are_the_batch(kind: Kind, of: int) -> None:
    whole, cut = kind(), kind()
    cut.deal(range(of), of)
    for epoch in range(2):
        batches = list(whole)
        for batch in batches:
            parts = cut.next_shards()
            assert len(parts) == of
            assert [one for part in parts if part is not None for one in examples(part)] == examples(batch)
            assert sum(part.tokens for part in parts if part is not None) == batch.tokens
            assert [part is not None for part in parts] == [number < len(batch.indices) for number in range(of)]
        with pytest.raises(StopIteration):
            cut.next_shards()
        assert (cut.epoch, cut.index) == (epoch + 1, 0) and len(batches) > 5


@of_every_kind
def test_any_number_of_processes_makes_the_same_shards(kind: Kind) -> None:
    def made(processes: int) -> list[Any]:
        each = [kind() for _ in range(processes)]
        size = 4 // processes
        for rank, batches in enumerate(each):
            batches.deal(range(rank * size, (rank + 1) * size), 4)
        return [[arrays(part) for batches in each for part in batches.next_shards()] for _ in range(6)]

    assert made(1) == made(2) == made(4)


@of_every_kind
def test_a_whole_batch_is_its_only_shard(kind: Kind) -> None:
    whole, cut = kind(), kind()
    for batch in whole:
        assert [arrays(batch)] == [arrays(part) for part in cut.next_shards()]
    assert whole.state_dict() != cut.state_dict() and cut.turn() and whole.state_dict() == cut.state_dict()


@of_every_kind
def test_a_run_goes_on_with_another_number_of_processes(kind: Kind) -> None:
    begun, expected = kind(), kind()
    begun.deal(range(1, 2), 2)
    for _ in range(3):
        begun.next_shards()
        next(expected)
    assert begun.state_dict() == expected.state_dict()
    resumed = kind()
    resumed.next_shards()  # what was prepared for another place is not given out
    resumed.deal(range(3), 3)
    resumed.load_state_dict(json.loads(json.dumps(begun.state_dict())))
    parts = [part for part in resumed.next_shards() if part is not None]
    assert [one for part in parts for one in examples(part)] == examples(next(expected))
    resumed.deal(range(1), 1)
    assert arrays(next(resumed)) == arrays(next(expected))


@pytest.mark.parametrize("kind", [pairs, texts, hidden])
def test_shards_cost_about_the_same(kind: Kind) -> None:
    def cost(part: Any) -> int:
        return sum(len(getattr(part, name, ())) for name in ("source_ids", "target_labels", "ids"))

    batches = kind()
    batches.deal(range(2), 2)
    for _ in range(10):
        parts = batches.next_shards()
        longest = max(cost(part) / len(part.indices) for part in parts) * 2
        assert max(map(cost, parts)) - min(map(cost, parts)) <= longest


def test_images_are_shared_out_evenly() -> None:
    batches = images()
    batches.deal(range(3), 3)
    assert [len(part.indices) for part in batches.next_shards() if part is not None] == [3, 2, 3]


@of_every_kind
def test_picked_batches_are_those_of_the_epoch(kind: Kind) -> None:
    batches, expected = kind(), [arrays(batch) for batch in kind()]
    batches.deal(range(1, 2), 2)
    numbers = range(1, len(batches), 3)
    before = batches.state_dict()
    assert [arrays(batch) for batch in batches.pick(numbers)] == [expected[number] for number in numbers]
    assert batches.state_dict() == before
    assert list(batches.pick(range(0))) == []


def test_only_what_is_asked_for_is_prepared() -> None:
    pictures = Watched(48)
    batches = images(pictures=pictures, shuffle=False)
    assert [batch.indices[0] for batch in batches.pick(range(1, 6, 2))] == [8, 24, 40]
    assert sorted(pictures.seen) == [*range(8, 16), *range(24, 32), *range(40, 48)]
    pictures.seen.clear()
    batches.deal(range(1, 2), 2)
    own = [part.indices.tolist() for _ in range(6) for part in batches.next_shards() if part is not None]
    assert own == [list(range(begin + 4, begin + 8)) for begin in range(0, 48, 8)]
    assert sorted(pictures.seen) == sorted(image for shard in own for image in shard)


def test_after_mixup_no_image_is_prepared_twice() -> None:
    pictures = Watched(8)
    batches = images(mixup=0.4, pictures=pictures, shuffle=False)
    batches.deal(range(4), 4)
    batches.next_shards()
    assert sorted(pictures.seen) == list(range(8))


@pytest.mark.parametrize(("parts", "of"), [(range(1), 0), (range(3), 2), (range(-1, 1), 2), (range(0, 4, 2), 4)])
def test_parts_that_there_are_not(parts: range, of: int) -> None:
    with pytest.raises(ValueError, match=r"\[batching\] expected some of at least one shard, got range\("):
        pairs().deal(parts, of)


def test_a_cut_batch_is_not_taken_for_a_whole_one() -> None:
    batches = pairs()
    batches.deal(range(2), 2)
    with pytest.raises(RuntimeError, match="expected whole batches, got ones cut into 2"):
        next(batches)
