"""Translating through a third language: what two models write one after the other, in one pass, and its attention."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from untrained_model import ENGLISH, FRENCH, ITALIAN, MAX_LENGTH, write_untrained_model

import attnkit
from attnkit.data.arrivals import PAUSE, Paused
from attnkit.tasks.translate import shortlist_source
from attnkit.tasks.translate.pivot import PivotResult, composed_attention, load_pivot
from attnkit.tasks.translate.result import Result
from attnkit.tasks.translate.translator import Translator

LINES = ["the cat is on the table", "", "a red house", "the gnu sees a cat", "   ", "table", "a " * 20]
SAMPLES = Path(__file__).parents[1] / "data" / "formats" / "1" / "models"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    path = tmp_path_factory.mktemp("models")
    write_untrained_model(path / "en-it")
    write_untrained_model(path / "it-fr", ITALIAN, FRENCH, seed=2)
    return path / "en-it", path / "it-fr"


@pytest.fixture(scope="module")
def pivot(folders: tuple[Path, Path]) -> attnkit.PivotTranslator:
    return attnkit.load(folders[0], then=folders[1])


def everything(results: list[Any]) -> list[Any]:
    return [
        (each.text, each.score, each.tokens, each.attention is not None and each.attention.tobytes())
        for result in results
        for each in (result, result.through, *result.alternatives)
    ]


# ----- What is written


def test_the_second_model_translates_what_the_first_writes(pivot: attnkit.PivotTranslator) -> None:
    results = pivot.translate(LINES)
    first = pivot.first.translate(LINES)
    second = pivot.second.translate([result.text for result in first])
    assert [result.text for result in results] == [result.text for result in second]
    assert [result.tokens for result in results] == [result.tokens for result in second]
    assert [result.through.text for result in results] == [result.text for result in first]
    assert [result.scores for result in results] == [(a.score, b.score) for a, b in zip(first, second, strict=True)]
    assert all(result.score == sum(result.scores) for result in results)
    assert [bool(result.text) for result in results] == [bool(line.strip()) for line in LINES]
    assert [result.unknown for result in results][3] == ["gnu"]
    assert results[-1].truncated and results[-1].through.truncated
    assert {word for result in results for word in result.tokens} <= set(FRENCH)


def test_an_empty_line_has_an_empty_result(pivot: attnkit.PivotTranslator) -> None:
    plain, drawn = (pivot.translate(["", "the cat"], attention=attention)[0] for attention in (False, True))
    assert (plain.text, plain.score, plain.scores, plain.tokens, plain.through.text) == ("", 0.0, (0.0, 0.0), [], "")
    assert plain.attention is None and drawn.attention is not None and drawn.attention.shape == (0, 0)
    assert drawn.alignment == [] and pivot.translate([]) == []


def test_what_is_unknown_to_the_second_model_is_named_too(folders: tuple[Path, Path], tmp_path: Path) -> None:
    write_untrained_model(tmp_path / "model", [word.upper() for word in ITALIAN], FRENCH)
    (result,) = load_pivot(folders[0], tmp_path / "model").translate(["the gnu"], prefix="Zorro")
    assert isinstance(result, PivotResult) and result.through.text
    assert result.unknown == ["gnu", *result.through.text.split(), "Zorro"]


def test_the_second_model_can_cut_too(pivot: attnkit.PivotTranslator) -> None:
    (result,) = pivot.translate(["the cat sees"], max_length=1)
    assert result.truncated and not result.through.truncated and len(result.tokens) == 1
    assert len(result.through.tokens) > 1  # the first model is not cut


@pytest.mark.parametrize(
    "search",
    [
        {"beam": 1},
        {"beam": 3, "nbest": 3},
        {"length_penalty": 0.0, "no_repeat_ngram": 1},
        {"min_length": 3, "max_length": 4},
        {"sample": True, "seed": 3, "temperature": 2.0, "nbest": 2},
        {"prefix": "rouge"},
        {"prefix": ["le", "", "la", "", "", "une", ""]},
    ],
)
def test_options_go_to_the_model_that_they_are_about(pivot: attnkit.PivotTranslator, search: dict[str, Any]) -> None:
    for_both = {"beam", "length_penalty", "no_repeat_ngram"}
    first = pivot.first.translate(LINES, **{name: value for name, value in search.items() if name in for_both})
    second = pivot.second.translate([result.text for result in first], **search)
    results = pivot.translate(LINES, **search)
    assert [result.text for result in results] == [result.text for result in second]
    for result, mine in zip(results, second, strict=True):
        assert [other.text for other in result.alternatives] == [other.text for other in mine.alternatives]
        assert all(other.through is result.through for other in list(result.alternatives))
        assert [other.score for other in result.alternatives] == [
            result.scores[0] + other.score for other in mine.alternatives
        ]


def test_the_language_to_write_is_the_second_models(folders: tuple[Path, Path]) -> None:
    pivot = attnkit.load(folders[0], then=SAMPLES / "translate-languages")
    assert pivot.languages == ("en", "it")
    middle = [result.text for result in pivot.first.translate(LINES)]
    for language in pivot.languages:
        expected = pivot.second.translate(middle, to=language, attention=True)
        results = pivot.translate(LINES, to=language, attention=True)
        assert [result.text for result in results] == [result.text for result in expected]
        for result in results:  # whatever attends to the tag, which is none of the line
            np.testing.assert_allclose(result.attention.sum(axis=1), 1.0, atol=1e-5)  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"expected a language among en, it, got 'de' in the second model"):
        pivot.translate(LINES, to="de")


# ----- As a stream


def test_nothing_depends_on_batches_windows_and_threads(pivot: attnkit.PivotTranslator, threads: int) -> None:
    lines = [" ".join(ENGLISH[i % 7 : i % 7 + i % 6]) for i in range(60)]
    expected = everything(pivot.translate(lines, attention=True, nbest=2, batch_tokens=1))
    assert len(expected) >= 150
    for batch_tokens, window in ((7, 4), (30, 7), (1000, 1000)):
        stream = pivot.translate_stream(lines, attention=True, nbest=2, batch_tokens=batch_tokens, window=window)
        assert everything(list(stream)) == expected


def test_attention_does_not_change_the_text(pivot: attnkit.PivotTranslator) -> None:
    plain, drawn = pivot.translate(LINES), pivot.translate(LINES, attention=True)
    assert [(r.text, r.score) for r in plain] == [(r.text, r.score) for r in drawn]


def test_a_stream_is_read_window_by_window(pivot: attnkit.PivotTranslator) -> None:
    read: list[int] = []

    def endless() -> Iterator[str]:
        for number in range(10**9):
            read.append(number)
            yield "the cat" if number % 3 else ""

    stream = pivot.translate_stream(endless(), window=4)
    assert not read
    for number in range(12):
        next(stream)
        assert len(read) == 4 * (number // 4 + 1)
    stream.close()  # type: ignore[attr-defined]


def test_what_has_come_is_answered_before_more_is_waited_for(pivot: attnkit.PivotTranslator) -> None:
    answered: list[str] = []
    waits: list[int] = []

    def talk() -> Iterator[str | Paused]:
        for count in (1, 3, 0, 2):
            yield from LINES[:count]
            yield PAUSE
            waits.append(len(answered))

    for result in pivot.translate_stream(talk(), window=2):
        answered.append(result.text)
    assert waits == [1, 4, 4, 6]


def test_long_lines_end_a_window_of_both_models(
    pivot: attnkit.PivotTranslator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their characters: the second model must not wait for as many of its own, which are others."""
    monkeypatch.setattr("attnkit.data.arrivals.MAX_CHARACTERS", 200)
    read: list[int] = []

    def lines() -> Iterator[str]:
        for number in range(6):
            read.append(number)
            yield "the cat " * 30  # the model writes no more than a dozen words

    stream = pivot.translate_stream(lines(), window=100)
    next(stream)
    assert len(read) == 1
    assert len(list(stream)) == 5


