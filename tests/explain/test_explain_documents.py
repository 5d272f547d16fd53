"""Classified documents drawn: strengths, readable tokens, the page, the picture, the terminal, JSON."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attnkit.explain import DocumentMap, render_document, write_documents
from attnkit.explain.document.map import readable

SENTENCES = [["a", "dull", "start", "."], ["but", "great", "fun", "!"]]
WORDS = [np.array([0.1, 0.6, 0.2, 0.1]), np.array([0.1, 0.7, 0.2, 0.0])]
DOCUMENT = DocumentMap(SENTENCES, WORDS, np.array([0.2, 0.8]), [("pos", 0.9), ("neg", 0.1)], "review 1")
EMPTY = DocumentMap([], [], np.zeros(0))


def visible(page: str) -> str:
    """The text of a page's body, without its tags."""
    body = page.partition("<body>")[2]
    return html.unescape(re.sub(r"<[^>]*>", "", body))


# --- what is drawn


def test_strengths_weigh_words_by_their_sentence() -> None:
    strengths = DOCUMENT.word_strengths()
    share = np.sqrt(0.2) * (0.6 - 1 / 4) / (np.sqrt(0.8) * (0.7 - 1 / 4))
    np.testing.assert_allclose(strengths[0], [0, share, 0, 0], rtol=1e-5)
    np.testing.assert_array_equal(strengths[1], [0, 1, 0, 0])
    even = DocumentMap([["a"] * 7, ["b"]], [np.full(7, 1 / 7), np.ones(1)], np.array([0.5, 0.5]))
    assert not np.concatenate(even.word_strengths()).any()
    np.testing.assert_allclose(DOCUMENT.sentence_strengths(), [0.25, 1.0])
    assert EMPTY.word_strengths() == [] and EMPTY.sentence_strengths().shape == (0,)


@pytest.mark.parametrize(
    ("words", "sentences", "message"),
    [
        ([WORDS[0]], [0.2, 0.8], "expected weights for sentences of [4, 4] words and [2] sentence weights"),
        ([WORDS[0], WORDS[1][:3]], [0.2, 0.8], "got [[4], [3]] and [2]"),
        (WORDS, [1.0], "got [[4], [4]] and [1]"),
        ([WORDS[0], -WORDS[1]], [0.2, 0.8], "finite and not negative"),
        (WORDS, [np.nan, 1.0], "finite and not negative"),
    ],
)
def test_other_weights_are_refused(words: list[np.ndarray], sentences: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        DocumentMap(SENTENCES, words, np.array(sentences))


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["a", "fine", "(", "film", ")", ",", "isn't", "it", "?"], "a fine (film), isn't it?"),
        (["▁the", "▁fil", "m", "s", ".", "▁", "x"], "the films. x"),
        (list("a b"), "a b"),
        (["<s>", "a"], "<s> a"),
        (["\x1b[31m", "a\u202eb"], "\ufffd[31m a\ufffdb"),
        ([], ""),
    ],
)
def test_tokens_are_readable(tokens: list[str], text: str) -> None:
    assert "".join(gap + token for gap, token in readable(tokens)) == text


# --- a page


def test_the_page_has_the_text_and_the_classes(tmp_path: Path) -> None:
    (path,) = write_documents(tmp_path / "a.html", [DOCUMENT, EMPTY])
    page = path.read_text()
    text = " ".join(visible(page).split())
    assert "review 1pos 90.0 %neg 10.0 % a dull start. but great fun! (no words)" in text
    assert '<mark class="s20 strong" title="0.700">great</mark>' in page
    assert "<script" not in page and 'style="' not in page and "://" not in page
    assert "default-src 'none'; style-src 'sha256-" in page


@given(st.lists(st.text(max_size=8), max_size=5), st.text(max_size=10))
def test_nothing_in_a_text_becomes_markup(tokens: list[str], title: str) -> None:
    from attnkit.explain.page.documents import _page

    tokens = [*tokens, "<script>", "{{style}}", '"&amp;']
    page = _page([DocumentMap([tokens], [np.full(len(tokens), 0.1)], np.ones(1), [(title, 0.5)], title)], "t")
    assert "<script" not in page and page.count("<style>") == 1
    assert "{{style}}" in visible(page) and '"&amp;' in visible(page)


# --- a picture


def test_the_picture_is_shaded_and_grows_with_the_text(tmp_path: Path) -> None:
    long = DocumentMap([["word"] * 300], [np.linspace(0, 1, 300)], np.ones(1))
    paths = write_documents(tmp_path / "a.png", [DOCUMENT, long, EMPTY])
    assert [path.name for path in paths] == ["a-1.png", "a-2.png", "a-3.png"]
    pictures = []
    for path in paths:
        with Image.open(path) as image:
            pictures.append(np.asarray(image))
    small, tall, empty = pictures
    assert len(tall) > 2 * len(small) and len(empty) <= len(small)  # the title and the legend are as high in each
    assert (small == (18, 62, 148)).all(axis=2).any()  # the ink of the strongest word


# --- the terminal


def test_lines_fit_and_strong_words_are_marked() -> None:
    text = render_document(DOCUMENT, colour=False, width=24)
    assert text == "review 1\npos 90.0 %  neg 10.0 %\n▂ a [dull] start.\n█ but [great] fun!\n"
    coloured = render_document(DOCUMENT, colour=True, width=24)
    assert "\x1b[48;5;20;38;5;231mgreat\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text.replace("[", "").replace("]", "")


def test_long_sentences_are_wrapped_and_empty_ones_said() -> None:
    document = DocumentMap([["word"] * 12, ["语言"] * 12], [np.zeros(12)] * 2, np.array([0.5, 0.5]))
    lines = render_document(document, colour=False, width=20).splitlines()
    assert len(lines) == 4 + 4
    assert all(sum(2 if ord(letter) > 0x2FFF else 1 for letter in line) <= 20 for line in lines)
    assert render_document(EMPTY) == "(no words)\n"
    one = DocumentMap([["a", "b"]], [np.array([0.9, 0.1])], np.ones(1))
    assert render_document(one, colour=False) == "[a] b\n"  # one sentence needs no bar
    with pytest.raises(ValueError, match="expected a width of at least 20 columns, got 19"):
        render_document(one, width=19)


# --- JSON


def test_the_json_has_it_all(tmp_path: Path) -> None:
    (path,) = write_documents(tmp_path / "a.json", [DOCUMENT, EMPTY])
    written = json.loads(path.read_text())
    assert (written["format"], written["version"]) == ("attnkit.documents", 1)
    first, second = written["documents"]
    assert first["title"] == "review 1" and first["classes"][0] == {"label": "pos", "probability": 0.9}
    assert first["sentences"][1] == {"tokens": SENTENCES[1], "weights": [0.1, 0.7, 0.2, 0.0], "weight": 0.8}
    assert second == {"title": "", "classes": [], "sentences": []}
    with pytest.raises(ValueError, match=r"expected a file ending in \.html, \.png, \.svg or \.json"):
        write_documents(tmp_path / "a.pdf", [])
