"""Sentence pairs between the tokens that a model wants around them."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from attnkit.tasks.translate.pairs import encode_pairs, make_batches
from attnkit.text.corpus import ParallelCorpus
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.tagged import TaggedTokenizer
from attnkit.text.word_pieces import word_finders

PAIRS = [("a b", "b a"), ("b", "a"), ("a b b", "b")]
LINKS = [[(0, 1), (1, 0)], [(0, 0)], [(2, 0)]]

Closed = Callable[[Sequence[int], int], list[int]]


def framed(values: Sequence[int], end: int) -> list[int]:
    """Of a model that reads a token before a sentence and two behind it."""
    return [77, *values, end, 88] if end >= 0 else [-1, *values, -1, -1]


def tokenizers_of(closed: Closed | None) -> TokenizerPair:
    sources, targets = zip(*PAIRS, strict=True)
    pair = TokenizerPair.train(sources, targets, TokenizerConfig(kind="word", joint=False))
    pair.source.eos_id = 55
    if closed is not None:
        pair.source.closed = closed  # type: ignore[method-assign]
    return pair


@pytest.mark.parametrize(
    ("closed", "before", "behind"), [(None, [], [55]), (framed, [77], [55, 88])], ids=["plain", "framed"]
)
def test_a_source_has_what_its_model_reads_around_it(
    closed: Closed | None, before: list[int], behind: list[int]
) -> None:
    tokenizers = tokenizers_of(closed)
    model = cast(Any, types.SimpleNamespace(bos_id=41, eos_id=42))
    text = ParallelCorpus.from_pairs(PAIRS, LINKS)
    pairs = encode_pairs(text, tokenizers, 10, word_finders(tokenizers))
    (batch,) = (each for each, _ in zip(make_batches(model, tokenizers, pairs, 100, shuffle=False), "1", strict=False))
    links: list[tuple[int, int]] = []
    for row, number in enumerate(batch.indices):
        source, target = tokenizers.source.encode(PAIRS[number][0]), tokenizers.target.encode(PAIRS[number][1])
        first, end = batch.source_offsets[row : row + 2]
        assert batch.source_ids[first:end].tolist() == [*before, *source, *behind]
        start, end = batch.target_offsets[row : row + 2]
        assert batch.target_input_ids[start:end].tolist() == [41, *target]
        assert batch.target_labels[start:end].tolist() == [*target, 42]
        links += [(int(first) + len(before) + one, int(start) + other) for one, other in LINKS[number]]
    assert sorted(zip(batch.link_sources.tolist(), batch.link_targets.tolist(), strict=True)) == sorted(links)


@pytest.mark.parametrize("last", [False, True])
def test_both_sides_may_have_the_token_of_their_language(last: bool) -> None:
    """A source's own and, as its first label, that of the target, which the source's tag may say; neither is linked."""
    sources, targets = zip(*PAIRS, strict=True)
    tokenizers = TokenizerPair.train(sources, targets, TokenizerConfig(kind="word"), languages=["x", "y", "z"])
    assert isinstance(tokenizers.source, TaggedTokenizer)
    inner, ids = cast(Any, tokenizers.source.inner), tokenizers.source.ids
    inner.marks_both, inner.source_language, inner.target_language, inner.language_last = True, "x", "y", last
    text = ParallelCorpus.from_pairs([*PAIRS[:2], (f">>z<< {PAIRS[2][0]}", PAIRS[2][1])], LINKS, tagged=True)
    # With its token the longest source is of 4, and no pair of any more.
    assert len(encode_pairs(text, tokenizers, 3)) == (1 if last else 2)
    pairs = encode_pairs(text, tokenizers, 5, word_finders(tokenizers))
    model = cast(Any, types.SimpleNamespace(bos_id=41, eos_id=42))
    (batch,) = (each for each, _ in zip(make_batches(model, tokenizers, pairs, 100, shuffle=False), "1", strict=False))
    before = 0 if last else 1
    links: list[tuple[int, int]] = []
    for row, number in enumerate(batch.indices):
        source, target = inner.encode(PAIRS[number][0]), inner.encode(PAIRS[number][1])
        first, end = batch.source_offsets[row : row + 2]
        wanted = [*source, inner.eos_id, ids["x"]] if last else [ids["x"], *source, inner.eos_id]
        assert batch.source_ids[first:end].tolist() == wanted
        start, end = batch.target_offsets[row : row + 2]
        to = ids["z" if number == 2 else "y"]
        assert batch.target_input_ids[start:end].tolist() == [41, to, *target]
        assert batch.target_labels[start:end].tolist() == [to, *target, 42]
        links += [(int(first) + before + one, int(start) + 1 + other) for one, other in LINKS[number]]
    assert sorted(zip(batch.link_sources.tolist(), batch.link_targets.tolist(), strict=True)) == sorted(links)
