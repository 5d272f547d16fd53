"""The tokenizers of Hugging Face's files: what a model reads, what people see, and what goes wrong in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attnkit.text.tokenizers.huggingface import HuggingFaceTokenizer
from attnkit.text.tokenizers.vocabulary import MASK_TOKEN
from attnkit.text.word_pieces import words_read

tokenizers = pytest.importorskip("tokenizers")
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, processors  # noqa: E402

PIECES = "[PAD] [UNK] [CLS] [SEP] [MASK] the walk ##ing ##s ( ) , é a ##b ##"


def wordpiece(**more: object) -> HuggingFaceTokenizer:
    pieces = {piece: number for number, piece in enumerate(PIECES.split())}
    inner = tokenizers.Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    inner.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    inner.enable_truncation(3)  # files of fine-tuned models say so, and padding
    inner.enable_padding(length=8)
    return HuggingFaceTokenizer(inner.to_str().encode(), "[UNK]", "[MASK]", **more)  # type: ignore[arg-type]


def byte_level(suffix: str = "") -> HuggingFaceTokenizer:
    """Every byte, and merges for " the" and for the two bytes of é; with a suffix as CLIP has it, "the" and "é" ."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", f"e{suffix}"), ("Ã", f"©{suffix}"), *([] if suffix else [("Ġ", "the")])]
    pieces = [*letters, *(f"{letter}{suffix}" for letter in letters if suffix), *("".join(pair) for pair in merges)]
    inner = tokenizers.Tokenizer(
        models.BPE({p: n for n, p in enumerate(pieces)}, merges, **({"end_of_word_suffix": suffix} if suffix else {}))
    )
    inner.pre_tokenizer = (
        pre_tokenizers.Sequence(
            [pre_tokenizers.Split(" ", "removed"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
        if suffix
        else pre_tokenizers.ByteLevel(add_prefix_space=False)
    )
    inner.decoder = decoders.ByteLevel()
    inner.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True), "<|é|>"])
    return HuggingFaceTokenizer(inner.to_str().encode(), "", "<mask>")


def unigram() -> HuggingFaceTokenizer:
    pieces = [("<unk>", 0.0), ("▁", -3.0), ("▁the", -1.0), ("walk", -2.0), ("ing", -2.0), ("▁walk", -1.5)]
    inner = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=0))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return HuggingFaceTokenizer(inner.to_str().encode(), "<unk>")


# ----- Pieces: where a word begins is written in one way


def test_wordpiece_marks_where_words_begin() -> None:
    tokenizer = wordpiece()
    ids = tokenizer.encode("The walkings (walks), é [SEP]")
    expected = ["▁the", "▁walk", "ing", "s", "▁(", "▁walk", "s", "▁)", "▁,", "▁é", "[SEP]"]
    assert tokenizer.pieces(ids) == expected and tokenizer.marks_words
    assert words_read(tokenizer, "The walkings (walks), é", ids[:-1]) == [0, 1, 1, 1, 2, 2, 2, 2, 2, 3]
    assert tokenizer.pieces([15]) == ["▁##"]  # two signs that are a word, no mark


def test_bytes_are_read_as_letters() -> None:
    tokenizer = byte_level()
    ids = tokenizer.encode("the the é\n the<|é|>")
    assert tokenizer.pieces(ids) == ["the", "▁the", "▁", "é", "\n", "▁the", "<|é|>"]
    [first, second, *_] = tokenizer.pieces(tokenizer.encode("漢"))
    assert (first, second) == ("<0xE6>", "<0xBC>")  # parts of a letter
    assert tokenizer.decode(tokenizer.encode("the 漢é")) == "the 漢é"
    assert words_read(tokenizer, "the the the", tokenizer.encode("the the the")) == [0, 1, 2]


def test_ends_of_words_become_their_starts() -> None:
    tokenizer = byte_level("</w>")
    assert tokenizer.pieces(tokenizer.encode("the é xthe")) == ["▁the", "▁é", "▁x", "the"]


def test_marks_that_are_there_stay() -> None:
    tokenizer = unigram()
    assert tokenizer.pieces(tokenizer.encode("the walking")) == ["▁the", "▁walk", "ing"] and tokenizer.marks_words


def test_a_vocabulary_without_marks_has_none() -> None:
    inner = tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1, "dog": 2}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = HuggingFaceTokenizer(inner.to_str().encode(), "[UNK]")
    assert tokenizer.pieces(tokenizer.encode("the dog")) == ["the", "dog"] and not tokenizer.marks_words


# ----- Ids


