"""Hidden tokens: how many, in whose place, by seed and epoch alone; batches of them, resumed exactly."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from attnkit.text import EncodedCorpus, Masker, MaskingConfig, TokenizerConfig, TokenizerPair, Vocabulary, WordTokenizer
from attnkit.text.corpus import flatten
from attnkit.text.masked_batching import MaskedIterator
from attnkit.text.masking import NOT_HIDDEN
from attnkit.text.tokenizers.vocabulary import BOS, MASK_TOKEN, UNK

WORDS = [f"w{number}" for number in range(200)]
TOKENIZER = WordTokenizer(Vocabulary(WORDS, [MASK_TOKEN]))
MASK = 4
FIRST = 5  # the first word's id


def masker(**options: Any) -> Masker:
    return Masker(MaskingConfig(**options), TOKENIZER, MASK)


def texts(count: int = 5000, longest: int = 60, seed: int = 0) -> list[list[int]]:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest + 1, count)
    return [random.integers(FIRST, FIRST + len(WORDS), length).tolist() for length in lengths]


def corpus(lines: list[list[int]]) -> EncodedCorpus:
    return EncodedCorpus(np.zeros(0, np.int32), np.zeros(len(lines) + 1, np.int64), *flatten(lines))


TEXTS = texts()
IDS, OFFSETS = flatten(TEXTS)


def test_the_reserved_entry_is_the_masks() -> None:
    assert TOKENIZER.reserved_id(MASK_TOKEN) == MASK and TOKENIZER.vocab_size == FIRST + len(WORDS)


def test_of_each_text_so_many_tokens_are_hidden() -> None:
    _, labels = masker().draw(IDS, OFFSETS, 1, 0)
    hidden = np.add.reduceat(labels != NOT_HIDDEN, OFFSETS[:-1])
    lengths = np.diff(OFFSETS)
    assert np.array_equal(hidden, np.maximum(1, np.floor(0.15 * lengths + 0.5)))
    assert np.array_equal(labels[labels != NOT_HIDDEN], IDS[labels != NOT_HIDDEN])
    _, more = masker(share=0.4).draw(IDS, OFFSETS, 1, 0)
    assert (more != NOT_HIDDEN).mean() == pytest.approx(0.4, abs=0.01)


def test_what_is_read_in_their_place() -> None:
    """80 % masks, 10 % any word, 10 % the word itself (Devlin et al., 2019); bounds of five deviations."""
    read, labels = masker().draw(IDS, OFFSETS, 1, 0)
    hidden = labels != NOT_HIDDEN
    count = int(hidden.sum())
    assert count > 20_000 and np.array_equal(read[~hidden], IDS[~hidden])
    same = 0.1 + 0.1 / len(WORDS)  # any word may be the word itself
    for found, share in ((read[hidden] == MASK, 0.8), (read[hidden] == IDS[hidden], same)):
        assert abs(found.mean() - share) < 5 * np.sqrt(share * (1 - share) / count)
    others = read[hidden & (read != MASK) & (read != IDS)]
    assert set(others) == set(range(FIRST, FIRST + len(WORDS)))
    assert np.bincount(others).max() < 3 * np.bincount(others)[FIRST:].mean()


@pytest.mark.parametrize(("mask", "random"), [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)])
def test_the_shares_are_those_of_the_configuration(mask: float, random: float) -> None:
    read, labels = masker(mask=mask, random=random).draw(IDS, OFFSETS, 1, 0)
    hidden = labels != NOT_HIDDEN
    assert (read[hidden] == MASK).mean() == mask
    assert ((read[hidden] != MASK) & (read[hidden] != IDS[hidden])).mean() == pytest.approx(random, abs=0.02)


def test_every_place_is_hidden_alike() -> None:
    lines = [list(range(FIRST, FIRST + 20))] * 4000
    ids, offsets = flatten(lines)
    _, labels = masker().draw(ids, offsets, 3, 0)
    places = (labels != NOT_HIDDEN).reshape(4000, 20).mean(axis=0)
    assert abs(places - 0.15).max() < 5 * np.sqrt(0.15 * 0.85 / 4000)


def test_seed_and_epoch_decide_and_nothing_else() -> None:
    first = masker().draw(IDS, OFFSETS, 1, 0)
    again = masker().draw(IDS, OFFSETS, 1, 0)
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    for seed, epoch in ((1, 1), (2, 0)):
        other = masker().draw(IDS, OFFSETS, seed, epoch)[1]
        share = (other != NOT_HIDDEN)[first[1] != NOT_HIDDEN].mean()
        assert share == pytest.approx(0.16, abs=0.03)  # as by chance


def test_special_and_unknown_tokens_are_never_hidden() -> None:
    lines = [[UNK, FIRST, UNK, UNK], [UNK, UNK], [MASK, FIRST + 1]]
    ids, offsets = flatten(lines)
    for epoch in range(20):
        _, labels = masker(share=0.9).draw(ids, offsets, 1, epoch)
        assert labels.tolist() == [0, FIRST, 0, 0, 0, 0, 0, FIRST + 1]
    kept = masker().with_something_to_hide(corpus(lines))
    assert len(kept) == 2 and kept.target(0).tolist() == lines[0] and kept.target(1).tolist() == lines[2]


def test_whole_words_are_hidden_together() -> None:
    lines = ["unbelievably good films are unforgettable", "good films", "the unforgettable film is unbelievable"] * 30
    config = TokenizerConfig(kind="bpe", vocab_size=40)
    tokenizer = TokenizerPair.train(lines, (), config, mask=True).source
    mask_id = tokenizer.reserved_id(MASK_TOKEN)
    assert mask_id is not None
    ids, offsets = flatten([tokenizer.encode(line) for line in lines])
    starts = np.array([piece.startswith("▁") for piece in tokenizer.pieces(ids)])
    words = np.cumsum(starts) - 1
    split = {True: 0, False: 0}
    for whole in (True, False):
        config_of = MaskingConfig(share=0.3, whole_words=whole)
        _, labels = Masker(config_of, tokenizer, mask_id).draw(ids, offsets, 1, 0)
        hidden = labels != NOT_HIDDEN
        assert all(hidden[begin:end].any() for begin, end in pairwise(offsets))
        for word in range(words[-1] + 1):
            split[whole] += len(set(hidden[words == word].tolist())) > 1
    assert split[True] == 0 and split[False] > 20


def batches(**options: Any) -> MaskedIterator:
    return MaskedIterator(corpus(texts(60, 12)), masker(), options.pop("max_tokens", 64), bos=BOS, **options)


def test_a_batch_is_texts_with_start_tokens() -> None:
    lines = texts(60, 12)
    seen = []
    for batch in batches():
        assert 0 < len(batch.ids) <= 64 and batch.tokens == len(batch.labels) == len(batch.places)
        for place, (begin, end) in enumerate(pairwise(batch.offsets)):
            whole = np.array(batch.ids)
            whole[np.asarray(batch.places)] = batch.labels
            assert whole[begin:end].tolist() == [BOS, *lines[batch.indices[place]]]
        seen += batch.indices.tolist()
    assert sorted(seen) == list(range(60))


def test_tokens_are_hidden_anew_in_every_epoch_and_the_same_in_held_out_texts() -> None:
    def hidden(iterator: MaskedIterator) -> list[tuple[int, ...]]:
        found = {}
        for batch in iterator:
            for place, index in enumerate(batch.indices):
                begin, end = batch.offsets[place : place + 2]
                found[int(index)] = tuple(int(p - begin) for p in np.asarray(batch.places) if begin <= p < end)
        return [found[number] for number in range(60)]

    iterator = batches()
    assert hidden(iterator) != hidden(iterator)
    held_out = batches(shuffle=False)
    first = hidden(held_out)
    assert hidden(held_out) == first == hidden(batches(shuffle=False, seed=7, max_tokens=20))


def test_a_saved_position_goes_on_with_the_same_masks() -> None:
    def plain(batch: Any) -> list[list[int]]:
        return [np.asarray(part).tolist() for part in (batch.ids, batch.places, batch.labels)]

    whole, begun, resumed = batches(), batches(), batches()
    expected = [plain(batch) for _ in range(3) for batch in whole]
    found = [plain(batch) for batch in begun] + [plain(next(begun)) for _ in range(2)]
    resumed.load_state_dict(begun.state_dict())
    found += [plain(batch) for _ in range(2) for batch in resumed]
    assert found == expected


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "wordpunct", "char"])
def test_every_kind_of_tokenizer_reserves_the_mask(kind: str, tmp_path: Any) -> None:
    lines = ["the cat sees a dog.", "a <mask> is no mask of the cat"] * 20
    pair = TokenizerPair.train(lines, (), TokenizerConfig(kind=kind, vocab_size=22), mask=True)
    number = pair.source.reserved_id(MASK_TOKEN)
    assert number == MASK and all(number not in pair.source.encode(line) for line in lines)
    pair.save(tmp_path)
    loaded = TokenizerPair.load(tmp_path, pair.to_config())
    assert loaded.mask and loaded.source.reserved_id(MASK_TOKEN) == number
    assert loaded.source.encode(lines[0]) == pair.source.encode(lines[0])
    assert "mask" not in TokenizerPair.train(lines, (), TokenizerConfig(kind=kind, vocab_size=22)).to_config()


def test_text_behind_a_gap_is_cut_as_behind_a_word() -> None:
    lines = ["the cat sees a dog.", "a dog, the cat and a bird."] * 20
    tokenizer = TokenizerPair.train(lines, (), TokenizerConfig(kind="bpe", vocab_size=50), mask=True).source
    assert tokenizer.pieces(tokenizer.encode_joined(", the"))[0] == ","
    assert tokenizer.pieces(tokenizer.encode(", the"))[0] != ","
    assert TOKENIZER.encode_joined("w1 w2") == TOKENIZER.encode("w1 w2")


def test_a_ready_vocabulary_without_a_mask_is_refused(tmp_path: Any) -> None:
    config = TokenizerConfig(kind="bpe", vocab_size=30)
    TokenizerPair.train(["the cat sees a dog"] * 20, (), config).save(tmp_path)
    ready = TokenizerConfig(kind="bpe", models=(str(tmp_path / "tokenizer.spm"),))
    with pytest.raises(ValueError, match="expected a vocabulary with <mask> as a control symbol, got none"):
        TokenizerPair.train((), (), ready, mask=True)
