"""What is kept of a text: found, read as something else, and put back where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnkit.text.kept import NAMED, Keeper


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("tags", '<b>c</b> <a href="x y">d</a><br/> 3 < 4 > 2 <!-- -->', '<b>|</b>|<a href="x y">|</a>|<br/>|<!-- -->'),
        ("placeholders", "{a} {{ b }} ${c.d} {} or", "{a}|{{ b }}|${c.d}|{}"),
        ("placeholders", "%s %d %1$s %(e)s %.2f %@ 50% off 100%s", "%s|%d|%1$s|%(e)s|%.2f|%@|%s"),
        ("numbers", "1 1,234.56 12:30 3.50. 2019-2020 a1 5px (7) 1'000", "1|1,234.56|12:30|3.50|2019-2020|7|1'000"),
        (r"@\w+", "hi @ann and @bob", "@ann|@bob"),
        ("x*", "axxb", "xx"),
    ],
)  # fmt: skip
def test_what_matches(pattern: str, text: str, found: str) -> None:
    assert [text[start:end] for start, end in Keeper([pattern]).find(text)] == found.split("|")


def test_of_several_patterns_the_longest() -> None:
    keeper = Keeper(["numbers", "placeholders", r"\{\d+"])
    assert [*keeper.counts("{12} and 12")] == ["{12}", "12"]
    assert keeper.shadow("a {12}. 7") == "a XXXX. X" and Keeper(["tags"]).shadow("<b>a</b>") == "***a****"
    assert keeper.hold("nothing") is None
    with pytest.raises(
        ValueError, match=r"expected tags, placeholders, numbers or a regular expression to keep, got '\('"
    ):
        Keeper(["("])


def restored(line: str, translation: str, links: list[int], *patterns: str) -> str:
    """The text that becomes of a translation whose word t looks at word links[t] of what is read of the line."""
    held = Keeper(patterns or tuple(NAMED)).hold(line)
    assert held is not None
    weights = np.zeros((len(links), len(held.masked.split())), np.float32)
    weights[np.arange(len(links)), links] = 1
    text, words, unkept = held.restore(translation, weights)
    assert unkept == [] and len(words) == len(translation.split())
    return text


@pytest.mark.parametrize(
    ("line", "read", "translation", "links", "text"),
    [
        ("the {a} cat", "the 918 cat", "il gatto 918", [0, 2, 1], "il gatto {a}"),
        ("({a}), %s!", "(918), 927!", "(918), 927!", [0, 1], "({a}), %s!"),
        ("{a}{b} cats", "918 cats", "gatti 918", [1, 0], "gatti {a}{b}"),
        ("5 cats, 5 dogs", "5 cats, 5 dogs", "5 gatti, 5 cani", [0, 1, 2, 3], "5 gatti, 5 cani"),
        ("1,5 cats", "918 cats", "gatti", [1], "1,5 gatti"),  # it was lost
        ("1,5 cats", "918 cats", "9180 gatti", [0, 1], "1,5 gatti"),  # it was garbled
        ("the <b>red cat</b> is", "the red cat is", "il gatto rosso è", [0, 2, 1, 3], "il <b>gatto rosso</b> è"),
        ("<p>the <i>cat</i>.</p>", "the cat.", "il gatto.", [0, 1], "<p>il <i>gatto</i>.</p>"),
        ("<b>a</b> <i>b</i>", "a b", "b a", [1, 0], "<i>b</i> <b>a</b>"),
        ("a <br/> b", "a  b", "a b", [0, 1], "a <br/> b"),
        ("a<br/>b", "a b", "a b", [0, 1], "a <br/>b"),
        ("the cat<br>", "the cat", "il gatto", [0, 1], "il gatto<br>"),
        ("a <b></b> b", "a  b", "a b", [0, 1], "a <b></b> b"),
        ("un<b>like</b>ly", "unlikely", "improbabile", [0], "<b>improbabile</b>"),
        ("a <b>b</b>!", "a b!", "a b !", [0, 1, 1], "a <b>b</b> !"),
        ("(<b>a</b>)", "(a)", "(a)", [0], "(<b>a</b>)"),
        ("a <b>{x}</b>", "a 918", "918 a", [1, 0], "<b>{x}</b> a"),
        ("a </b> b", "a  b", "a b", [0, 1], "a </b> b"),
        ("<b>a", "a", "", [], "<b>"),
    ],
)  # fmt: skip
def test_it_is_put_back(line: str, read: str, translation: str, links: list[int], text: str) -> None:
    held = Keeper(NAMED).hold(line)
    assert held is not None and held.masked == read
    assert restored(line, translation, links) == text


def test_words_are_those_of_the_line_and_of_the_whole_text() -> None:
    held = Keeper(NAMED).hold('see <a href="x y">the {big cat} page</a> now')
    assert held is not None and held.masked == "see the 918 page now"
    assert held.source_words == [0, 3, 4, 6, 7]
    text, words, _ = held.restore("vedi la pagina 918 ora", np.eye(5, dtype=np.float32)[[0, 1, 3, 2, 4]])
    assert text == 'vedi <a href="x y">la pagina {big cat}</a> ora' and words == [0, 3, 4, 5, 7]


def test_what_does_not_agree_is_said() -> None:
    held = Keeper(["numbers"]).hold("12 cats and 1,5 dogs")
    assert held is not None and held.masked == "12 cats and 918 dogs"
    _, _, unkept = held.restore("12 gatti e 918 cani 918 3", np.zeros((7, 5), np.float32))
    assert unkept == ["1,5", "3"]


@given(
    st.lists(
        st.sampled_from(["<b>", "</b>", "<br/>", "{x}", "{y z}", "1,5", "7", "a", "(", ".", " ", " cat "]), max_size=14
    ),
    st.integers(0, 99),
)
def test_a_copy_is_the_line_again_and_nothing_is_lost(parts: list[str], seed: int) -> None:
    line = "".join(parts).strip()
    keeper = Keeper(["tags", "placeholders"])
    if (held := keeper.hold(line)) is None:
        return
    read = len(held.masked.split())
    assert len(held.source_words) == read
    weights = np.random.default_rng(seed).random((read, read)).astype(np.float32)
    text, words, unkept = held.restore(held.masked, weights)
    assert unkept == [] and keeper.counts(text) == keeper.counts(line)
    assert len(words) == read and all(0 <= word <= len(text.split()) for word in words)