def test_the_file_does_not_cut_and_adds_nothing() -> None:
    tokenizer = wordpiece()
    assert tokenizer.encode("the the the the the") == [5] * 5 and tokenizer.encode("") == []
    assert tokenizer.frame() == ([2], [3]) and byte_level().frame() == ([], [])


def test_special_tokens_are_those_that_no_text_becomes() -> None:
    tokenizer = wordpiece(entries=20)
    assert tokenizer.vocab_size == 20
    assert tokenizer.special_ids == {0, 1, 2, 3, 4, 16, 17, 18, 19}  # the model has four numbers that are no tokens
    assert tokenizer.pieces([16]) == [""] and tokenizer.decode([2, 5, 16, 3]) == "the"
    assert tokenizer.reserved_id(MASK_TOKEN) == 4 and tokenizer.reserved_id("[SEP]") is None
    assert byte_level().special_ids == {260, 261} and unigram().special_ids == {0}
    assert unigram().reserved_id(MASK_TOKEN) is None


def test_what_is_unknown_is_named_as_it_stands_in_the_text() -> None:
    tokenizer = wordpiece()
    assert tokenizer.encode("the Ξyz walks 漢") == [5, 1, 6, 8, 1]
    assert tokenizer.unknown("the Ξyz walks 漢") == ["Ξyz", "漢"] and byte_level().unknown("漢") == []
    assert wordpiece().unk_id == 1 and byte_level().unk_id == -1


def test_gaps_stand_where_the_mask_does() -> None:
    tokenizer = wordpiece()
    assert tokenizer.masks == ("<mask>", "[MASK]") and byte_level().masks == ("<mask>",)
    assert tokenizer.encode_with_gaps(["the ", "ing ", ""]) == [5, 4, 1, 4]
    spaced, tight = (byte_level().encode_with_gaps(parts) for parts in (["the ", " the"], ["the", " the"]))
    assert spaced == tight  # its mask takes the space before it
    with pytest.raises(ValueError, match="expected the reserved entry <mask>, got none"):
        unigram().encode_with_gaps(["the ", ""])


def test_a_mask_that_no_text_becomes_is_said() -> None:
    inner = tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0, "[MASK]": 1}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # which cuts the brackets off
    tokenizer = HuggingFaceTokenizer(inner.to_str().encode(), "[UNK]", "[MASK]")
    with pytest.raises(ValueError, match=r"expected '\[MASK\]' to be found in texts"):
        tokenizer.encode_with_gaps(["a ", ""])


def test_it_is_the_same_when_it_was_saved(tmp_path: Path) -> None:
    from attnkit.text.tokenizers.pair import TokenizerPair

    tokenizer = wordpiece(entries=20)
    pair = TokenizerPair(tokenizer, tokenizer, "huggingface", mask=True)
    pair.save(tmp_path)
    read = TokenizerPair.load(tmp_path, pair.to_config()).source
    assert isinstance(read, HuggingFaceTokenizer)
    assert (read.unk_id, read.mask_id, read.vocab_size, read.special_ids) == (1, 4, 20, tokenizer.special_ids)
    assert read.encode("The walking é") == tokenizer.encode("The walking é")


# ----- Hostile files and texts


@pytest.mark.parametrize("ids", [[99], [-1], [2**40]])
def test_ids_out_of_range_are_refused(ids: list[int]) -> None:
    for work in (wordpiece().decode, wordpiece().pieces):
        with pytest.raises(ValueError, match=rf"expected an id in \[0, 16\), got {ids[0]}"):
            work(ids)


def test_a_lone_surrogate_is_refused() -> None:
    for work in (wordpiece().encode, wordpiece().unknown):
        with pytest.raises(ValueError, match=r"\[tokenizer\]") as refused:
            work("a \ud800")
        assert "\n" not in str(refused.value)


def test_tokens_that_are_not_there_are_named() -> None:
    content = json.dumps({**json.loads(wordpiece()._content), "truncation": None}).encode()
    for names in (("<unk>", ""), ("[UNK]", "<mask>")):
        with pytest.raises(ValueError, match="which the vocabulary lacks"):
            HuggingFaceTokenizer(content, *names)


def test_a_panic_of_the_library_is_one_line() -> None:
    """A regular expression that explodes, and post-processors of tokens that there are not."""
    table = json.loads(wordpiece()._content)
    for changes in (
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}},
        {"model": {"type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]]}},
        {"model": {"type": "Unigram", "unk_id": None, "vocab": [["a", 0.0]]}},
        {"decoder": {"type": "Nothing"}},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
    ):
        with pytest.raises(ValueError, match=r"^\[tokenizer\] here:") as refused:
            HuggingFaceTokenizer(json.dumps(table | changes).encode(), name="here").encode("b é")
        assert "\n" not in str(refused.value)
