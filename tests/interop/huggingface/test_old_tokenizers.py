"""Byte-level BPE of vocab.json and merges.txt, and SentencePiece's unigrams, cut texts as transformers' own do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from marian_checkpoint import lines

from attnkit.interop.huggingface.text_tokenizer import TextTokenizer, read_text_tokenizer
from attnkit.text.tokenizers.huggingface import HuggingFaceTokenizer

tokenizers = pytest.importorskip("tokenizers")

TEXTS = [
    *lines("source")[:60],
    "naïve  café\n\nＦｕｌｌ ﬁne ½ 漢字 한국어 😀 👩\u200d👧 e\u0301 \u200b \x07 a\tb \u00ad \ufffd $5.00 …",
    " the <mask> <s> dog</s> . ",
    "",
]


def read(folder: Path) -> tuple[TextTokenizer, HuggingFaceTokenizer]:
    found = read_text_tokenizer(folder, 10_000)
    assert isinstance(found.tokenizers.source, HuggingFaceTokenizer)
    return found, found.tokenizers.source


def write(folder: Path, model_type: str, **settings: Any) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


# ----- Byte-level BPE


def write_bpe(folder: Path, special: list[str], model_type: str, **settings: Any) -> Path:
    inner = tokenizers.ByteLevelBPETokenizer()
    inner.train_from_iterator(lines("source"), vocab_size=400, special_tokens=special, show_progress=False)
    inner.save_model(str(folder))
    return write(folder, model_type, **settings)


ROBERTA, GPT2 = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], ["<|endoftext|>"]


@pytest.mark.parametrize("prefix", [False, True])
def test_bytes_become_the_ids_of_roberta(prefix: bool, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = write_bpe(tmp_path, ROBERTA, "roberta", add_prefix_space=prefix)
    # transformers 5 forgot that the mask takes the space before it, as the published tokenizer.json says.
    mask = tokenizers.AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    theirs = transformers.RobertaTokenizer.from_pretrained(folder, mask_token=mask)
    found, ours = read(folder)
    assert (found.bos_id, found.eos_id, ours.unk_id, ours.mask_id) == (0, 2, 3, 4)
    for text in TEXTS:
        assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"], repr(text)
        assert ours.decode(ours.encode(text)) == theirs.decode(ours.encode(text), skip_special_tokens=True)


def test_bytes_become_the_ids_of_gpt2(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = write_bpe(tmp_path, GPT2, "gpt2")
    theirs = transformers.GPT2Tokenizer.from_pretrained(folder)
    found, ours = read(folder)
    assert (found.bos_id, found.eos_id, found.tokenizers.mask) == (None, None, False)
    for text in [*TEXTS, "a<|endoftext|>b"]:
        assert ours.encode(text) == theirs(text)["input_ids"], repr(text)


def test_tokens_that_were_added_later_may_be_special(tmp_path: Path) -> None:
    folder = write_bpe(tmp_path, GPT2, "gpt2", pad_token="[PAD]")
    with pytest.raises(ValueError, match=r"vocab\.json: expected the token '\[PAD\]', got none"):
        read(folder)
    (folder / "added_tokens.json").write_text(json.dumps({"[PAD]": 400}))
    _, ours = read(folder)
    assert ours.encode("a[PAD]")[-1] == 400 and 400 in ours.special_ids


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("merges.txt", b"#version: 0.2\na b c\n", "expected two pieces in line 2, got 'a b c'"),
        ("merges.txt", b"\xff", "expected UTF-8"),
        ("merges.txt", "漢 字\n".encode(), "out of vocabulary"),
        ("vocab.json", b"[]", "expected a JSON object"),
        ("vocab.json", b'{"a": -1}', "expected a number for each piece, got -1"),
        ("vocab.json", b'{"a": "b"}', "expected a number for each piece, got 'b'"),
        ("vocab.json", b'{"a": 0}', "expected the token '<|endoftext|>', got none"),
        ("tokenizer_config.json", b'{"tokenizer_class": "CodeGenTokenizer"}', "tokenizer_class of RobertaTokenizer"),
        ("tokenizer_config.json", b'{"add_prefix_space": 3}', "add_prefix_space"),
        ("added_tokens.json", b'{"x": "y"}', "expected a number for each token, got 'y'"),
    ],
)
def test_broken_files_are_one_line(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    folder = write_bpe(tmp_path, GPT2, "gpt2")
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"^\[(convert|tokenizer)\]") as refused:
        read(folder)
    assert message in str(refused.value) and "\n" not in str(refused.value)


# ----- SentencePiece


def write_unigrams(folder: Path, model_type: str, kind: str = "unigram") -> Path:
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines("source")), model_prefix=str(folder / "m"), vocab_size=120, model_type=kind,
        normalization_rule_name="nmt_nfkc", hard_vocab_limit=False, minloglevel=2, num_threads=1,
    )  # fmt: skip
    shutil.move(folder / "m.model", folder / "sentencepiece.bpe.model")
    return write(folder, model_type)


@pytest.mark.parametrize(("model_type", "first", "last", "shift"), [("xlm-roberta", 0, 2, 1), ("camembert", 5, 6, 4)])
def test_unigrams_become_the_ids_of_fairseq(model_type: str, first: int, last: int, shift: int, tmp_path: Path) -> None:
    """Those of SentencePiece itself, moved behind fairseq's own entries; what is unknown is 3."""
    import sentencepiece

    folder = write_unigrams(tmp_path, model_type)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
    found, ours = read(folder)
    assert (found.bos_id, found.eos_id, ours.unk_id) == (first, last, 3) and ours.mask_id == theirs.vocab_size() + shift
    for text in TEXTS:
        if "<mask>" not in text:
            expected = [number + shift if number else 3 for number in theirs.encode(text)]
            assert ours.encode(text) == expected, repr(text)
    around = ours.encode(f"{lines('source')[0]} <mask>")
    assert around == [*ours.encode(lines("source")[0]), ours.mask_id]


