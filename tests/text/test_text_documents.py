"""Texts with labels, and documents: reading, HTML, sentences, limits, batches."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnkit.text import Vocabulary, WordTokenizer
from attnkit.text.document_batching import DocumentBatch, DocumentIterator
from attnkit.text.documents import Document, DocumentReader, EncodedDocuments, prepare_text
from attnkit.text.html import text_of_html
from attnkit.text.labelled import LabelledTexts
from attnkit.text.layout import Layout
from attnkit.text.sentences import split_sentences
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.vocabulary import BOS, UNK

WORDS = WordTokenizer(Vocabulary(["a", "b", "c", "a.", "b."]))
EXAMPLES = [("a fine film", "pos"), ("dull\nand long", "neg"), ("   ", "neg"), ("weak", "neg")]


# --- reading


def write_folders(root: Path) -> Path:
    for number, (text, label) in enumerate(EXAMPLES):
        (root / label).mkdir(parents=True, exist_ok=True)
        if number == 3:
            (root / label / "3.txt.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (root / label / f"{number}.txt").write_text(text)
    (root / "pos" / ".hidden").write_text("not read")
    (root / "README").write_text("not read")
    return root


def write_jsonl(path: Path, examples: list[tuple[str, str]] = EXAMPLES) -> Path:
    text = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in examples)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_folders_and_json_lines_say_the_same(tmp_path: Path) -> None:
    folders = LabelledTexts.read(write_folders(tmp_path / "data"))
    assert list(zip(folders.texts, folders.labels, strict=True)) == [
        ("dull\nand long", "neg"),
        ("weak", "neg"),
        ("a fine film", "pos"),
    ]
    for name in ("data.jsonl", "data.jsonl.gz"):
        lines = LabelledTexts.read(write_jsonl(tmp_path / name))
        assert sorted(zip(lines.texts, lines.labels, strict=True)) == sorted(
            zip(folders.texts, folders.labels, strict=True)
        )
        assert (lines.empty, folders.empty) == (1, 1)
    assert folders.classes() == ("neg", "pos")
    assert folders.describe() == "3 documents (neg 2, pos 1), 1 empty left out"


def test_keys_and_numbers_as_labels(tmp_path: Path) -> None:
    path = tmp_path / "stars.jsonl"
    path.write_text('{"review": "good", "stars": 5}\n\n{"review": "bad", "stars": 1, "other": []}\n')
    texts = LabelledTexts.read(path, text_key="review", label_key="stars")
    assert (texts.texts, texts.labels) == (["good", "bad"], ["5", "1"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"}', "line 2: expected a label, a string or a whole number, under 'label', got nothing"),
        ('{"text": "a", "label": ""}', "under 'label', got an empty one"),
        ('{"text": "a", "label": true}', "under 'label', got bool"),
        ('{"text": "a", "label": 1.5}', "under 'label', got float"),
        ('{"label": "x"}', "line 2: expected a string under 'text', got nothing"),
        ('{"text": 3, "label": "x"}', "expected a string under 'text', got int"),
        ("[1]", "expected a JSON object, got list"),
        ("{", "expected a JSON object"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(f'{{"text": "a", "label": "x"}}\n{line}\n')
    with pytest.raises(ValueError, match=r"\[corpus\] .*data\.jsonl") as raised:
        LabelledTexts.read(path)
    assert message in str(raised.value)


def test_a_folder_without_labels_and_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x")
    with pytest.raises(ValueError, match="expected a folder for each label, got none"):
        LabelledTexts.read(tmp_path)
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "1").write_bytes(b"caf\xe9")
    with pytest.raises(ValueError, match=r"pos/1, line 1: expected UTF-8, got byte 0xe9"):
        LabelledTexts.read(tmp_path)
    with pytest.raises(FileNotFoundError):
        LabelledTexts.read(tmp_path / "nothing")


def test_a_share_is_held_out_by_the_seed() -> None:
    texts = LabelledTexts.from_examples((f"text {i}", "ab"[i % 2]) for i in range(100))
    rest, held_out = texts.hold_out(0.2, seed=3)
    assert len(held_out) == 20 and len(rest) == 80
    assert sorted(rest.texts + held_out.texts) == sorted(texts.texts)
    assert rest.texts == sorted(rest.texts, key=lambda text: int(text[5:]))
    again, other = texts.hold_out(0.2, seed=3)[1], texts.hold_out(0.2, seed=4)[1]
    assert again.texts == held_out.texts != other.texts
    assert len(texts.hold_out(0.001, seed=1)[1]) == 1
    assert len(texts.hold_out(0.999, seed=1)[0]) == 1  # something is left to learn from


# --- text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Good.<br /><br />Bad.", "Good.\n\nBad."),
        ("a <i>very</i> <b class='x'>big</b> one", "a very big one"),
        ("5 &lt; 6 &amp; caf&eacute; &#33;", "5 < 6 & café !"),
        ("3 < 4 and 4 > 3, <3", "3 < 4 and 4 > 3, <3"),
        ("<p>one</p><p>two</p>", "\none\n\ntwo\n"),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert text_of_html(html) == text


@given(st.text())
def test_text_without_tags_is_only_unescaped(text: str) -> None:
    plain = text.replace("<", "").replace("&", "")
    assert prepare_text(plain, html=True) == prepare_text(plain, html=False)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It was good. Was it? Yes!", ["It was good.", "Was it?", "Yes!"]),
        ('He said "No." Then he left...  Gone', ['He said "No."', "Then he left...", "Gone"]),
        ("Mr. Smith met Dr. J. R. Jones vs. the rest. End.", ["Mr. Smith met Dr. J. R. Jones vs. the rest.", "End."]),
        ("It cost 3.50 or 2.5 pounds. (Cheap.) Yes", ["It cost 3.50 or 2.5 pounds.", "(Cheap.)", "Yes"]),
        ("one line\nanother line\n\n\nthird", ["one line", "another line", "third"]),
        ("很好。不错！是吗？对", ["很好。", "不错！", "是吗？", "对"]),
        ("", []),
        (" . ", ["."]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@given(st.text(alphabet="ab .!?\n。\"'", max_size=60))
def test_no_letter_is_lost_between_sentences(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_words_and_punctuation() -> None:
    config = TokenizerConfig(kind="wordpunct", lowercase=True)
    pair = TokenizerPair.train(["It isn't (bad), is it?"], [], config)
    ids = pair.source.encode("Isn't it bad...")
    assert pair.source.pieces(ids) == ["isn't", "it", "bad", "<unk>", "<unk>", "<unk>"]
    assert pair.source.unknown("Isn't it bad...") == [".", ".", "."]
    assert pair.source.decode(ids[:3]) == "isn't it bad"


# --- limits


def read(text: str, **layout: int) -> Document:
    return DocumentReader(WORDS, Layout(**{"max_length": 6, **layout})).read(text)


def test_a_document_as_one_sentence() -> None:
    a, b, c = WORDS.encode("a b c")
    assert read("a  b\nc") == Document([[a, b, c]], 0)
    assert read("a b c a b c a b") == Document([[a, b, c, a, b, c]], 2)
    assert read("a b c", first=BOS) == Document([[BOS, a, b, c]], 0)
    assert read("a b c a b c a b", first=BOS) == Document([[BOS, a, b, c, a, b]], 3)
    assert read("") == read("", first=BOS) == read(" \n", max_sentence_length=3) == Document([], 0)


def test_a_document_by_sentences() -> None:
    a, b, a_stop, b_stop = WORDS.encode("a b a. b.")
    assert read("a b. a", max_sentence_length=4) == Document([[a, b_stop], [a]], 0)
    # A long sentence goes on as a further one; the document's length is the limit that cuts.
    assert read("a a a b b. b", max_sentence_length=3) == Document([[a, a, a], [b, b_stop], [b]], 0)
    assert read("a a. b b. b a b.", max_sentence_length=9) == Document([[a, a_stop], [b, b_stop], [b, a]], 1)
    assert read("a. b. a. b. a. b. a. b. zzz.", max_sentence_length=9).cut == 3


def test_what_was_cut_and_left_out_is_counted() -> None:
    reader = DocumentReader(WORDS, Layout(max_length=4))
    documents = EncodedDocuments.encode(reader, ["a b", "", "a a a a b b", "zzz"], [0, 1, 1, 0])
    assert documents.labels.tolist() == [0, 1, 0]
    assert documents.ids.tolist()[-1] == UNK
    assert documents.lengths.tolist() == [2, 4, 1]
    assert str(documents.report) == (
        "3 documents, 7 tokens (1 without a token left out); cut: 1 documents, by 2 tokens (22.2 %) beyond max_length"
    )


# --- batches

Documents = list[list[list[int]]]
DOCUMENTS = st.lists(
    st.lists(st.lists(st.integers(4, 99), min_size=1, max_size=6), min_size=1, max_size=4), min_size=1, max_size=25
)


def encoded(documents: Documents) -> EncodedDocuments:
    numbers = iter(documents)

    class Reader(DocumentReader):
        def read(self, text: str) -> Document:
            return Document(next(numbers), 0)

    return EncodedDocuments.encode(
        Reader(WORDS, Layout(9)), ["x"] * len(documents), [len(document) % 3 for document in documents]
    )


def contents(batch: DocumentBatch) -> Documents:
    sentences = np.split(batch.ids, batch.sentence_offsets[1:-1])
    bounds = zip(batch.document_offsets[:-1], batch.document_offsets[1:], strict=True)
    return [[sentence.tolist() for sentence in sentences[begin:end]] for begin, end in bounds]


@given(DOCUMENTS, st.integers(1, 40), st.booleans(), st.integers(1, 9))
def test_every_document_once_within_the_limit(
    documents: Documents, max_tokens: int, shuffle: bool, bucket_size: int
) -> None:
    iterator = DocumentIterator(encoded(documents), max_tokens, shuffle=shuffle, bucket_size=bucket_size)
    batches = list(iterator)
    assert sorted(index for batch in batches for index in batch.indices) == list(range(len(documents)))
    for batch in batches:
        assert batch.tokens == len(batch.indices) == 1 or len(batch.ids) <= max_tokens
        assert contents(batch) == [documents[index] for index in batch.indices]
        assert batch.labels.tolist() == [len(documents[index]) % 3 for index in batch.indices]
        for name in ("ids", "sentence_offsets", "document_offsets", "labels", "indices"):
            assert getattr(batch, name).dtype == np.int32
    assert iterator.epoch == 1 and iterator.index == 0


def test_a_saved_position_goes_on_with_the_same_batches() -> None:
    documents = encoded([[[4] * (1 + i % 5)] for i in range(40)])
    iterator = DocumentIterator(documents, 12, seed=5)
    taken = [next(iterator) for _ in range(3)]
    state = json.loads(json.dumps(iterator.state_dict()))
    rest = list(iterator)
    again = DocumentIterator(documents, 12, seed=5)
    again.load_state_dict(state)
    assert [batch.indices.tolist() for batch in again] == [batch.indices.tolist() for batch in rest]
    assert len(taken) + len(rest) == len(again)
    with pytest.raises(ValueError, match="expected a position with seed = 6, got 5"):
        DocumentIterator(documents, 12, seed=6).load_state_dict(state)
    with pytest.raises(ValueError, match="expected a position with documents = 39, got 40"):
        DocumentIterator(encoded([[[4]]] * 39), 12, seed=5).load_state_dict(state)
