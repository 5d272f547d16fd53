"""Translating through a third language: two models, the second of which reads what the first one writes."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Unpack, cast

import numpy as np
import numpy.typing as npt

from attnkit import _core, _tensor, ops
from attnkit._tensor import Precision
from attnkit.data.arrivals import PAUSE, Paused
from attnkit.decoding.options import SearchArguments
from attnkit.tasks.shared.directory import ModelDirectory
from attnkit.tasks.shared.places import at
from attnkit.tasks.translate.result import Result
from attnkit.tasks.translate.translator import Translator
from attnkit.text.overlap import overlap

if TYPE_CHECKING:
    from attnkit.decoding.shortlist import Shortlist
    from attnkit.explain.maps.maps import AttentionMaps

# What is said about the translation that the caller gets, not about how to search. What the second model reads is
# always the best that the first can find: a length would cut it, and a sample of a sample would stray twice.
_OF_THE_SECOND = frozenset({"nbest", "min_length", "max_length", "sample", "temperature", "top_k", "top_p", "seed"})


class PivotResult(Result, frozen=True, eq=False, kw_only=True):
    """One line, translated by two models. What it has of `Result` is about the line and its last translation:

    score: the sum of `scores`, those of the first and of the second model.
    attention: the product of both models' attention, float32 [N, M]: N tokens that the second wrote, M pieces that the
    first read. Of it come `alignment`, `links` and `word_attention` as for one model.
    truncated: where either model cut something.
    unknown: of the line for the first model; then of its translation, and of the prefix, for the second.
    alternatives: of the second model, for the best translation of the first.
    through: what the first model wrote, a result like any other.
    """

    alternatives: tuple[PivotResult, ...] = ()
    through: Result
    scores: tuple[float, float]

    @classmethod
    def of(cls, first: Result, second: Result) -> PivotResult:
        """Of a line's result by the first model, and that of its text by the second."""
        attended = first.attention is not None and second.attention is not None
        return cls(
            text=second.text,
            score=first.score + second.score,
            tokens=second.tokens,
            attention=composed_attention(first, second) if attended else None,
            source_tokens=first.source_tokens,
            truncated=first.truncated or second.truncated,
            unknown=first.unknown + second.unknown,
            alternatives=tuple(cls.of(first, other) for other in second.alternatives),
            source_words=first.source_words,
            target_words=second.target_words,
            through=first,
            scores=(first.score, second.score),
        )


def composed_attention(first: Result, second: Result) -> npt.NDArray[np.float32]:
    """The attention of the second result's tokens on the first one's source pieces, float32 [N, M], where the second's
    source is the first's text: second @ overlap @ first, a piece that the second read being those of the first that
    cover it.

    What attends to the end of the text between, behind its words, attends to the end of the source, if that has one.
    What attends to other pieces that are no text, such as the tag of a language, counts nothing: rows are normalised
    without it, and are zero where there is nothing else.
    """
    assert first.attention is not None and second.attention is not None
    if not second.tokens or not first.tokens:
        return np.zeros((len(second.tokens), len(first.source_tokens)), np.float32)
    cover = overlap(second.source_tokens, second.source_words, first.tokens, first.target_words)
    # NumPy's products may depend on the number of threads.
    with _tensor.no_grad(), _tensor.precision("fp32"):
        weights: npt.NDArray[np.float32] = ops.matmul(ops.matmul(second.attention, cover), first.attention)
    if first.source_words[-1] < 0:
        end = max((place for place, word in enumerate(second.source_words, start=1) if word >= 0), default=0)
        weights[:, -1] += second.attention[:, end:].sum(axis=1)
    total = weights.sum(axis=1, keepdims=True)
    np.divide(weights, total, out=weights, where=total > 0)
    return weights


