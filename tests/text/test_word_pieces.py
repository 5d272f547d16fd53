"""Links between words become links between pieces, whatever the tokenizer; pieces become the words of a text again."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pytest

from attnkit.text import BatchIterator, ParallelCorpus
from attnkit.text.bpe_dropout import BpeDropout
from attnkit.text.corpus import EncodedCorpus
from attnkit.text.forced import Forced
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.vocabulary import BOS, EOS
from attnkit.text.word_pieces import word_finders, words_read, words_written

SOURCES = ["the cats don't sleep , ever", "naïve cafés sleep", "the  cat\u00a0sleeps . . .", "cat", "don't , don't"]
TARGETS = ["i gatti non dormono mai", "caffè ingenui dormono", "il gatto dorme ...", "gatto gatto", "non , non"]
LINKS = [((0, 0), (1, 1), (2, 2), (3, 3), (5, 4)), ((1, 0), (0, 1), (2, 2)), ((3, 3), (4, 3), (5, 3)), (), ((0, 2),)]
KINDS = ["word", "wordpunct", "char", "bpe", "unigram"]


@functools.cache
def tokenizers(kind: str, languages: tuple[str, ...] = ()) -> TokenizerPair:
    config = TokenizerConfig(kind=kind, vocab_size={"bpe": 45, "unigram": 43}.get(kind, 4000))
    return TokenizerPair.train(SOURCES * 8, TARGETS * 8, config, 1, languages)


def parts(tokenizer: object, text: str) -> tuple[list[str], list[int]]:
    """The pieces without marks and spaces, and the word of each."""
    ids = tokenizer.encode(text)  # type: ignore[attr-defined]
    words = words_read(tokenizer, text, ids)  # type: ignore[arg-type]
    assert len(words) == len(ids)
    spelt = [piece.replace("\u2581", "").replace("<unk>", "").strip() for piece in tokenizer.pieces(ids)]
    return spelt, words  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [*SOURCES, "  the \t cat", "\u3000cat\u2028don't  "])
def test_the_pieces_of_a_word_spell_it(kind: str, text: str) -> None:
    pieces, words = parts(tokenizers(kind).source, text)
    for number, word in enumerate(text.split()):
        spelt = "".join(piece for piece, of in zip(pieces, words, strict=True) if of == number)
        assert spelt == word


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_and_odd_words_have_their_pieces(kind: str) -> None:
    """An unknown word, one that normalisation makes longer, one that it makes nothing of."""
    for text, count in (("the § sleep", 3), ("cat … sleep", 3), ("cat \u200b sleep", 3), ("漢字 cat", 2)):
        _, words = parts(tokenizers(kind).source, text)
        assert words[0] == 0 and words[-1] == count - 1 and words == sorted(words), (text, words)


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_the_tag_of_a_language_is_no_word(kind: str) -> None:
    source = tokenizers(kind, ("it", "de")).source
    ids = source.encode(">>it<< the cats")
    words = words_read(source, ">>it<< the cats", ids)
    assert words == [-1, *words_read(source, "the cats", ids[1:])] and words[-1] == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TARGETS)
def test_pieces_are_joined_to_the_words_that_they_write(kind: str, text: str) -> None:
    target = tokenizers(kind).target
    ids = target.encode(text)
    written = target.decode(ids)
    words = words_written(target, written, ids, Forced.read("", target))
    pieces = [piece.replace("\u2581", "").strip() for piece in target.pieces(ids)]
    for number, word in enumerate(written.split()):
        assert "".join(piece for piece, of in zip(pieces, words, strict=True) if of == number) == word


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_given_keeps_its_words(kind: str) -> None:
    """A prefix stands in the text as it was given, words that are unknown too."""
    target = tokenizers(kind).target
    given = Forced.read("non §§ ,", target)
    ids = [*given.ids, *target.encode(" gatto" if kind == "char" else "gatto")]
    text = given.whole(ids, target)
    words = words_written(target, text, ids, given)
    assert text.split()[:3] == ["non", "§§", ","] and len(words) == len(ids)
    assert words[: len(given.ids)] == words_read(target, given.text, given.ids) and words[-1] == 3


# ----- Links in a corpus and in a batch


def encoded(kind: str) -> EncodedCorpus:
    pair = tokenizers(kind)
    corpus = ParallelCorpus.from_pairs(zip(SOURCES, TARGETS, strict=True), LINKS)
    return corpus.encode(pair.source.encode, pair.target.encode, words=word_finders(pair))


def expected(pair: TokenizerPair, number: int, source: Sequence[int], target: Sequence[int]) -> set[tuple[int, int]]:
    """Each piece of a word with each piece of the words that it is linked to."""
    readers = (pair.source, SOURCES[number], source), (pair.target, TARGETS[number], target)
    words = [words_read(tokenizer, text, ids) for tokenizer, text, ids in readers]
    return {
        (i, j) for i, one in enumerate(words[0]) for j, other in enumerate(words[1]) if (one, other) in LINKS[number]
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_has_the_links_of_its_pieces(kind: str) -> None:
    corpus = encoded(kind)
    assert corpus.links is not None and len(corpus.links.offsets) == len(SOURCES) + 1
    batches = BatchIterator(corpus, 60, bos=BOS, eos=EOS)
    seen = set()
    for _ in range(len(batches)):
        batch = next(batches)
        links = np.stack([batch.link_sources, batch.link_targets], axis=1)
        count = 0
        for place, number in enumerate(batch.indices.tolist()):
            begins = np.array([batch.source_offsets[place], batch.target_offsets[place]])
            ends = np.array([batch.source_offsets[place + 1], batch.target_offsets[place + 1]])
            own = links[((links >= begins) & (links < ends)).all(axis=1)] - begins
            found = {(int(source), int(target)) for source, target in own}
            assert found == expected(tokenizers(kind), number, corpus.source(number), corpus.target(number))
            count += len(own)
            seen.add(number)
        assert count == len(links)  # none leads from one sentence to another, and none is there twice
    assert seen == set(range(len(SOURCES)))


def test_bpe_dropout_cuts_words_and_keeps_their_links() -> None:
    pair = tokenizers("bpe")
    text = ParallelCorpus.from_pairs(zip(SOURCES, TARGETS, strict=True), LINKS)
    resample = BpeDropout(text, pair, 0.5, 100)
    first, second = resample(0), resample(1)
    assert first.source_ids.tolist() != second.source_ids.tolist()
    for corpus in (first, second):
        assert corpus.links is not None
        for number in range(len(SOURCES)):
            own = slice(corpus.links.offsets[number], corpus.links.offsets[number + 1])
            found = set(zip(corpus.links.sources[own].tolist(), corpus.links.targets[own].tolist(), strict=True))
            assert found == expected(pair, number, corpus.source(number), corpus.target(number))


def test_a_corpus_without_links_has_none_in_its_batches() -> None:
    pair = tokenizers("word")
    corpus = ParallelCorpus.from_pairs(zip(SOURCES, TARGETS, strict=True))
    batch = next(BatchIterator(corpus.encode(pair.source.encode, pair.target.encode), 60, bos=BOS, eos=EOS))
    assert batch.link_sources.shape == batch.link_targets.shape == (0,)


def test_too_long_pairs_leave_with_their_links() -> None:
    pair = tokenizers("word")
    corpus = ParallelCorpus.from_pairs([("", "x"), *zip(SOURCES, TARGETS, strict=True)], [(), *LINKS])
    kept = corpus.encode(pair.source.encode, pair.target.encode, 3, words=word_finders(pair))
    assert kept.links is not None and len(kept) == 3 and kept.report.too_long == 2 and kept.report.empty == 1
    assert kept.links.offsets.tolist() == [0, 3, 3, 4]
    assert kept.links.sources.tolist() == [1, 0, 2, 0] and kept.links.targets.tolist() == [0, 1, 2, 2]
