"""BPE-dropout: the same text cut in other ways, drawn by seed and epoch alone."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from training_runs import content, tiny

import attnkit
from attnkit.text import en_it
from attnkit.text.bpe_dropout import BpeDropout
from attnkit.text.corpus import EncodedCorpus, ParallelCorpus
from attnkit.text.languages import add_tag
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.merges import Drops, Merges
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.sentencepiece import SentencePieceTokenizer
from attnkit.training import ConfigError, read_config, train

PAIRS = ParallelCorpus.from_pairs(
    (pair.source, pair.target) for pair in en_it.corpus(train=400, validation=0, test=0)["train"]
)
CONFIG = TokenizerConfig(kind="bpe", vocab_size=300)
TOKENIZERS = TokenizerPair.train(PAIRS.sources, PAIRS.targets, CONFIG)


def texts(corpus: EncodedCorpus, tokenizers: TokenizerPair = TOKENIZERS) -> list[tuple[str, str]]:
    return [
        (tokenizers.source.decode(corpus.source(i).tolist()), tokenizers.target.decode(corpus.target(i).tolist()))
        for i in range(len(corpus))
    ]


def ids(corpus: EncodedCorpus) -> tuple[list[int], list[int]]:
    return corpus.source_ids.tolist(), corpus.target_ids.tolist()


def plain(pairs: ParallelCorpus = PAIRS, max_length: int = 256) -> EncodedCorpus:
    return pairs.encode(TOKENIZERS.source.encode, TOKENIZERS.target.encode, max_length)


def test_the_text_stays_and_the_tokens_change() -> None:
    dropped = BpeDropout(PAIRS, TOKENIZERS, 0.1, 256)(0)
    assert texts(dropped) == list(PAIRS)
    assert 1.02 < len(dropped.source_ids) / len(plain().source_ids) < 2
    assert 1.02 < len(dropped.target_ids) / len(plain().target_ids) < 2


def test_seed_and_epoch_alone_decide() -> None:
    def drawn(seed: int, epoch: int) -> tuple[list[int], list[int]]:
        return ids(BpeDropout(PAIRS, TOKENIZERS, 0.1, 256, seed)(epoch))

    one = BpeDropout(PAIRS, TOKENIZERS, 0.1, 256, seed=1)
    epochs = [ids(one(epoch)) for epoch in (0, 1, 2)]
    assert epochs == [drawn(1, 0), drawn(1, 1), drawn(1, 2)]
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert drawn(2, 0) != epochs[0]


def test_another_process_draws_the_same() -> None:
    """Without which no run goes on to the same bytes, and no two processes train on the same batches."""
    program = (
        "import sys; sys.path[:0] = sys.argv[1:]; import test_bpe_dropout as test; "
        "print(test.ids(test.BpeDropout(test.PAIRS, test.TOKENIZERS, 0.1, 256)(3)))"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]
    other = subprocess.run([sys.executable, "-c", program, *folders], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(ids(BpeDropout(PAIRS, TOKENIZERS, 0.1, 256)(3)))


def drops(dropout: float, seed: int = 1) -> Drops:
    return Drops(np.random.Philox(key=seed), dropout)


@pytest.mark.parametrize("dropout", [1e-5, 0.01, 0.3, 0.99])
def test_so_many_merges_are_left_out(dropout: float) -> None:
    choose, count = drops(dropout), 200_000
    left_out = [choose() for _ in range(count)]
    assert abs(sum(left_out) - dropout * count) < 5 * np.sqrt(dropout * (1 - dropout) * count) + 1
    after = [later for one, later in pairwise(left_out) if one]  # each is drawn by itself
    assert abs(sum(after) - dropout * len(after)) < 5 * np.sqrt(dropout * (1 - dropout) * len(after)) + 1


@pytest.mark.parametrize("longest", [16, 0])  # remembered, and not
def test_the_cuts_of_a_word_are_as_likely_as_they_should_be(longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: "ab" is tried first; where it is left out "bc", then "abc" of what there is."""
    monkeypatch.setattr("attnkit.text.tokenizers.merges._LONGEST", longest)
    pieces = ["a", "b", "c", "ab", "bc", "abc"]
    scores = {piece: (number, -float(number)) for number, piece in enumerate(pieces)}
    merges, choose, p, count = Merges(scores, pieces.index, "_"), drops(0.4), 0.4, 20_000
    found = Counter("-".join(pieces[number] for number in merges.cut(["abc"], choose)) for _ in range(count))
    expected = {
        "abc": (1 - p) ** 2 * (1 + p),
        "ab-c": p * (1 - p),
        "a-bc": p * p * (1 - p),
        "a-b-c": p * p,
    }
    assert found.keys() == expected.keys()
    for cut, share in expected.items():
        assert abs(found[cut] - share * count) < 5 * np.sqrt(share * (1 - share) * count), cut


