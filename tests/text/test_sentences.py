"""Where sentences end, in several languages, and how long ones are cut."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnkit.text.long_sentences import split_long
from attnkit.text.sentences import sentence_spans, split_sentences

# Sentences are separated by | here; the bar itself stands in none.
CASES = {
    "plain": "It was good. |Was it? |Yes! |And then",
    "titles and initials": "Mr. Smith met Dr. J. R. Jones and Mrs. St. John vs. the rest. |End.",
    "abbreviations": "See e.g. Figure 3, i.e. the plan, cf. Smith et al. 2019. |It is, viz. Rome, old.",
    "before numbers": "No. 5 is alive, see fig. 3 and pp. 12. |He said no. |Then he ate a fig. |On Jan. 5 it ended.",
    "perhaps an end": "Apple Inc. Chairman Cook came. |He left Apple Inc. |The rest stayed. |Tom Jr. was there.",
    "countries and hours": "The U.S. Army is in the U.S. |It came at 5 p.m. |We left at 6 a.m. on Monday.",
    "numbers": "It cost 3.50 or 2.5 pounds. |In 1990. |Then version 1.2.3 of www.example.com.",
    "lists": "1. Open the door. |2. Close it. |A. First thing. |It. |B. Second",
    "ellipses": "Wait... what? |Wait... |Then go. |So… he went… |Yes.",
    "no break before lower case": 'Yahoo! is here. |"No!" he said. |"Why?" – asked she.',
    "quotes and brackets": "He said \"No.\" |Then “Go!” |(Really?) |[Yes.] |'So.' |End (etc.). |Fin.",
    "a quotation of two": 'She said: "Go. |Now!" |He went.',
    "a comma behind": 'Is it "why?", or not ? |Yes !',
    "lower case alone": "it was good . |i liked it . |ok",
    "marks together": "What?! |No!!! |Oh?? |Yes.",
    "German": "Am 3. Oktober kam z. B. Hr. Meier. |»Nein.« |Er ging bzw. lief. |Der 2. Weltkrieg war d. h. vorbei. |Ja",
    "French": "« Oui. » |Il partit. |« Non ! » |M. Dupont et Mme Durand ? |Bien.",
    "Spanish": "¿Qué? |¡No! |El Sr. López y la Sra. Ruiz. |¿Sí?",
    "Portuguese": "O Sr. Silva e a Dra. Sousa saíram... |Mas voltaram!",
    "Russian": "А. С. Пушкин жил здесь. |Он, т. е. поэт, умер. |Да!",
    "Greek": "Τι κάνεις; |Καλά. |Ναι\u037e |Ω",
    "Arabic": "كيف حالك؟ |بخير. |شكرا",
    "Urdu": "یہ اچھا ہے۔ |وہ گیا۔",
    "Hindi": "यह अच्छा है। |वह गया।|फिर॥ |अंत",
    "Chinese": "很好。|不错！|“是吗？”|对",
    "Japanese": "「はい。」|行きます！？|うん｡|え",
    "Armenian and Ethiopic": "Այո։ |Ոչ։ |አዎ። |አይ።",
    "line ends": "one line\n|another line\r\n\r\n|third",
    "nothing": "",
    "white space": "  \t ",
    "a mark alone": " .",
}


@pytest.mark.parametrize("name", CASES)
def test_sentences(name: str) -> None:
    parts = CASES[name].split("|")
    text = "".join(parts)
    assert split_sentences(text) == [part.strip() for part in parts if part.strip()]
    assert split_sentences(f" \t{text}  ") == split_sentences(text)


@given(st.text(alphabet="abAB12.!?…;:,'\"()«»“”。！।؟ \n\u00a0-", max_size=80) | st.text(max_size=60))
def test_between_sentences_is_white_space_alone(text: str) -> None:
    end = 0
    for start, stop in sentence_spans(text):
        assert not text[end:start].strip() and start >= end
        assert text[start:stop] == text[start:stop].strip() != ""
        end = stop
    assert not text[end:].strip()


@pytest.mark.parametrize("unit", [".", "\n", ". ", '."', " ", "a. ", ".\n", "- ", "。", "(", " »"])
def test_text_that_repeats_itself_takes_no_longer_than_its_length(unit: str) -> None:
    begin = time.process_time()
    split_sentences(unit * (200_000 // len(unit)) + "x")
    assert time.process_time() - begin < 5  # a square of the length would be minutes


# ----- Sentences that are too long


@pytest.mark.parametrize(
    ("text", "longest", "parts"),
    [
        ("short", 10, ["short"]),
        ("one two, three; four, five six", 20, ["one two, three;", "four, five six"]),
        ("one two three, four five six", 16, ["one two three,", "four five six"]),
        ("one two three four five six", 16, ["one two three", "four five six"]),
        ("一二三四，五六七八", 5, ["一二三四，", "五六七八"]),
        ("abcdefgh", 4, ["abcd", "efgh"]),
        ("क" + "ि" * 3 + "ख", 4, ["क" + "ि" * 3, "ख"]),
        ("ab", 0, ["a", "b"]),
    ],
)
def test_long_sentences_are_cut_at_the_best_place(text: str, longest: int, parts: list[str]) -> None:
    found = split_long(f" {text}", (1, len(text) + 1), lambda start, end: end - start <= longest)
    assert [f" {text}"[start:end] for start, end in found] == parts


@given(st.text(alphabet="ab,; \u0301。", max_size=80), st.integers(1, 12))
def test_parts_fit_and_nothing_is_lost(text: str, longest: int) -> None:
    for span in sentence_spans(text):
        end = span[0]
        for start, stop in split_long(text, span, lambda start, end: end - start <= longest):
            assert not text[end:start].strip() and 0 < stop - start <= max(1, longest)
            end = stop
        assert end == span[1]
