"""Lines of several sentences, unknown words that are copied, and loops that are noticed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from dictionary_model import DictionaryModel, DictionaryState
from untrained_model import ENGLISH, ITALIAN

from attnkit.data.arrivals import PAUSE
from attnkit.decoding import StepOutput
from attnkit.tasks.translate.result import Result
from attnkit.tasks.translate.translator import Translator
from attnkit.text import TokenizerConfig, TokenizerPair
from attnkit.text.tokenizers.vocabulary import UNK, Vocabulary
from attnkit.text.tokenizers.words import WordPunctTokenizer

SIGNS = [".", "?", "!", ",", ";", "(", ")", '"']
SIZE = 4 + len(ENGLISH) + len(SIGNS)


def dictionary(model: type[DictionaryModel] = DictionaryModel) -> Translator:
    tokenizers = [WordPunctTokenizer(Vocabulary([*words, *SIGNS])) for words in (ENGLISH, ITALIAN)]
    return Translator(model(SIZE), *tokenizers)


@pytest.fixture
def translator() -> Translator:
    return dictionary()


PARAGRAPHS = [
    "  the cat sees a dog.  a house!\tthe dog?   ",
    "",
    '"the cat. a dog!" the house (is red.)',
    "   ",
    "- the cat. - the dog.",
    "cat",
    "*** ... ***",
    "“the cat.” «a dog!» — [the house.]",
]
ITALIAN_PARAGRAPHS = [
    "  il gatto vede una cane .  una casa !\til cane ?   ",
    "",
    '"il gatto . una cane !" il casa ( è rosso . )',
    "   ",
    "- il gatto . - il cane .",
    "gatto",
    "*** ... ***",
    "“il gatto .” «una cane !» — [il casa .]",
]


def test_sentences_are_joined_as_they_stood(translator: Translator) -> None:
    results = translator.translate(PARAGRAPHS, paragraphs=True)
    assert [result.text for result in results] == ITALIAN_PARAGRAPHS
    assert not any(result.truncated for result in results)
    first = results[0]
    assert [each.source for each in first.sentences] == ["the cat sees a dog.", "a house!", "the dog?"]
    assert [each.result.text for each in first.sentences] == ["il gatto vede una cane .", "una casa !", "il cane ?"]
    assert first.score == pytest.approx(sum(each.result.score for each in first.sentences)) and first.score < 0
    assert first.tokens == [token for each in first.sentences for token in each.result.tokens]
    assert results[1].sentences == () and results[1].text == "" and results[3].tokens == []


def test_all_sentences_go_through_one_stream(translator: Translator) -> None:
    model: Any = translator.model
    translator.translate(["the cat. a dog.", "a house. the cat sees a dog."], paragraphs=True, batch_tokens=12)
    assert sorted(model.batches) == [[4, 4], [7, 4]]  # those of both lines by their lengths
    expected = [result.text for result in translator.translate(PARAGRAPHS, paragraphs=True)]
    for window in (1, 2, 3):
        results = translator.translate_stream(PARAGRAPHS, paragraphs=True, window=window, batch_tokens=5)
        assert [result.text for result in results] == expected


def test_a_paragraph_is_answered_when_no_more_have_come(translator: Translator) -> None:
    answered: list[int] = []

    def lines() -> Iterator[Any]:
        for number, line in enumerate(["the cat. a dog.", "", "a house."]):
            yield line
            yield PAUSE
            assert len(answered) == number + 1

    for result in translator.translate_stream(lines(), paragraphs=True):
        answered.append(len(result.text))


def test_a_long_sentence_is_split_and_not_cut(translator: Translator) -> None:
    line = "the cat sees a dog, the dog is on a table; a red house is on the table."
    [cut] = translator.translate([line])
    [whole] = translator.translate([line], paragraphs=True)
    assert cut.truncated and not whole.truncated
    assert [each.source for each in whole.sentences] == [
        "the cat sees a dog,", "the dog is on a table;", "a red house is", "on the table.",
    ]  # fmt: skip
    assert whole.text == "il gatto vede una cane , il cane è sul una tavolo ; una rosso casa è sul il tavolo ."


def test_words_are_those_of_the_whole_line(translator: Translator) -> None:
    line = '"the cat. a dog!"  the (red) house'
    [result] = translator.translate([line], paragraphs=True, attention=True)
    words, written = line.split(), result.text.split()
    assert written == ['"il', "gatto", ".", "una", "cane", '!"', "il", "(", "rosso", ")", "casa"]
    assert [(words[i], written[j]) for i, j in result.alignment] == [
        ('"the', '"il'), ("cat.", "gatto"), ("cat.", "."), ("a", "una"), ('dog!"', "cane"), ('dog!"', '!"'),
        ("the", "il"), ("(red)", "("), ("(red)", "rosso"), ("(red)", ")"), ("house", "casa"),
    ]  # fmt: skip
    assert result.attention is None and all(each.result.attention is not None for each in result.sentences)
    assert [words[word] for word in result.source_words if word >= 0][:2] == ['"the', "cat."]
    assert len(result.source_words) == len(result.source_tokens) and len(result.target_words) == len(result.tokens)


def test_what_is_said_of_a_paragraph(translator: Translator) -> None:
    [result] = translator.translate(["the zebra. a gnu."], paragraphs=True)
    assert result.unknown == ["zebra", "gnu"]
    [prefixed] = translator.translate(["the cat. a dog."], paragraphs=True, prefix="casa")
    assert prefixed.text == "casa gatto . una cane ."
    with pytest.raises(ValueError, match="expected nbest 1 with paragraphs, got 2"):
        translator.translate_stream(["the cat"], paragraphs=True, nbest=2)
    with pytest.raises(TypeError, match="expected text in line 2, got int"):
        translator.translate(["a. b.", 3], paragraphs=True)  # type: ignore[list-item]


def test_every_sentence_has_the_tag_of_its_line() -> None:
    from attnkit.text.tokenizers.tagged import TaggedTokenizer

    inner = WordPunctTokenizer(Vocabulary([*ENGLISH, *SIGNS], [">>de<<", ">>it<<"]))
    ids = {language: inner.reserved_id(f">>{language}<<") for language in ("de", "it")}
    reader = TaggedTokenizer(inner, ids)  # type: ignore[arg-type]
    translator = Translator(DictionaryModel(inner.vocab_size), reader, inner)
    results = translator.translate(
        [">>de<< the cat. a dog.", "the cat. a dog."], to="it", paragraphs=True, attention=True
    )
    for result, tag in zip(results, (">>de<<", ">>it<<"), strict=True):
        assert [each.result.source_tokens[0] for each in result.sentences] == [tag, tag]
    assert [word for word in results[0].source_words if word >= 0] == [1, 2, 2, 3, 4, 4]
    with pytest.raises(ValueError, match="expected a language among de, it for line 2, got fr"):
        translator.translate(["the cat.", ">>fr<< a dog. a cat."], to="it", paragraphs=True)


# ----- Unknown words


class Ignorant(DictionaryModel):
    """Looks at the source word from the other end, so that it is the attention that says which one is copied."""

    def step(self, state: DictionaryState, ids: npt.NDArray[np.int32], attention: bool = False) -> StepOutput:
        place = state.position
        output = super().step(state, ids, attention)
        for row, source in enumerate(state.sources):
            words = len(source) - 1
            if attention and place < words:
                assert output.attention is not None
                output.attention[row] = 0
                output.attention[row, words - 1 - place] = 1
        return output


def test_unknown_words_are_copied_by_attention(translator: Translator) -> None:
    lines = ["the zebra sees a gnu", "the cat", ""]
    plain = translator.translate(lines)
    copied = translator.translate(lines, copy_unknown=True, attention=True)
    assert copied[0].text == "il zebra vede una gnu" and copied[0].tokens[1] == "zebra"
    assert copied[0].unknown == ["zebra", "gnu"] and copied[0].alignment == [(i, i) for i in range(5)]
    assert "zebra" not in plain[0].text and plain[0].tokens.count("<unk>") == 0
    assert [result.text for result in copied[1:]] == [result.text for result in plain[1:]]
    unasked = translator.translate(lines, copy_unknown=True)
    assert [r.text for r in unasked] == [r.text for r in copied] and unasked[0].attention is None
    [other_end] = dictionary(Ignorant).translate(["the zebra sees a gnu"], copy_unknown=True)
    assert other_end.text == "il a vede una the"
    [both] = translator.translate(["the zebra. a gnu!"], copy_unknown=True, paragraphs=True)
    assert both.text == "il zebra . una gnu !"
    [prefixed] = translator.translate(["the zebra sees"], copy_unknown=True, prefix="Zorro")
    assert prefixed.text == "Zorro zebra vede" and prefixed.tokens == ["Zorro", "zebra", "vede"]


def pieces(vocab_size: int, byte_fallback: bool) -> TokenizerPair:
    lines = ["the cat sees the dog", "a red house is on the table", "il gatto vede il cane"] * 4
    config = TokenizerConfig(kind="unigram", vocab_size=vocab_size, byte_fallback=byte_fallback)
    return TokenizerPair.train(lines, lines, config)


def test_copied_words_are_joined_by_the_marks_of_pieces() -> None:
    tokenizer = pieces(24, byte_fallback=False).source
    translator = Translator(DictionaryModel(tokenizer.vocab_size), tokenizer, tokenizer)
    translator.model.max_source_length = translator.model.max_target_length = 60  # type: ignore[misc]
    translator.max_source_length = 60
    lines = ["☃ sees the dog", "the ☃☃ sees ☃", "see☃ the cat"]
    results = translator.translate(lines, copy_unknown=True, attention=True, beam=1)
    assert [result.text for result in results] == lines  # the dictionary is of the language itself
    assert UNK in tokenizer.encode(lines[0]) and "☃" not in translator.translate(lines, beam=1)[0].text
    assert [result.alignment[-1] for result in results] == [(3, 3), (3, 3), (2, 2)]


def test_a_model_that_knows_every_byte_copies_nothing() -> None:
    tokenizer = pieces(280, byte_fallback=True).source
    translator = Translator(DictionaryModel(tokenizer.vocab_size), tokenizer, tokenizer)
    lines = ["the ☃"]
    assert [r.tokens for r in translator.translate(lines)] == [
        r.tokens for r in translator.translate(lines, copy_unknown=True)
    ]


# ----- What is kept


def keeping() -> Translator:
    vocabularies = [Vocabulary([*words, *SIGNS, "918", "927"]) for words in (ENGLISH, ITALIAN)]
    return Translator(DictionaryModel(SIZE + 2), *map(WordPunctTokenizer, vocabularies))


def test_what_matches_stands_in_the_translation() -> None:
    lines = ["the {name} sees a <b>red house</b>!", "", "<br/>", "the %s. the <i>cat</i> is red."]
    keep = ["tags", "placeholders"]
    translator = keeping()
    results = translator.translate(lines, keep=keep, attention=True)
    expected = ["il {name} vede una <b>rosso casa</b> !", "", "<br/>", "il %s . il <i>gatto</i> è rosso"]
    assert [result.text for result in results] == expected  # the last is cut
    assert [result.unkept for result in results] == [[], [], [], []] and results[0].unknown == []
    assert results[0].tokens[1] == "918" and results[0].alignment[:3] == [(0, 0), (1, 1), (2, 2)]
    without = translator.translate(lines, keep=keep)
    assert [result.text for result in without] == expected and without[0].attention is None
    paragraph = translator.translate(lines, keep=keep, paragraphs=True)[3]
    assert paragraph.text == "il %s . il <i>gatto</i> è rosso ." and len(paragraph.sentences) == 2
    assert translator.translate(["the {name}"])[0].unknown == ["{", "name", "}"]
    assert translator.translate(["the CAT"], keep=r"\b[A-Z]{2,}\b")[0].text == "il CAT"


def test_a_stand_in_that_the_model_cannot_copy_is_placed_by_attention(translator: Translator) -> None:
    [result] = translator.translate(["the {name} sees"], keep="placeholders")
    assert result.text.count("{name}") == 1 and result.text.startswith("il {name} ") and result.unkept == []


def test_what_is_not_kept_is_said() -> None:
    translator = keeping()
    [result] = translator.translate(["the {a} {b}"], keep="placeholders", prefix="{b}")
    assert result.unkept == ["{b}"]
    with pytest.raises(ValueError, match="or a regular expression to keep"):
        translator.translate_stream([], keep=["tags", "("])


# ----- Loops


class Looping(DictionaryModel):
    """Says its third word again and again where the source has "red" in it."""

    max_target_length: int | None = 40

    def step(self, state: DictionaryState, ids: npt.NDArray[np.int32], attention: bool = False) -> StepOutput:
        red = [4 + ENGLISH.index("red") in source for source in state.sources]
        output = super().step(state, ids, attention)
        for row, (loops, source) in enumerate(zip(red, state.sources, strict=True)):
            if loops and state.position > 2:
                output.log_probs[row] = np.log(0.2 / (SIZE - 1))
                output.log_probs[row, source[2]] = np.log(0.8)
        return output


def test_loops_are_noticed() -> None:
    translator = dictionary(Looping)
    lines = ["the red cat", "the dog sees a cat", "", "cat cat cat cat cat"]
    results = translator.translate(lines)
    assert [result.looped for result in results] == [True, False, False, False]
    assert results[0].text.endswith("gatto gatto gatto gatto") and results[0].truncated
    [paragraph] = translator.translate(["the dog. the red cat."], paragraphs=True)
    assert paragraph.looped
    for remedy in ({"no_repeat_ngram": 3}, {"repetition_penalty": 30.0}):
        assert not any(result.looped for result in translator.translate(lines, **remedy))


def test_a_result_is_compatible() -> None:
    result = Result("a", 0.0, ["a"], None, ["b"])
    assert not result.looped and result.sentences == ()


def test_lines_without_the_option_are_as_they_were(translator: Translator) -> None:
    [one] = translator.translate(["the cat. a dog."])
    assert one.text == "il gatto . una cane ." and one.sentences == ()
    [same] = translator.translate(["the cat."], paragraphs=True)
    assert same.text == translator.translate(["the cat."])[0].text