@pytest.mark.parametrize("byte_fallback", [False, True])
def test_where_no_merge_is_left_out_it_is_the_tokenizers_own_cut(byte_fallback: bool) -> None:
    config = TokenizerConfig(kind="bpe", vocab_size=600, byte_fallback=byte_fallback)
    tokenizer = SentencePieceTokenizer.train(PAIRS.sources, config)
    never, always = drops(1e-6), drops(0.999)
    never.left = 1 << 40
    for line in [*PAIRS.sources, "a Ωcat 猫 sees 東京 the dog ▁ 🙂", "", "  two  spaces "]:
        assert tokenizer.sample(line, never) == tokenizer.encode(line)
        assert tokenizer.decode(tokenizer.sample(line, always)) == tokenizer.decode(tokenizer.encode(line))


def test_a_probability_next_to_nothing_does_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnkit.text.tokenizers.merges._SELDOM", 1 << 18)
    assert drops(1e-18).left == 1 << 18


def test_more_dropout_cuts_more() -> None:
    lengths = [len(BpeDropout(PAIRS, TOKENIZERS, dropout, 256)(0).source_ids) for dropout in (0.01, 0.1, 0.5, 0.99)]
    assert lengths == sorted(set(lengths))
    letters = sum(len(source.replace(" ", "")) for source in PAIRS.sources)
    assert lengths[-1] > 0.9 * letters


def test_the_length_limit_chooses_the_same_pairs_and_holds() -> None:
    limit = int(np.diff(plain().target_offsets).mean())
    kept = plain(max_length=limit)
    assert 0 < len(kept) < len(PAIRS)
    dropped = BpeDropout(PAIRS, TOKENIZERS, 0.5, limit)(0)
    assert texts(dropped) == texts(kept)
    assert max(np.diff(dropped.source_offsets).max(), np.diff(dropped.target_offsets).max()) <= limit


def test_tags_of_languages_stay_whole() -> None:
    tagged = ParallelCorpus.from_pairs((add_tag("it", source), target) for source, target in PAIRS)
    tokenizers = TokenizerPair.train(tagged.sources, tagged.targets, CONFIG, languages=("it",))
    dropped = BpeDropout(tagged, tokenizers, 0.5, 256)(0)
    assert texts(dropped, tokenizers) == list(PAIRS)
    assert {int(dropped.source(i)[0]) for i in range(len(dropped))} == {tokenizers.source.encode(">>it<< a")[0]}


def test_words_have_no_merges(tmp_path: Path) -> None:
    words = TokenizerPair.train(PAIRS.sources, PAIRS.targets, TokenizerConfig(kind="word"))
    with pytest.raises(ValueError, match="expected tokenizers of BPE, got WordTokenizer"):
        BpeDropout(PAIRS, words, 0.1, 256)
    with pytest.raises(ConfigError, match='bpe_dropout: expected 0 for the kind "word", which has no merges'):
        tiny(tmp_path, "tokenizer.bpe_dropout=0.1")


def test_a_task_without_it_refuses_the_key() -> None:
    with pytest.raises(ConfigError, match=r"tokenizer.bpe_dropout: unknown key"):
        read_config("shapes", ("tokenizer.bpe_dropout=0.1",))


def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    overrides = ("tokenizer.kind=bpe", "tokenizer.vocab_size=200", "tokenizer.bpe_dropout=0.1", "decoding.bleu=false")
    train(tiny(tmp_path, *overrides), tmp_path / "whole", progress="none")
    train(tiny(tmp_path, *overrides, "training.max_steps=7"), tmp_path / "run", progress="none")
    attnkit.manual_seed(31)  # nothing of this process may matter
    train(tiny(tmp_path, *overrides), tmp_path / "run", resume=True, progress="none")
    assert content(tmp_path / "run") == content(tmp_path / "whole")
