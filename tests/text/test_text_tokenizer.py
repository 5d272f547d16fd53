"""Tokenizers: round trips, unknown text, files, and refusal of what is not a tokenizer."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attnkit.text import en_it
from attnkit.text.forced import Forced
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.sentencepiece import SentencePieceTokenizer
from attnkit.text.tokenizers.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, UNK, Vocabulary
from attnkit.text.tokenizers.words import CharTokenizer, WordTokenizer

PAIRS = en_it.corpus(train=2000, validation=0, test=0)["train"]
SOURCES, TARGETS = [pair.source for pair in PAIRS], [pair.target for pair in PAIRS]
KINDS = {"bpe": 500, "unigram": 400, "word": 2000, "char": 100}


def trained(kind: str, joint: bool = True, **options: object) -> TokenizerPair:
    config = TokenizerConfig(kind=kind, vocab_size=KINDS[kind], joint=joint, **options)  # type: ignore[arg-type]
    return TokenizerPair.train(SOURCES, TARGETS, config)


@pytest.fixture(scope="module", params=[(kind, joint) for kind in KINDS for joint in (True, False)], ids=str)
def pair(request: pytest.FixtureRequest) -> TokenizerPair:
    kind, joint = request.param
    # Half the text has fewer pieces for the unigram model to choose from.
    size = 250 if kind == "unigram" and not joint else KINDS[kind]
    return TokenizerPair.train(SOURCES, TARGETS, TokenizerConfig(kind=kind, joint=joint, vocab_size=size))


def test_training_text_comes_back(pair: TokenizerPair) -> None:
    for tokenizer, lines in ((pair.source, SOURCES), (pair.target, TARGETS)):
        for line in lines[:300]:
            ids = tokenizer.encode(line)
            assert tokenizer.decode(ids) == line
            assert len(tokenizer.pieces(ids)) == len(ids)
            assert all(len(SPECIAL_TOKENS) <= number < tokenizer.vocab_size for number in ids)
            assert tokenizer.unknown(line) == []


def test_special_ids_are_fixed_and_leave_no_text(pair: TokenizerPair) -> None:
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    assert tuple(pair.source.pieces([PAD, UNK, BOS, EOS])) == SPECIAL_TOKENS
    ids = pair.source.encode(SOURCES[0])
    assert pair.source.decode([PAD, BOS, *ids, EOS]) == SOURCES[0]
    assert pair.source.encode("") == []
    assert pair.source.decode([]) == ""


def test_text_that_looks_like_a_special_token_is_text(pair: TokenizerPair) -> None:
    ids = pair.source.encode("<s> </s> <pad>")
    assert not {PAD, BOS, EOS} & set(ids)


def test_unknown_characters_are_named(pair: TokenizerPair) -> None:
    assert UNK in pair.source.encode("the ☃")
    assert pair.source.unknown("the ☃") == ["☃"]


def test_what_an_output_must_begin_with_stands_as_it_was_given(pair: TokenizerPair) -> None:
    tokenizer = pair.target
    for text in ("☃", "☃ il", "il ☃", "il", "il  gatto"):
        forced = Forced.read(text, tokenizer)
        separator = "" if pair.kind == "char" else " "
        whole = tokenizer.encode(f"{text}{separator}cane")
        assert whole[: len(forced.ids)] == forced.ids
        assert forced.whole(whole, tokenizer) == f"{text}{separator}cane"
        assert forced.whole(forced.ids, tokenizer) == text
        pieces = forced.pieces(whole, tokenizer)
        assert len(pieces) == len(whole) and ("☃" in pieces) == ("☃" in text)
    assert Forced.read("", tokenizer).whole(tokenizer.encode("il cane"), tokenizer) == "il cane"


def test_ids_out_of_range_are_refused(pair: TokenizerPair) -> None:
    for number in (-1, pair.source.vocab_size):
        for method in (pair.source.decode, pair.source.pieces):
            with pytest.raises(ValueError, match=r"expected an id in \[0, "):
                method([number])


def test_saved_tokenizer_is_the_same(pair: TokenizerPair, tmp_path: Path) -> None:
    pair.save(tmp_path)
    loaded = TokenizerPair.load(tmp_path, json.loads(json.dumps(pair.to_config())))
    assert loaded.joint == pair.joint
    for line in (*SOURCES[:50], "something unseen ☃"):
        assert loaded.source.encode(line) == pair.source.encode(line)
    for line in TARGETS[:50]:
        assert loaded.target.encode(line) == pair.target.encode(line)
    suffix = "spm" if pair.kind in ("bpe", "unigram") else "vocab.txt"
    names = {"source", "target"} if not pair.joint else {"tokenizer"} if suffix == "spm" else {"vocab.txt"}
    assert {path.name for path in tmp_path.iterdir()} == {
        name if name == "vocab.txt" else f"{name}.{suffix}" for name in names
    }


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_training_is_reproducible_and_samples_by_seed(kind: str, tmp_path: Path) -> None:
    def model(seed: int, sentences: int) -> bytes:
        config = TokenizerConfig(kind=kind, vocab_size=150, training_sentences=sentences)
        SentencePieceTokenizer.train(SOURCES, config, seed).save(tmp_path, "tokenizer")
        return (tmp_path / "tokenizer.spm").read_bytes()

    assert model(1, 1000) == model(1, 1000)
    assert model(1, 200) != model(2, 200)


@pytest.mark.parametrize("kind", KINDS)
def test_lowercase(kind: str, tmp_path: Path) -> None:
    plain, lower = trained(kind), trained(kind, lowercase=True)
    assert UNK in plain.source.encode(SOURCES[0].upper())
    assert lower.source.decode(lower.source.encode(SOURCES[0].upper())) == SOURCES[0]
    lower.save(tmp_path)
    assert TokenizerPair.load(tmp_path, lower.to_config()).source.encode("THE CAT") == lower.source.encode("the cat")


def test_normalization_changes_the_text() -> None:
    texts = ["ﬁne ½ day"] * 10
    outputs = {}
    for rule in ("identity", "nfkc"):
        config = TokenizerConfig(kind="bpe", vocab_size=18, normalization=rule)
        tokenizer = SentencePieceTokenizer.train(texts, config)
        outputs[rule] = tokenizer.decode(tokenizer.encode(texts[0]))
    assert outputs == {"identity": "ﬁne ½ day", "nfkc": "fine 1⁄2 day"}


def test_byte_fallback_knows_everything() -> None:
    config = TokenizerConfig(kind="bpe", vocab_size=600, byte_fallback=True, normalization="identity")
    tokenizer = SentencePieceTokenizer.train(SOURCES, config)
    assert tokenizer.decode(tokenizer.encode("the ☃")) == "the ☃"
    assert tokenizer.unknown("the ☃") == []


CUT = {
    "नमस्ते दुनिया।": ["नमस्ते", "दुनिया", "।"],
    "வணக்கம் உலகம்": ["வணக்கம்", "உலகம்"],
    "สวัสดี น้ำ": ["สวัสดี", "น้ำ"],
    "cafe\u0301 nai\u0308ve!": ["cafe\u0301", "nai\u0308ve", "!"],
    "می\u200cخواهم": ["می\u200cخواهم"],
    "it's 3.14, 1,000.50. (10)": ["it's", "3.14", ",", "1,000.50", ".", "(", "10", ")"],
    "\u2764\ufe0flove \U0001f469\u200d\U0001f467": ["\u2764\ufe0f", "love", "\U0001f469\u200d\U0001f467"],
    "\u0301a": ["\u0301a"],
}


@pytest.mark.parametrize("text", CUT)
def test_words_keep_their_combining_marks_and_numbers_their_points(text: str, tmp_path: Path) -> None:
    pair = TokenizerPair.train([text], [], TokenizerConfig(kind="wordpunct"))
    assert pair.source.pieces(pair.source.encode(text)) == CUT[text]
    pair.save(tmp_path)
    assert TokenizerPair.load(tmp_path, pair.to_config()).source.encode(text) == pair.source.encode(text)


@pytest.mark.parametrize("joint", [True, False])
def test_vocabularies_of_version_0_1_cut_words_as_they_did(joint: bool, tmp_path: Path) -> None:
    text = "नमस्ते 3.14"
    tokens = ["नमस", "\u094d", "त", "\u0947", "3", ".", "14"]
    for name in ("vocab.txt",) if joint else ("source.vocab.txt", "target.vocab.txt"):
        Vocabulary(tokens).save(tmp_path / name)
    saved = {"kind": "wordpunct", "joint": joint, "lowercase": False}
    pair = TokenizerPair.load(tmp_path, saved)
    assert pair.source.pieces(pair.source.encode(text)) == tokens == pair.target.pieces(pair.target.encode(text))
    again = tmp_path / "again"
    again.mkdir()
    pair.save(again)
    assert sorted(path.name for path in again.iterdir()) == sorted(path.name for path in tmp_path.glob("*.txt"))
    assert TokenizerPair.load(again, pair.to_config()).source.unknown(text) == []


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("word", "normalization", "nfkc"),
        ("wordpunct", "character_coverage", 0.99),
        ("char", "byte_fallback", True),
        ("word", "training_sentences", 10),
        ("bpe", "min_frequency", 2),
    ],
)
def test_a_choice_that_would_change_nothing_is_refused(kind: str, key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key}: expected none for the kind '{kind}', got {value!r}"):
        TokenizerConfig(kind=kind, **{key: value})  # type: ignore[arg-type]
    if key != "min_frequency":
        with pytest.raises(ValueError, match=f"{key}: expected none beside models"):
            TokenizerConfig(models=("a.spm",), **{key: value})  # type: ignore[arg-type]
    assert TokenizerConfig(kind="word", normalization="identity").normalization == "identity"  # as words are


def test_min_frequency_and_vocabulary_size() -> None:
    lines = ["a a a b b c"]
    frequent = TokenizerPair.train(lines, [], TokenizerConfig(kind="word", min_frequency=2))
    assert frequent.source.unknown(lines[0]) == ["c"]
    small = TokenizerPair.train(lines, [], TokenizerConfig(kind="word", vocab_size=5))
    assert small.source.unknown(lines[0]) == ["b", "b", "c"]


def test_given_models_are_used(tmp_path: Path) -> None:
    trained("bpe", joint=False).save(tmp_path)
    files = (str(tmp_path / "source.spm"), str(tmp_path / "target.spm"))
    given_pair = TokenizerPair.train([], [], TokenizerConfig(joint=False, models=files))
    assert given_pair.target.encode(TARGETS[0]) == trained("bpe", joint=False).target.encode(TARGETS[0])


def test_given_model_with_other_special_ids_is_refused(tmp_path: Path) -> None:
    import sentencepiece

    path = tmp_path / "other.model"
    with path.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SOURCES), model_writer=file, vocab_size=100, minloglevel=2
        )
    with pytest.raises(ValueError, match=r"other\.model to have pad, unk, bos, eos = 0, 1, 2, 3 .* got -1, 0, 1, 2"):
        TokenizerPair.train([], [], TokenizerConfig(models=(str(path),)))


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="expected text to train on"):
        TokenizerPair.train(["", "  "], [], TokenizerConfig(kind=kind))


def test_too_little_text_for_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot learn 8000 unigram entries from this text: Vocabulary size too high"):
        TokenizerPair.train(["a b c"], [], TokenizerConfig(kind="unigram", vocab_size=8000))


def test_damaged_models_are_refused(tmp_path: Path) -> None:
    """Cut short, empty, random, or of another kind: one clear error, in a process that is still alive."""
    trained("bpe").save(tmp_path)
    path, config = tmp_path / "tokenizer.spm", trained("bpe").to_config()
    whole = path.read_bytes()
    rng = random.Random(1)
    for damaged in (b"", whole[: len(whole) // 2], whole[:20], b"\0" * 100, rng.randbytes(1000), b"the cat\n"):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"tokenizer\.spm to be a SentencePiece model|tokenizer\.spm to have pad"):
            TokenizerPair.load(tmp_path, config)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        TokenizerPair.load(tmp_path, config)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected the first lines"),
        (b"the\ncat\n", "expected the first lines"),
        (b"<pad>\n<unk>\n<s>\n</s>\nthe\nthe\n", "expected distinct tokens, got 'the' twice"),
        (b"<pad>\n<unk>\n<s>\n</s>\nthe\n\ncat\n", "line 6: expected a token"),
        (b"<pad>\n<unk>\n<s>\n</s>\n\xff\n", "expected UTF-8, got byte 0xff"),
    ],
)
def test_damaged_vocabularies_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        TokenizerPair.load(tmp_path, {"kind": "word", "joint": True, "lowercase": False})


@pytest.mark.parametrize(
    "config", [{}, {"kind": "magic", "joint": True, "lowercase": False}, {"kind": "bpe", "joint": 1, "lowercase": 0}]
)
def test_bad_configurations_are_refused(tmp_path: Path, config: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\[tokenizer\] config\.json"):
        TokenizerPair.load(tmp_path, config)


LINES = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))


@given(st.lists(LINES, min_size=1))
def test_characters_round_trip_exactly(lines: list[str]) -> None:
    tokenizer = CharTokenizer(Vocabulary.build((char for line in lines for char in line), 10_000))
    for line in lines:
        assert tokenizer.decode(tokenizer.encode(line)) == line


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_words_round_trip_but_for_white_space(lines: list[str]) -> None:
    words = [word for line in lines for word in line.split()]
    tokenizer = WordTokenizer(Vocabulary.build(words, 10_000))
    for line in lines:
        if not set(SPECIAL_TOKENS) & set(line.split()):
            assert tokenizer.decode(tokenizer.encode(line)) == " ".join(line.split())


@given(st.sets(st.text(st.characters(exclude_categories=["Cs"]))))
@example({"a\nb"})
def test_vocabulary_files_round_trip(tmp_path_factory: pytest.TempPathFactory, tokens: set[str]) -> None:
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    if any(not token or "\n" in token for token in tokens):
        with pytest.raises(ValueError, match="expected tokens of one line"):
            Vocabulary.build(tokens, 10_000)
        return
    vocabulary = Vocabulary.build(tokens, 10_000)
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert [loaded.token(number) for number in range(len(loaded))] == [
        vocabulary.token(number) for number in range(len(vocabulary))
    ]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_what_is_no_text_is_refused(kind: str) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=11)
    tokenizer = TokenizerPair.train(["a b c d e"], ["b"], config).source
    for method in (tokenizer.encode, tokenizer.unknown):
        with pytest.raises(ValueError, match=r"expected Unicode text, got the lone surrogate U\+D800 at position 1"):
            method("a\ud800")


def test_importing_and_words_leave_sentencepiece_alone() -> None:
    code = (
        "import sys, attnkit.text.tokenizers.pair as t, attnkit.text.tokenizers.config as c\n"
        "t.TokenizerPair.train(['a'], ['b'], c.TokenizerConfig(kind='word'))\n"
        "assert 'sentencepiece' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_training_is_silent() -> None:
    code = (
        "import attnkit.text.tokenizers.pair as t, attnkit.text.tokenizers.config as c\n"
        "t.TokenizerPair.train(['a b c d e'], ['b'], c.TokenizerConfig(kind='bpe', vocab_size=12))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert done.stdout == done.stderr == b""
