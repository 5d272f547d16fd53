"""The output layer that gives its best tokens alone, and the search on it, against all log-probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from closeness import assert_close

import attnkit
from attnkit import _core, ops
from attnkit.decoding import DecodingOptions, Packed, Projection, StepOutput, decode

Array = npt.NDArray[np.float32]
NO_IDS, NO_FLAGS = np.zeros(0, np.int32), np.zeros(0, np.uint8)


def numbers(rows: int, columns: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def best(hidden: Array, weight: Array, k: int, bias: Array | None = None) -> Any:
    rows = np.zeros(len(hidden) + 1, np.int32)
    output = None if bias is None else attnkit.tensor(bias)
    args = attnkit.tensor(hidden), attnkit.tensor(weight), output, k, rows, NO_IDS, NO_FLAGS
    return _core.best_tokens(*args)[:2]


def reference(hidden: Array, weight: Array, bias: Array | float = 0.0) -> npt.NDArray[np.float64]:
    logits = hidden.astype(np.float64) @ weight.T.astype(np.float64) + bias
    return (
        logits
        - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
        - logits.max(1, keepdims=True)
    )


@pytest.mark.parametrize("k", [1, 5, 40])
@pytest.mark.parametrize("size", [(1, 40, 8), (3, 700, 33), (40, 2500, 48)], ids=str)
def test_the_best_numbers_of_a_log_softmax(size: tuple[int, int, int], k: int, isa: str, threads: int) -> None:
    rows, vocabulary, width = size
    hidden, weight, bias = numbers(rows, width, 0), numbers(vocabulary, width, 1), numbers(1, vocabulary, 2)[0]
    values, indices = best(hidden, weight, k, bias)
    exact = reference(hidden, weight, bias)
    assert_close(values, -np.sort(-exact, axis=1)[:, :k], terms=width)
    assert_close(values, np.take_along_axis(exact, indices.astype(np.int64), axis=1), terms=width)
    assert all(len(set(row)) == k for row in indices.tolist())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_rows_and_threads_change_no_bit(precision: str, isa: str) -> None:
    hidden, weight = numbers(70, 40, 0), numbers(1500, 40, 1)
    results = []
    for threads in (1, 2, 3):
        _core.set_num_threads(threads)
        with attnkit.precision(precision):
            results.append(best(hidden, weight, 6))
            for rows in (1, 2, 33):
                for whole, part in zip(results[0], best(hidden[:rows], weight, 6), strict=True):
                    np.testing.assert_array_equal(part, whole[:rows])
    _core.set_num_threads(2)
    for result in results[1:]:
        for whole, part in zip(results[0], result, strict=True):
            np.testing.assert_array_equal(part, whole)


def test_ties_go_to_the_lower_index(isa: str, threads: int) -> None:
    weight = np.zeros((900, 4), np.float32)
    weight[[7, 300, 650, 880], 0] = 1.0
    _, indices = best(np.ones((2, 4), np.float32), weight, 6)
    np.testing.assert_array_equal(indices, [[7, 300, 650, 880, 0, 1]] * 2)


def test_asked_and_excluded_tokens(isa: str, threads: int) -> None:
    hidden, weight = numbers(3, 24, 0), numbers(600, 24, 1)
    exact = reference(hidden, weight)
    top = np.argsort(-exact, axis=1)
    # Row 0 loses its best two, row 1 asks and loses nothing, row 2 asks for nothing.
    lost, kept = np.sort(top[0, :2]), np.sort(top[1, [0, 3]])
    values, indices, asked = _core.best_tokens(
        attnkit.tensor(hidden), attnkit.tensor(weight), None, 4, ids(0, 2, 4, 4),
        np.concatenate([lost, kept]).astype(np.int32), np.array([1, 1, 0, 0], np.uint8),
    )  # fmt: skip
    np.testing.assert_array_equal(indices, [top[0, 2:6], top[1, :4], top[2, :4]])
    assert_close(asked, np.concatenate([exact[0, lost], exact[1, kept]]), terms=24)
    assert_close(values, np.take_along_axis(exact, indices.astype(np.int64), axis=1), terms=24)


def ids(*tokens: int) -> Any:
    return np.array(tokens, np.int32)


def restriction(own: list[Any], size: int, **more: Any) -> _core.Restriction:
    """Of sentences with these tokens, each brought by a source token of its own."""
    offsets = np.cumsum([0, *map(len, own)]).astype(np.int32)
    sentences = np.arange(len(own) + 1, dtype=np.int32)
    arguments: dict[str, Any] = {
        "offsets": offsets, "ids": np.concatenate([NO_IDS, *own]).astype(np.int32), "always": NO_IDS,
        "source_offsets": sentences, "source_ids": sentences[:-1], "prefix_offsets": np.zeros_like(sentences),
        "prefix_ids": NO_IDS, "vocabulary": size,
    }  # fmt: skip
    return _core.Restriction(**{**arguments, **more})


@pytest.mark.parametrize("part", [1, 2, 8])
def test_each_row_has_the_tokens_of_its_sentence(part: int, isa: str, threads: int) -> None:
    generator = np.random.default_rng(2)
    own = [generator.permutation(600)[: generator.integers(20, 400)] for _ in range(5)]
    sentences = ids(0, 0, 1, 3, 3, 4)  # of the third one nothing is written any more
    hidden, weight, bias = numbers(6, 24, 0), numbers(600, 24, 1), numbers(1, 600, 2)[0]
    allowed = np.zeros((5, 600), bool)
    for sentence, tokens in enumerate(own):
        allowed[sentence, tokens] = True
    logits = np.where(allowed[sentences], reference(hidden, weight) + bias, -np.inf)
    exact = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    top = np.argsort(-exact, axis=1)
    # Row 0 loses its best token and asks for one that is not its own; the last row asks for its third.
    asked = [np.sort([top[0, 0], np.flatnonzero(~allowed[0])[0]]), [top[5, 2]]]
    made = restriction(own, 600, sentences_a_part=part)
    values, indices, found = made.best(
        attnkit.tensor(hidden), attnkit.tensor(weight), attnkit.tensor(bias), 4, ids(0, 2, 2, 2, 2, 2, 3),
        np.concatenate(asked).astype(np.int32), (np.concatenate(asked) == top[0, 0]).astype(np.uint8), sentences,
    )  # fmt: skip
    np.testing.assert_array_equal(indices, [top[0, 1:5], *top[1:, :4]])
    assert_close(values, np.take_along_axis(exact, indices.astype(np.int64), axis=1), terms=24)
    expected = np.concatenate([exact[0, asked[0]], exact[5, asked[1]]])
    np.testing.assert_array_equal(np.isinf(found), np.isinf(expected))
    assert_close(np.where(np.isinf(found), 0, found), np.where(np.isinf(expected), 0, expected), terms=24)
    np.testing.assert_array_equal(made.tokens_of(3), np.sort(own[3]))


def test_more_best_tokens_than_a_sentence_has(threads: int) -> None:
    made = restriction([ids(4, 2)], 9)
    hidden, weight = attnkit.tensor(numbers(1, 4, 0)), attnkit.tensor(numbers(9, 4, 1))
    values, indices, _ = made.best(hidden, weight, None, 5, ids(0, 0), NO_IDS, NO_FLAGS, ids(0))
    assert sorted(indices[0, :2].tolist()) == [2, 4] and np.isinf(values[0, 2:]).all()


def test_errors() -> None:
    hidden, weight = attnkit.tensor(numbers(2, 4, 0)), attnkit.tensor(numbers(9, 4, 1))
    none = np.zeros(3, np.int32), NO_IDS, NO_FLAGS
    listed = restriction([ids(1, 3)], 9).best
    cases: list[tuple[Any, tuple[Any, ...], str]] = [
        (_core.best_tokens, (hidden, weight, None, 10, *none), r"\[best_tokens\] expected k in \[1, V\] .* got 10"),
        (
            _core.best_tokens,
            (hidden, attnkit.tensor(numbers(9, 5, 1)), None, 1, *none),
            r"expected hidden \[rows, D\] and weight",
        ),
        (_core.best_tokens, (hidden, weight, None, 1, ids(0, 0), *none[1:]), "expected 3 asked_offsets, got 2"),
        (
            _core.best_tokens,
            (hidden, weight, None, 1, ids(0, 1, 1), ids(9), np.ones(1, np.uint8)),
            "expected asked_ids that rise from 0 to below 9, got 9",
        ),
        (listed, (hidden, weight, None, 1, *none, ids(0, 1)), "expected for each of 2 rows a sentence below 1"),
        (listed, (hidden, weight, None, 1, *none, ids(0)), "expected for each of 2 rows a sentence below 1"),
        (listed, (hidden, weight, None, 10, *none, ids(0, 0)), r"expected k in \[1, 9\], got 10"),
        (
            listed,
            (hidden, attnkit.tensor(numbers(8, 4, 1)), None, 1, *none, ids(0, 0)),
            r"\[shortlist\] expected weight \[9, D\], got \[8, 4\]",
        ),
    ]
    for op, arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            op(*arguments)
    for changed, message in (
        ({"vocabulary": 3}, r"\[shortlist\] expected rows from 0 to 2, got 3"),
        ({"source_ids": ids(1)}, r"\[shortlist\] expected rows from 0 to 0, got 1"),
        ({"prefix_offsets": ids(0)}, "expected a prefix for each of 1 sentences, got 0"),
        ({"sentences_a_part": 0}, "expected parts of a sentence or more, got 0"),
        ({"offsets": ids(0, 3)}, "expected offsets from 0 to 2"),
    ):
        with pytest.raises(ValueError, match=message):
            restriction([ids(1, 3)], 9, **changed)
    with pytest.raises(ValueError, match="expected a sentence below 1, got 1"):
        restriction([ids(1, 3)], 9).tokens_of(1)


class ProjectionModel:
    """Looks up a hidden state by the last token and the source; `dense` gives log-probabilities, else a projection."""

    bos_id, eos_id, max_target_length, vocabulary_size = 0, 1, None, 120

    def __init__(self, dense: bool) -> None:
        self.dense = dense
        self.hidden, self.weight = numbers(120, 16, 3), attnkit.tensor(numbers(120, 16, 4) * 1.5)
        self.weight_array = numbers(120, 16, 4) * 1.5

    def start(self, source: Packed) -> ProjectionState:
        return ProjectionState([part.tolist() for part in np.split(source.ids, source.offsets[1:-1])])

    def step(self, state: Any, ids: npt.NDArray[np.int32], attention: bool = False) -> StepOutput:
        shifts = np.array([sum(source) % 7 for source in state.sources])
        state.position += 1
        hidden = np.stack([self.hidden[(i + 13 * s + state.position) % 120] for i, s in zip(ids, shifts, strict=True)])
        if self.dense:
            return StepOutput(ops.log_softmax(ops.linear(hidden, self.weight_array)))
        return StepOutput(projection=Projection(attnkit.tensor(hidden), self.weight, None))


class ProjectionState:
    def __init__(self, sources: list[list[int]]) -> None:
        self.sources, self.position = sources, 0

    @property
    def rows(self) -> int:
        return len(self.sources)

    def select(self, rows: npt.NDArray[np.int32]) -> None:
        self.sources = [self.sources[row] for row in rows]


OPTIONS = [
    dict(beam=1),
    dict(beam=4, nbest=4),
    dict(beam=3, min_length=6, max_length=7),
    dict(beam=4, no_repeat_ngram=2, max_length=20),
    dict(beam=4, repetition_penalty=1.3, max_length=20),
    dict(beam=4, rules="transformers", renormalize=True, max_length=8),
    dict(beam=1, sample=True, seed=5, top_k=10, max_length=6),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("prefixes", [None, [[5, 6, 7], [], [9]]], ids=["free", "prefix"])
def test_the_search_finds_the_same(options: dict[str, Any], prefixes: Any) -> None:
    source = Packed.of([[3, 1], [8, 8, 1], [5, 1]])
    found = [
        decode(ProjectionModel(dense), source, DecodingOptions(**options), prefixes=prefixes, suppress=[2, 40])
        for dense in (True, False)
    ]
    for wanted, got in zip(*found, strict=True):
        assert len(wanted) == len(got) == options.get("nbest", 1)
        for a, b in zip(wanted, got, strict=True):
            assert a.tokens.tolist() == b.tokens.tolist() and a.cut == b.cut
            assert_close(b.score, a.score, terms=20)


def test_nan_is_reported() -> None:
    model = ProjectionModel(False)
    model.hidden[:] = np.nan
    with pytest.raises(FloatingPointError, match="the model gave NaN for sentence 1 at token 0"):
        decode(model, Packed.of([[3, 1]]))