# ----- Attention


def test_attention_goes_through_the_words_between(pivot: attnkit.PivotTranslator) -> None:
    results = pivot.translate(LINES, attention=True, nbest=2)
    first = pivot.first.translate(LINES, attention=True)
    second = pivot.second.translate([result.text for result in first], attention=True, nbest=2)
    for result, there, on in zip(results, first, second, strict=True):
        for mine, other in ((result, on), *zip(result.alternatives, on.alternatives, strict=True)):
            assert mine.attention is not None and there.attention is not None and other.attention is not None
            read = other.attention.shape[1] - 1  # words, each a piece of both models; then the end of the text
            expected = other.attention[:, :read].astype(np.float64) @ there.attention[:read]
            expected[:, -1:] += other.attention[:, read:] if len(expected) else 0
            np.testing.assert_allclose(mine.attention, expected, atol=1e-6)
            np.testing.assert_allclose(mine.attention.sum(axis=1), 1.0, atol=1e-5)
            assert (mine.source_tokens, mine.source_words) == (there.source_tokens, there.source_words)
    with pytest.raises(ValueError, match="expected a result with attention=True"):
        pivot.translate(["the cat"])[0].alignment  # noqa: B018


def a_result(
    attention: list[list[float]], source: str, source_words: list[int], tokens: str, words: list[int]
) -> Result:
    return Result(
        "", 0.0, tokens.split(), np.array(attention, np.float32), source.split(), source_words=source_words,
        target_words=words,
    )  # fmt: skip


