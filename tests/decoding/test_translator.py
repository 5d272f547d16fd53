"""`attnkit.load` and the Translator: the line contract, options, order, what is reported about each line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from dictionary_model import DictionaryModel, DictionaryState
from untrained_model import ENGLISH, ITALIAN, write_untrained_model

import attnkit
from attnkit.decoding import StepOutput
from attnkit.tasks.shared.text_writer import LONGEST_SOURCE
from attnkit.tasks.translate.result import Result
from attnkit.tasks.translate.translator import Translator
from attnkit.text.tokenizers.vocabulary import Vocabulary
from attnkit.text.tokenizers.words import WordTokenizer


@pytest.fixture
def model() -> DictionaryModel:
    return DictionaryModel(4 + len(ITALIAN))


@pytest.fixture
def translator(model: DictionaryModel) -> Translator:
    return Translator(model, WordTokenizer(Vocabulary(ENGLISH)), WordTokenizer(Vocabulary(ITALIAN)))


def texts(results: list[Result]) -> list[str]:
    return [result.text for result in results]


def test_a_result_says_everything_about_its_line(translator: Translator) -> None:
    [result] = translator.translate(["the cat sees a house"], beam=5, nbest=1, min_length=1, attention=True)
    assert result.text == "il gatto vede una casa"
    assert result.tokens == ["il", "gatto", "vede", "una", "casa"]
    assert result.source_tokens == ["the", "cat", "sees", "a", "house", "</s>"]
    assert result.score == pytest.approx(np.log(0.8), rel=1e-6)
    np.testing.assert_array_equal(result.attention, np.eye(5, 6, dtype=np.float32))
    assert not result.truncated and result.unknown == [] and result.alternatives == ()


def test_lines_stay_in_order_and_in_number(translator: Translator, model: DictionaryModel) -> None:
    lines = ["the cat", "", "the dog sees a red house", "   \t ", "table", "a house is on the table", ""]
    results = translator.translate(lines, attention=True, batch_tokens=8)
    assert texts(results) == [
        "il gatto", "", "il cane vede una rosso casa", "", "tavolo", "una casa è sul il tavolo", ""
    ]  # fmt: skip
    for result in (results[1], results[3], results[6]):
        assert result.attention is not None and result.attention.shape == (0, 0)
        assert (result.score, result.tokens, result.source_tokens, result.truncated) == (0.0, [], [], False)
    # Lines of like length together, none above 8 tokens unless it is one line; workers take batches in any order.
    assert sorted(model.batches) == [[3, 2], [7], [7]]
    assert [result.attention for result in translator.translate(["", "cat"])] == [None, None]
    assert translator.translate([]) == []


def test_the_batch_changes_nothing(translator: Translator) -> None:
    lines = [" ".join(ENGLISH[i : i + 1 + i % 5]) for i in range(10)] * 3
    expected = texts(translator.translate(lines))
    for batch_tokens, window in ((1, 1), (7, 4), (1000, 1000)):
        assert texts(list(translator.translate_stream(lines, batch_tokens=batch_tokens, window=window))) == expected
    sampled = texts(translator.translate(lines, sample=True, seed=3))
    assert texts(list(translator.translate_stream(lines, sample=True, seed=3, batch_tokens=5, window=4))) == sampled
    assert sampled != texts(translator.translate(lines, sample=True, seed=4))
    assert len(set(sampled[::10])) > 1  # the same line at another place is another draw


def test_a_stream_is_read_window_by_window(translator: Translator) -> None:
    read: list[int] = []

    def endless() -> Iterator[str]:
        for number in range(10**9):
            read.append(number)
            yield "the cat"

    stream = translator.translate_stream(endless(), window=4)
    assert not read
    assert next(stream).text == "il gatto"
    assert len(read) == 4


def test_a_long_line_is_cut_and_says_so(translator: Translator) -> None:
    whole, cut = translator.translate(["a cat " * 3 + "is", "a cat " * 4], attention=True)
    assert whole.text == "una gatto una gatto una gatto è" and not whole.truncated
    assert cut.source_tokens == ["a", "cat", "a", "cat", "a", "cat", "a", "</s>"] and cut.truncated
    assert cut.text == "una gatto una gatto una gatto una"
    [output_cut] = translator.translate(["the cat sees a dog"], max_length=3)
    assert output_cut.text == "il gatto vede" and output_cut.truncated


def test_a_model_without_a_limit_still_reads_no_more_than_memory_allows(translator: Translator) -> None:
    class Unlimited(DictionaryModel):
        max_source_length = None
        max_target_length = None

    unlimited = Translator(Unlimited(14), translator.source_tokenizer, translator.target_tokenizer)
    [result] = unlimited.translate(["cat " * 5000], beam=1)
    assert result.truncated and len(result.source_tokens) == LONGEST_SOURCE
    assert len(result.tokens) == LONGEST_SOURCE - 1


def test_unknown_words_are_named(translator: Translator) -> None:
    [result] = translator.translate(["the zebra sees a gnu"])
    assert result.unknown == ["zebra", "gnu"]
    assert result.source_tokens == ["the", "<unk>", "sees", "a", "<unk>", "</s>"]
    assert "<unk>" not in result.text  # the model would write it


def test_nbest_gives_alternatives(translator: Translator) -> None:
    [result] = translator.translate(["the cat"], nbest=3, attention=True)
    assert len(result.alternatives) == 2
    everyone = [result, *result.alternatives]
    assert len({each.text for each in everyone}) == 3
    assert [each.score for each in everyone] == sorted((each.score for each in everyone), reverse=True)
    assert all(each.attention is not None and len(each.attention) == len(each.tokens) for each in everyone)


def test_prefixes(translator: Translator) -> None:
    lines = ["the cat", "", "the dog"]
    assert texts(translator.translate(lines, prefix="casa")) == ["casa gatto", "", "casa cane"]
    assert texts(translator.translate(lines, prefix=["casa", "x", ""])) == ["casa gatto", "", "il cane"]
    with pytest.raises(ValueError, match="expected a prefix for each of 3 lines, got 1"):
        translator.translate(lines, prefix=["casa"])
    for prefixes, got in ((["casa"], "fewer"), (["casa"] * 4, "more")):
        with pytest.raises(ValueError, match=f"expected a prefix for each line, got {got}"):
            list(translator.translate_stream(lines, prefix=prefixes))


def test_a_prefix_stands_as_it_was_given(translator: Translator) -> None:
    known, unknown = translator.translate(["the cat is red", "the cat"], prefix="Zorro,  casa", nbest=2)
    assert known.text == "Zorro,  casa è rosso" and known.tokens == ["Zorro,", "casa", "è", "rosso"]
    assert all(each.text.startswith("Zorro,  casa") for each in known.alternatives)
    assert known.unknown == unknown.unknown == ["Zorro,"]
    [both] = translator.translate(["the gnu"], prefix="Zorro")
    assert both.unknown == ["gnu", "Zorro"]


# ----- Alignments


def test_each_word_is_aligned_with_the_one_it_was_made_of(translator: Translator) -> None:
    lines = ["the cat sees the dog", "", "a  house", "cat"]
    for beam in (1, 4):
        results = translator.translate(lines, attention=True, beam=beam)
        assert [result.alignment for result in results] == [[(i, i) for i in range(n)] for n in (5, 0, 2, 1)]
    (result,) = translator.translate(["the cat"], attention=True, beam=4, nbest=2)
    assert all(other.alignment for other in result.alternatives)
    with pytest.raises(ValueError, match=r"\[translate\] expected a result with attention=True for an alignment"):
        translator.translate(["the cat"])[0].alignment  # noqa: B018


def result_of(attention: list[list[float]], source: list[int], target: list[int]) -> Result:
    weights = np.array(attention, np.float32)
    tokens, source_tokens = ["t"] * len(target), ["s"] * len(source)
    return Result("", 0.0, tokens, weights, source_tokens, source_words=source, target_words=target)


def test_the_attention_of_pieces_becomes_that_of_words() -> None:
    """Summed over the pieces of a source word, averaged over those of a target word, the end token in neither."""
    result = result_of(
        [[0.3, 0.3, 0.4, 0.0], [0.1, 0.1, 0.2, 0.6], [0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0]],
        source=[0, 0, 1, -1],
        target=[0, 1, 1, -1],
    )
    np.testing.assert_allclose(result.word_attention(), [[0.6, 0.4], [0.35, 0.35]], atol=1e-6)
    assert result.alignment == [(0, 0), (0, 1)] and result.links(0.4) == [(0, 0), (0, 1), (1, 0)]


def test_a_line_that_is_cut_is_aligned_as_far_as_it_was_read(translator: Translator, model: DictionaryModel) -> None:
    short = Translator(model, translator.source_tokenizer, translator.target_tokenizer, max_source_length=3)
    (result,) = short.translate(["the cat sees the dog"], attention=True)
    assert result.truncated and result.alignment == [(0, 0), (1, 1)]


def test_a_prefix_is_aligned_too(translator: Translator) -> None:
    (result,) = translator.translate(["the cat sees the dog"], prefix="il gatto", attention=True)
    assert result.text.split()[:2] == ["il", "gatto"] and result.alignment == [(i, i) for i in range(5)]


def test_errors_name_the_line_of_the_caller(translator: Translator) -> None:
    class Broken(DictionaryModel):
        def step(self, state: DictionaryState, ids: npt.NDArray[np.int32], attention: bool = False) -> StepOutput:
            output = super().step(state, ids, attention)
            for row, source in enumerate(state.sources):
                if 4 + ENGLISH.index("red") in source:
                    output.log_probs[row] = np.nan
            return output

    broken = Translator(Broken(14), translator.source_tokenizer, translator.target_tokenizer)
    lines = ["the cat sees a dog", "red", "the dog sees"]  # in another order once they are sorted
    with pytest.raises(FloatingPointError, match="NaN for line 2 at token 0"):
        broken.translate(lines)
    with pytest.raises(ValueError, match=r"prefixes of at most 2 tokens, got 3 in line 2$"):
        translator.translate(lines, prefix=["", "una casa rosso", ""], max_length=2)
    with pytest.raises(TypeError, match="expected text in line 2, got int"):
        translator.translate(lines, prefix=["", 3, ""])  # type: ignore[list-item]


def test_several_samples_of_a_line(translator: Translator, model: DictionaryModel) -> None:
    lines = ["the cat sees a dog", "", "the dog", "table"]
    search: dict[str, Any] = {"sample": True, "seed": 5}
    one = translator.translate(lines, **search)
    three = translator.translate(lines, nbest=3, attention=True, **search)
    assert texts(one) == texts(three) and [len(result.alternatives) for result in three] == [2, 0, 2, 2]
    everyone = [[result, *result.alternatives] for result in three]
    assert any(len({each.text for each in found}) > 1 for found in everyone)
    assert all(each.attention is not None and len(each.attention) == len(each.tokens) for f in everyone for each in f)
    alone = list(translator.translate_stream(lines, nbest=3, batch_tokens=1, window=2, **search))
    assert [[each.text for each in [r, *r.alternatives]] for r in alone] == [[e.text for e in f] for f in everyone]


def test_max_source_length_can_be_lowered(translator: Translator, model: DictionaryModel) -> None:
    tokenizers = translator.source_tokenizer, translator.target_tokenizer
    [result] = Translator(model, *tokenizers, max_source_length=3).translate(["the cat sees"])
    assert result.text == "il gatto" and result.truncated
    for bad in (1, 9):
        with pytest.raises(ValueError, match="max_source_length from 2 to 8"):
            Translator(model, *tokenizers, max_source_length=bad)


def test_the_precision_holds_while_the_model_runs(model: DictionaryModel, translator: Translator) -> None:
    seen: list[str] = []

    class Watched(DictionaryModel):
        def step(self, state: DictionaryState, ids: npt.NDArray[np.int32], attention: bool = False) -> StepOutput:
            seen.append(attnkit._core.get_precision())
            return super().step(state, ids, attention)

    for precision in ("fp32", "bf16"):
        tokenizers = translator.source_tokenizer, translator.target_tokenizer
        Translator(Watched(14), *tokenizers, precision=precision).translate(["cat"])
    assert set(seen) == {"fp32", "bf16"}
    with pytest.raises(ValueError, match='precision "fp32", "bf16" or "int8", got \'fp8\''):
        Translator(model, *tokenizers, precision="fp8")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"nbest": 6}, ValueError),
        ({"max_length": 8}, ValueError),  # the model's 8 positions hold the start token and 7 more
        ({"batch_tokens": 0}, ValueError),
        ({"window": 0}, ValueError),
        ({"sample": True, "beam": 2}, ValueError),
        ({"bean": 2}, TypeError),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_read(
    translator: Translator, arguments: dict[str, Any], error: type[Exception]
) -> None:
    def never() -> Iterator[str]:
        raise AssertionError("read")
        yield ""

    with pytest.raises(error):
        translator.translate_stream(never(), **arguments)


def test_lines_must_be_text(translator: Translator) -> None:
    with pytest.raises(TypeError, match="got one string"):
        translator.translate("the cat")
    with pytest.raises(TypeError, match="expected text in line 2, got bytes"):
        translator.translate(["the", b"cat"])  # type: ignore[list-item]


# ----- Model directories


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    write_untrained_model(path)
    return path


@pytest.fixture
def copy(directory: Path, tmp_path: Path) -> Path:
    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_load_and_translate(directory: Path) -> None:
    translator = attnkit.load(directory)
    results = translator.translate(["the cat is on the table", "", "the unicorn"], attention=True)
    assert len(results) == 3 and results[0].text and results[2].unknown == ["unicorn"]
    for result in results:
        assert result.attention is not None
        assert result.attention.shape == (len(result.tokens), len(result.source_tokens))
        np.testing.assert_allclose(result.attention.sum(axis=1), 1.0, atol=1e-5)


def test_a_real_model_gives_the_same_bytes_in_any_batch(directory: Path) -> None:
    translator = attnkit.load(directory)
    lines = [" ".join(ENGLISH[i % 7 : i % 7 + 1 + i % 6]) for i in range(24)]
    together = translator.translate(lines, attention=True, nbest=3)
    for i, line in enumerate(lines):
        [alone] = translator.translate([line], attention=True, nbest=3)
        for a, b in zip([alone, *alone.alternatives], [together[i], *together[i].alternatives], strict=True):
            assert (a.text, a.score) == (b.text, b.score)
            assert a.attention.tobytes() == b.attention.tobytes()  # type: ignore[union-attr]


def test_attention_does_not_change_the_text(directory: Path) -> None:
    translator = attnkit.load(directory)
    lines = ["the cat", "a red house is on the table"]
    plain, drawn = translator.translate(lines), translator.translate(lines, attention=True)
    assert [(r.text, r.score) for r in plain] == [(r.text, r.score) for r in drawn]


def test_threads_are_set(directory: Path) -> None:
    before = attnkit.get_num_threads()
    try:
        attnkit.load(directory, threads=1)
        assert attnkit.get_num_threads() == 1
    finally:
        attnkit.set_num_threads(before)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        attnkit.load(tmp_path / "nowhere")
    with pytest.raises((FileNotFoundError, ValueError), match=r"config\.json"):
        attnkit.load(tmp_path)


def test_a_model_for_another_task_is_refused(directory: Path) -> None:
    assert isinstance(attnkit.load(directory, task="translate"), Translator)
    with pytest.raises(ValueError, match=r"task 'caption', got one of 'translate'") as refused:
        attnkit.load(directory, task="caption")
    assert str(directory) in str(refused.value)
    with pytest.raises(ValueError, match=r"reads 'images', got one that reads 'text'"):
        attnkit.load(directory, task="translate", reads="images")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"format": 1}', b'{"format": 1, "task": "caption", "tokenizer": {}}'],
)
def test_a_broken_config_is_refused(copy: Path, content: bytes) -> None:
    (copy / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json"):
        attnkit.load(copy)


def _header(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def _entry(begin: int, end: int, shape: list[int]) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


HOSTILE = {
    "empty": b"",
    "not safetensors": b"\x89PNG\r\n\x1a\n" * 4,
    "a header of 2**63 bytes": (2**63).to_bytes(8, "little") + b"{}",
    "a header of 1 TB": (2**40).to_bytes(8, "little") + b"{}",
    "no JSON": _header(b"{{{{"),
    "nested JSON": _header(b'{"a":' + b"[" * 100_000),
    "negative offsets": _header(json.dumps({"a": _entry(-4, 0, [1])}).encode(), bytes(4)),
    "overlapping": _header(json.dumps({"a": _entry(0, 8, [2]), "b": _entry(4, 12, [2])}).encode(), bytes(12)),
    "beyond the end": _header(json.dumps({"a": _entry(0, 4000, [1000])}).encode(), bytes(4)),
    "shape over 2**64": _header(json.dumps({"a": _entry(0, 4, [2**33, 2**33])}).encode(), bytes(4)),
    "other names": _header(json.dumps({"a": _entry(0, 4, [1])}).encode(), bytes(4)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_weights_are_refused(copy: Path, name: str) -> None:
    (copy / "model.safetensors").write_bytes(HOSTILE[name])
    with pytest.raises(ValueError, match=r"model"):
        attnkit.load(copy)


def test_truncated_weights_are_refused(copy: Path) -> None:
    weights = (copy / "model.safetensors").read_bytes()
    for length in (len(weights) - 1, len(weights) // 2, 100, 8, 7):
        (copy / "model.safetensors").write_bytes(weights[:length])
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            attnkit.load(copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        attnkit.load(copy)


def _set_model_key(directory: Path, key: str, value: int) -> None:
    config = json.loads((directory / "config.json").read_text())
    config["model"][key] = value
    (directory / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("key", "value"),
    [("d_model", 32), ("ffn", 16), ("encoder_layers", 2), ("decoder_layers", 0), ("heads", 3), ("surprise", 1)],
)
def test_a_config_that_does_not_fit_the_weights_is_refused(copy: Path, key: str, value: int) -> None:
    _set_model_key(copy, key, value)
    with pytest.raises(ValueError, match=str(copy)):
        attnkit.load(copy)


@pytest.mark.parametrize("key", ["d_model", "ffn", "encoder_layers", "decoder_layers"])
def test_a_huge_config_is_refused_before_memory_is_taken(copy: Path, key: str, no_sanitizer: None) -> None:
    _set_model_key(copy, key, 2**40)
    # A process of its own, with little memory and time: where this fails, it must not take the machine with it.
    code = f"""
import resource, attnkit
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
try:
    attnkit.load({str(copy)!r})
except ValueError as error:
    assert "config.json" in str(error), error
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "refused\n", done.stderr[-1000:]


def test_tokenizers_must_fit_the_model(copy: Path) -> None:
    WordTokenizer(Vocabulary(ITALIAN[:3])).save(copy, "target")
    with pytest.raises(ValueError, match="tokenizers of 14 and 14 entries, as the model has, got 14 and 7"):
        attnkit.load(copy)
    (copy / "target.vocab.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"target\.vocab\.txt"):
        attnkit.load(copy)