class PivotTranslator(Translator):
    """A translator through a third language, of two translators: `first` reads the lines, and `second` what it wrote.
    Made by `attnkit.load(first, then=second)`.

    It is used as a `Translator`, and gives a `PivotResult` for each line. The languages that it can write are those of
    the second. What belongs to one model (`model`, `precision`, `shortlist`) `first` and `second` have.
    """

    def __init__(self, first: Translator, second: Translator, *, folders: tuple[Path, Path] | None = None) -> None:
        """`folders`: the model directories of both, where their shortlists are looked for."""
        self.first, self.second = first, second
        self.folders = folders
        self.source_tokenizer, self.target_tokenizer = first.source_tokenizer, second.target_tokenizer
        self.max_source_length = first.max_source_length
        self.source_languages, self.languages = first.source_languages, second.languages

    if not TYPE_CHECKING:  # with it, type checkers would let any name pass

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"a PivotTranslator has no {name} of its own; see its `first` and `second`")

    def translate(  # type: ignore[override]  # a list of PivotResult is no list of Result to type checkers
        self,
        lines: Iterable[str],
        *,
        source_language: str | None = None,
        to: str | None = None,
        prompt: str | None = None,
        attention: bool = False,
        prefix: str | Sequence[str] | None = None,
        paragraphs: bool = False,
        copy_unknown: bool = False,
        keep: str | Sequence[str] = (),
        batch_tokens: int | None = None,
        shortlist: Shortlist | Literal["own"] | None = "own",
        **search: Unpack[SearchArguments],
    ) -> list[PivotResult]:
        """As that of `Translator`; what is about which model, `translate_stream` says."""
        common: Any = {
            "source_language": source_language,
            "to": to,
            "prompt": prompt,
            "attention": attention,
            "prefix": prefix,
            "paragraphs": paragraphs,
            "copy_unknown": copy_unknown,
            "keep": keep,
            "batch_tokens": batch_tokens,
        }
        return cast("list[PivotResult]", super().translate(lines, shortlist=shortlist, **common, **search))

    def translate_stream(
        self,
        lines: Iterable[str | Paused],
        *,
        source_language: str | None = None,
        to: str | None = None,
        prompt: str | None = None,
        attention: bool = False,
        prefix: str | Iterable[str] | None = None,
        paragraphs: bool = False,
        copy_unknown: bool = False,
        keep: str | Sequence[str] = (),
        batch_tokens: int | None = None,
        shortlist: Shortlist | Literal["own"] | None = "own",
        window: int = 2048,
        **search: Unpack[SearchArguments],
    ) -> Iterator[PivotResult]:
        """As that of `Translator`: each window of lines goes through one model, then through the other.

        to, prefix, nbest, min_length, max_length, sample, temperature, top_k, top_p, seed: of the second; the first
        gives its best. source_language, prompt: of the first. paragraphs (then without attention), copy_unknown, keep:
        of each, for the text that it reads. shortlist: "own" are those of the models, each with its own, and None is
        none for both.
        """
        if shortlist is not None and not isinstance(shortlist, str):
            raise ValueError("[translate] expected each of two models with its own shortlist or none, got one for both")
        halfway = _Halfway(lines)
        if paragraphs and attention:
            raise ValueError("[translate] expected no attention of paragraphs that go through two models, got both")
        common: Any = {"attention": attention, "batch_tokens": batch_tokens, "shortlist": shortlist, "window": window}
        common |= {"paragraphs": paragraphs, "copy_unknown": copy_unknown, "keep": keep}
        search_first = _of_the_first(search)
        with at("the first model"):
            results = self.first.translate_stream(
                halfway.lines(), source_language=source_language, prompt=prompt, **common, **search_first
            )
        with at("the second model"):
            final = self.second.translate_stream(halfway.texts(results), to=to, prefix=prefix, **common, **search)
        return halfway.joined(final)

    def attention(
        self,
        line: str,
        target: str | None = None,
        *,
        source_language: str | None = None,
        to: str | None = None,
        prompt: str | None = None,
        **search: Unpack[SearchArguments],
    ) -> AttentionMaps:
        """All that both models look at: the kinds of the first, which reads the line, as "first.encoder" and so on, and
        those of the second, which reads what the first writes, as "second.encoder".

        target: the translation, of the second; None translates first, as `translate` does with these arguments.
        """
        from attnkit.explain.maps.maps import AttentionMaps

        with at("the first model"):
            search_first = _of_the_first(search)
            first = self.first.attention(line, source_language=source_language, prompt=prompt, **search_first)
        with at("the second model"):
            second = self.second.attention(first.output, target, to=to, **search)
        both = (("first", first), ("second", second))
        kinds = [replace(each, kind=f"{name}.{each.kind}") for name, maps in both for each in maps.values()]
        return AttentionMaps(kinds, first.title, second.output)


def _of_the_first(search: Any) -> Any:
    """The search arguments of the first model."""
    return {name: value for name, value in search.items() if name not in _OF_THE_SECOND}


class _Halfway:
    """What is between the two models: the results of the first whose text the second has not yet translated."""

    def __init__(self, lines: Iterable[str | Paused]) -> None:
        self._lines = lines
        self._waiting: collections.deque[Result] = collections.deque()
        self._read = self._passed = 0
        self._with_first = False

    def lines(self) -> Iterator[str | Paused]:
        """For the first model."""
        for line in self._lines:
            self._read += line is not PAUSE
            yield line

    def texts(self, results: Iterator[Result]) -> Iterator[str | Paused]:
        """For the second model. It does at once what the first did at once: it must not wait for more, which the first
        would have to read."""
        while True:
            self._with_first = True
            result = next(results, None)
            self._with_first = False
            if result is None:
                return
            self._waiting.append(result)
            self._passed += 1
            yield result.text
            if self._passed == self._read:
                yield PAUSE

    def joined(self, final: Iterator[Result]) -> Iterator[PivotResult]:
        """The results of both."""
        try:
            for result in final:
                yield PivotResult.of(self._waiting.popleft(), result)
        except FloatingPointError as error:
            which = "first" if self._with_first else "second"
            raise FloatingPointError(f"{error} in the {which} model") from None


def load_pivot(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    precision: Precision | None = None,
    threads: int | None = None,
    device: str | None = None,
) -> PivotTranslator:
    """Of two model directories: `attnkit.load(first, then=second)`, which explains the rest. Each model has its own
    precision where none is given."""
    if precision is not None:
        _tensor.check_precision(precision)
    found = [_read(path, which) for path, which in ((first, "first"), (second, "second"))]
    if threads is not None:
        _core.set_num_threads(threads)
    with ExitStack() as stack:
        begun = [stack.enter_context(each.on(device).reading_ahead()) for each in found]
        loaded = [Translator.from_directory(each, precision or each.precision or "fp32") for each in begun]
    return PivotTranslator(*loaded, folders=(found[0].folder, found[1].folder))


def _read(path: str | os.PathLike[str], which: str) -> ModelDirectory:
    directory = ModelDirectory.read(path)
    if directory.task != "translate":
        raise ValueError(
            f"[load] {path}: expected a model of the task 'translate' for the {which} of two, got one of "
            f"{directory.task!r}"
        )
    return directory