def test_pieces_of_the_text_between_need_not_be_the_same() -> None:
    """The first model writes "unhappy cats" as two pieces, the second reads it as three."""
    first = a_result([[1, 0, 0], [0, 0.75, 0.25]], "x y </s>", [0, 1, -1], "▁unhappy ▁cats", [0, 1])
    second = a_result(
        [[0.5, 0.5, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [0, 0.25, 0, 0.25, 0.5]],
        "▁un happy ▁ca ts </s>", [0, 0, 1, 1, -1], "a b .", [0, 1, 2],
    )  # fmt: skip
    composed = composed_attention(first, second)
    np.testing.assert_allclose(composed, [[1, 0, 0], [0, 0.75, 0.25], [0.25, 0.1875, 0.5625]], atol=1e-6)
    result = PivotResult.of(first, second)
    assert result.alignment == [(0, 0), (0, 2), (1, 1)] and result.links(0.15) == [(0, 0), (0, 2), (1, 1), (1, 2)]


KINDS = ["translate", "translate-recurrent", "marian"]  # pieces of SentencePiece, words, pieces of Marian


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_every_kind_of_tokenizer_meets_every_other(first: str, second: str) -> None:
    lines = ["the dog sees a house", "", "the  red cat finds 3.14 €, naïve!", "cat"]
    for result in attnkit.load(SAMPLES / first, then=SAMPLES / second).translate(lines, attention=True, max_length=30):
        assert result.attention is not None and result.attention.dtype == np.float32
        assert result.attention.shape == (len(result.tokens), len(result.source_tokens))
        np.testing.assert_allclose(result.attention.sum(axis=1), 1.0, atol=1e-5)
        assert all(j < len(result.text.split()) for _, j in result.alignment)


def test_what_attends_to_no_text_counts_nothing() -> None:
    first = a_result([[1, 0, 0], [0, 1, 0]], "x y </s>", [0, 1, -1], "a b", [0, 1])
    second = a_result([[0.5, 0.5, 0, 0], [1, 0, 0, 0]], ">>fr<< a b </s>", [-1, 0, 1, -1], "c d", [0, 1])
    np.testing.assert_array_equal(composed_attention(first, second), [[1, 0, 0], [0, 0, 0]])


def test_an_end_of_several_pieces_or_of_none() -> None:
    """Some models read the tag of a language behind the end token, others no end token at all."""
    first = a_result([[1, 0, 0], [0, 1, 0]], "x y </s>", [0, 1, -1], "a b", [0, 1])
    endless = a_result([[1, 0], [0, 1]], "x y", [0, 1], "a b", [0, 1])
    two = a_result([[0.25, 0.25, 0.25, 0.25]], "a b </s> fr", [0, 1, -1, -1], "c", [0])
    none = a_result([[0.75, 0.25]], "a b", [0, 1], "c", [0])
    for pair, expected in (
        ((first, two), [[0.25, 0.25, 0.5]]),
        ((first, none), [[0.75, 0.25, 0]]),
        ((endless, two), [[0.5, 0.5]]),
        ((endless, none), [[0.75, 0.25]]),
    ):
        np.testing.assert_array_equal(composed_attention(*pair), expected)


def test_the_precision_that_the_caller_works_in_does_not_matter(pivot: attnkit.PivotTranslator) -> None:
    expected = everything(pivot.translate(LINES, attention=True))
    with attnkit.precision("bf16"):
        assert everything(pivot.translate(LINES, attention=True)) == expected


# ----- Shortlists


@pytest.fixture(scope="module")
def listed(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same models with shortlists that let each write three words."""
    path = tmp_path_factory.mktemp("listed")
    found = []
    for folder, source, target in zip(folders, (ENGLISH, ITALIAN), (ITALIAN[:3], FRENCH[:3]), strict=True):
        copy = path / folder.name
        shutil.copytree(folder, copy)
        translator = attnkit.load(copy, task="translate")
        shortlist_source.build(translator, [" ".join(source)], [" ".join(target)]).save(copy / shortlist_source.FILE)
        found.append(copy)
    return found[0], found[1]


def test_each_model_has_its_own_shortlist(listed: tuple[Path, Path], pivot: attnkit.PivotTranslator) -> None:
    both = load_pivot(*listed)
    lines = LINES[:3]
    free = everything(pivot.translate(lines))
    assert everything(both.translate(lines)) == free  # models that were not converted with one
    restriction = shortlist_source.find("auto", both, "nowhere")
    results = list(both.translate_stream(lines, shortlist=restriction))
    assert {word for result in results for word in result.through.tokens} <= set(ITALIAN[:3])
    assert {word for result in results for word in result.tokens} <= set(FRENCH[:3])
    assert everything(both.translate(lines, shortlist=None)) == free
    with pytest.raises(
        ValueError, match="expected each of two models with its own shortlist or none, got one for both"
    ):
        both.translate(lines, shortlist=both.first.shortlist)


# ----- Loading and errors


def test_two_translators_make_one(pivot: attnkit.PivotTranslator) -> None:
    again = attnkit.PivotTranslator(pivot.first, pivot.second)
    assert everything(again.translate(LINES)) == everything(pivot.translate(LINES))
    assert isinstance(pivot, Translator)
    assert pivot.source_tokenizer is pivot.first.source_tokenizer
    assert pivot.target_tokenizer is pivot.second.target_tokenizer
    with pytest.raises(AttributeError, match="a PivotTranslator has no model of its own; see its `first` and `second`"):
        pivot.model  # noqa: B018


def test_precision_and_threads_are_those_of_load(folders: tuple[Path, Path]) -> None:
    before = attnkit.get_num_threads()
    try:
        pivot = attnkit.load(folders[0], "int8", 1, task="translate", then=folders[1])
        assert (pivot.first.precision, pivot.second.precision) == ("int8", "int8")
        assert attnkit.get_num_threads() == 1
    finally:
        attnkit.set_num_threads(before)
    with pytest.raises(ValueError, match="expected precision"):
        attnkit.load(folders[0], "fp8", then=folders[1])  # type: ignore[call-overload]


def test_an_error_names_the_model_that_is_wrong(folders: tuple[Path, Path], tmp_path: Path) -> None:
    for which, pair in (("first", (SAMPLES / "caption", folders[1])), ("second", (folders[0], SAMPLES / "caption"))):
        with pytest.raises(
            ValueError, match=rf"caption: expected a model of the task 'translate' for the {which} of two"
        ):
            attnkit.load(pair[0], then=pair[1])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        attnkit.load(folders[0], then=tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"expected the task 'translate' of two models, got 'caption'"):
        attnkit.load(folders[0], task="caption", then=folders[1])  # type: ignore[call-overload]


def test_an_error_while_it_runs_names_the_model_too(folders: tuple[Path, Path], pivot: attnkit.PivotTranslator) -> None:
    with pytest.raises(ValueError, match="in the second model"):
        pivot.translate(LINES, max_length=MAX_LENGTH)
    with pytest.raises(ValueError, match="in the first model"):
        pivot.translate(LINES, beam=0)
    with pytest.raises(ValueError, match="got nbest 6 and beam 5 in the second model"):
        pivot.translate(LINES, nbest=6)
    broken = [attnkit.load(folder, task="translate") for folder in folders]
    for translator in broken:
        for parameter in translator.model.parameters():
            parameter.copy_(np.full(parameter.shape, np.nan, np.float32))
    for which, pair in (("first", (broken[0], pivot.second)), ("second", (pivot.first, broken[1]))):
        with pytest.raises(FloatingPointError, match=rf"NaN for line .* in the {which} model"):
            attnkit.PivotTranslator(*pair).translate(LINES)


def test_an_error_of_the_lines_is_theirs(pivot: attnkit.PivotTranslator) -> None:
    def lines() -> Iterator[str]:
        yield "the cat"
        raise ValueError("[corpus] line 2: expected UTF-8")

    with pytest.raises(ValueError, match=r"^\[corpus\] line 2: expected UTF-8$"):
        list(pivot.translate_stream(lines()))
    with pytest.raises(TypeError, match="expected text in line 2, got bytes"):
        pivot.translate(["the", b"cat"])  # type: ignore[list-item]
    for prefixes, got in ((["le"], "fewer"), (["le"] * 4, "more")):
        with pytest.raises(ValueError, match=f"expected a prefix for each line, got {got}"):
            list(pivot.translate_stream(LINES[:3], prefix=prefixes))


def test_both_models_show_what_they_look_at(pivot: attnkit.PivotTranslator) -> None:
    before = pivot.translate([LINES[0]])[0]
    maps = pivot.attention(LINES[0])
    through = before.through.text
    assert (maps.title, maps.output) == (LINES[0], before.text)
    assert list(maps) == [
        f"{which}.{kind}" for which in ("first", "second") for kind in ("encoder", "decoder", "cross")
    ]
    for which, model, line in (("first", pivot.first, LINES[0]), ("second", pivot.second, through)):
        for kind, each in model.attention(line).items():
            np.testing.assert_array_equal(maps[f"{which}.{kind}"].weights, each.weights)
    assert list(maps.select("second")) == ["second.encoder", "second.decoder", "second.cross"]
    forced = pivot.attention(LINES[0], "le chat")
    assert forced["second.cross"].queries == ("le", "chat", "</s>")
    assert pivot.translate([LINES[0]])[0].text == before.text
    with pytest.raises(ValueError, match="an empty one in the first model"):
        pivot.attention("")