def test_unigrams_become_the_ids_of_t5(tmp_path: Path) -> None:
    """Those of SentencePiece itself, and of transformers where its sentinels stand in a text."""
    import sentencepiece

    transformers = pytest.importorskip("transformers")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines("source")), model_prefix=str(tmp_path / "spiece"), vocab_size=120,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2, num_threads=1, hard_vocab_limit=False,
    )  # fmt: skip
    inner = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spiece.model"))
    found, ours = read(write(tmp_path, "t5", extra_ids=10, tokenizer_class="T5Tokenizer"))
    assert (found.bos_id, found.eos_id, ours.unk_id) == (None, 1, 2)
    assert ours.id_of("<extra_id_0>") == inner.vocab_size() + 9
    for text in TEXTS:
        if "<s>" not in text:
            assert ours.encode(text) == inner.encode(text), repr(text)
    pieces = [(inner.id_to_piece(number), inner.get_score(number)) for number in range(inner.vocab_size())]
    sentinels = [(f"<extra_id_{number}>", 0.0) for number in reversed(range(10))]
    theirs = transformers.T5Tokenizer(vocab=[*pieces, *sentinels], extra_ids=10)
    for text in ("The <extra_id_0> walks in<extra_id_1> park</s>", "<extra_id_9>", "a <pad> b <unk>"):
        assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"], text
        assert ours.decode(ours.encode(text)) == theirs.decode(ours.encode(text), skip_special_tokens=True)
    read(write(tmp_path, "mt5", extra_ids=0))
    with pytest.raises(ValueError, match="extra_ids"):
        read(write(tmp_path, "t5", extra_ids=-1))
    with pytest.raises(ValueError, match="tokenizer_class of PegasusTokenizer, T5Tokenizer"):
        read(write(tmp_path, "t5", tokenizer_class="BertTokenizer"))


def test_what_is_no_unigram_model_of_these_families_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a model of unigrams"):
        read(write_unigrams(tmp_path, "xlm-roberta", "bpe"))
    with pytest.raises(ValueError, match=r"expected a tokenizer\.json beside it, .* for a model_type of 'bert'"):
        read(write_unigrams(tmp_path, "bert"))
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"\x0a\xff")
    with pytest.raises(ValueError, match="to be a SentencePiece model"):
        read(write(tmp_path, "camembert"))
