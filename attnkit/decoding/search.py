"""Greedy search, beam search and sampling, for every model that writes text.

Python runs one step of the whole batch at a time: the model, the candidates, the bookkeeping. What is done for each
hypothesis is compiled (`attnkit._beam`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit import _beam, _core
from attnkit._core import Restriction
from attnkit.decoding.options import DecodingOptions
from attnkit.decoding.protocol import Floats, Ids, Reads, S, Source, StepOutput, TextModel, longest_output
from attnkit.decoding.repetition import Repetition
from attnkit.decoding.shortlist import Shortlist, restricted
from attnkit.decoding.sources import Packed
from attnkit.decoding.workers import Stop, Stopped


class Hypothesis(msgspec.Struct, frozen=True):
    """One output of a search.

    tokens [N]: without start and end token, a forced prefix included.
    score: the normalised log-probability by which hypotheses are compared (see `DecodingOptions`).
    log_probability: of the tokens, and the end token if there is one, under the model.
    attention [N, M]: weights over the M tokens or regions of the source when each token was written; None unless asked
    for.
    cut: the output ended because of max_length (or because the constraints left no token), not by itself.
    """

    tokens: Ids
    score: float
    log_probability: float
    attention: Floats | None
    cut: bool


def decode(
    model: TextModel[Reads, S],
    source: Reads,
    options: DecodingOptions | None = None,
    *,
    attention: bool = False,
    prefixes: Sequence[Sequence[int]] | None = None,
    first: Sequence[int] | None = None,
    starts: Sequence[Sequence[int]] | None = None,
    suppress: Sequence[int] = (),
    numbers: Sequence[int] | None = None,
    what: str = "sentence",
    shortlist: Shortlist | None = None,
    stop: Stop | None = None,
) -> list[list[Hypothesis]]:
    """The nbest hypotheses of each sentence of a batch, best first; samples in the order in which they are drawn.

    source: what the sentences are written about, of the kind that the model reads: `Packed` sentences, the `Regions` of
    images, or `Nothing`.
    prefixes: for each sentence the tokens that its output must start with.
    first: for each sentence a token that stands before its output, such as that of a language (`forced_bos_token_id` in
        transformers). It costs nothing and is none of the output's tokens; a score counts it in the length.
    starts: for each sentence what the model reads first, in place of its start token, as many tokens for each; none of
        the output's.
    suppress: tokens that are never written, such as padding and the start token.
    numbers: each sentence's number in the whole input, which its random numbers depend on; 0 to B - 1 by default.
    what: what an error calls a sentence before its number, counted from 1, such as "line".
    shortlist: leaves each sentence the target tokens that its source, which is `Packed`, can need, and makes no others.
    stop: set from another thread, ends the search at its next step, by the exception Stopped.

    Fewer than nbest hypotheses come back only where the constraints leave fewer. In fp32 and int8 a sentence's result
    is the same, to the bit, whatever batch it is in (with a shortlist, to rounding). Raises ValueError for arguments
    that make no sense, FloatingPointError where the model gives NaN.
    """
    options = options or DecodingOptions()
    if not hasattr(type(source), "lengths"):  # isinstance would take longer than the first step
        raise TypeError(f"[decode] expected a source, such as Packed(ids, offsets), got {type(source).__name__}")
    # Each sample of a sentence is a search of its own, side by side with the others.
    draws = options.nbest if options.sample else 1
    source_lengths = np.repeat(source.lengths, draws) if draws > 1 else source.lengths
    sentences = _Sentences(_check_numbers(numbers, len(source)), draws, what)
    before = 0 if first is None else 1
    if first is not None:
        prefixes = _behind(first, prefixes, len(source))
    restriction = None if shortlist is None else _restrict(model, shortlist, source, prefixes)
    if prefixes is not None:
        prefixes = [prefix for prefix in prefixes for _ in range(draws)]
    prefix_ids, prefix_offsets = _pack_prefixes(model, prefixes, len(source_lengths))
    max_lengths = options.max_lengths(
        source_lengths, np.diff(prefix_offsets) - before, longest_output(model, before), sentences.name
    )
    search = _beam.Search(
        _of_search(options, draws, before),
        eos=model.eos_id,
        max_lengths=max_lengths + before,
        prefix_ids=prefix_ids,
        prefix_offsets=prefix_offsets,
        suppressed=_check_tokens("suppress", suppress, model),
    )
    begin = _check_starts(model, starts, len(source))
    weights = _run(model, search, source, options, sentences, attention, restriction, before, begin, stop or Stop())
    found = [
        [
            Hypothesis(tokens[before:], score, log_probability, _collect(weights, rows, source_length, before), cut)
            for tokens, rows, log_probability, score, cut in search.results(sentence)
        ]
        for sentence, source_length in enumerate(source_lengths.tolist())
    ]
    return [list(chain(*found[begin : begin + draws])) for begin in range(0, len(found), draws)]


def _of_search(options: DecodingOptions, draws: int, before: int) -> DecodingOptions:
    """The options of the one search that makes all outputs; its longest outputs are told apart."""
    if draws > 1:
        options = msgspec.structs.replace(options, nbest=1)
    if before:
        options = msgspec.structs.replace(options, min_length=options.min_length + before, max_length=None)
    return options


class _Sentences:
    """What is searched for, `draws` times for each sentence of the source."""

    def __init__(self, numbers: npt.NDArray[np.int64], draws: int, what: str) -> None:
        self.draws, self._what = draws, what
        self._numbers = self.streams = numbers
        if draws > 1:
            self._numbers = np.repeat(numbers, draws)
            self.streams = self._numbers + (np.tile(np.arange(draws), len(numbers)) << 40)  # no input is as long
        """Of the random numbers of each; those of the first draw are the sentence's number."""

    def name(self, sentence: int) -> str:
        """As errors call it."""
        return f"{self._what} {self._numbers[sentence] + 1}"

    def of_source(self, sentences: Ids) -> Ids:
        """The sentences of the source that these are about."""
        return sentences if self.draws == 1 else sentences // self.draws


def _run(
    model: TextModel[Reads, S],
    search: _beam.Search,
    source: Reads,
    options: DecodingOptions,
    sentences: _Sentences,
    attention: bool,
    restriction: Restriction | None,
    before: int,
    begin: Ids,
    stop: Stop,
) -> list[Floats] | None:
    """Runs the search to its end, from the tokens `begin` [B, N] of the sentences of the source; returns the attention
    weights of every step, when wanted."""
    weights: list[Floats] = []
    if not search.rows:
        return weights if attention else None
    state = model.start(source)
    if sentences.draws > 1:
        state.select(np.repeat(np.arange(len(source), dtype=np.int32), sentences.draws))
    begin = begin[sentences.of_source(search.row_sentences())]
    for token in begin.T[:-1]:
        model.step(state, np.ascontiguousarray(token), False)
    last = np.ascontiguousarray(begin[:, -1])
    punished = options.repetition_penalty != 1 or Repetition.reads_ngrams(options, begin)
    repetition = Repetition(options, begin) if punished else None
    while True:
        if stop.requested:
            raise Stopped
        output = model.step(state, last, attention)
        if search.step == 0:
            _check_output(output, search.rows, model.vocabulary_size, attention)
        if output.attention is not None and attention:
            weights.append(output.attention)
        values, indices, bad = _candidates(model, search, output, options, sentences, restriction, repetition)
        if bad >= 0:
            raise FloatingPointError(f"[decode] the model gave NaN for {sentences.name(bad)} at token {search.step}")
        if search.step < before:
            values[:, 0] = 0.0  # what all outputs of a sentence begin with tells nothing of them
        parents = search.extend(values, indices)
        if not len(parents):
            return weights if attention else None
        if search.moved:
            state.select(parents)
        last = search.last_tokens()
        if repetition is not None:
            repetition.extend(parents, last)


def _candidates(
    model: TextModel[Any, S],
    search: _beam.Search,
    output: StepOutput,
    options: DecodingOptions,
    sentences: _Sentences,
    restriction: Restriction | None,
    repetition: Repetition | None,
) -> tuple[Floats, Ids, int]:
    """The candidates of every row, values and indices [rows, k], and a sentence of NaN or -1."""
    k = min(search.candidates, model.vocabulary_size)
    if output.projection is not None and not options.sample and repetition is None:
        if restriction is None:
            values, indices, asked = _core.best_tokens(*output.projection, k, *search.ask())
        else:
            rows = sentences.of_source(search.row_sentences())
            values, indices, asked = restriction.best(*output.projection, k, *search.ask(), rows)
        return values, indices, search.settle(values, indices, asked)
    restrict = None
    if restriction is not None:
        rows = sentences.of_source(search.row_sentences())
        restrict = partial(restricted, restriction=restriction, sentences=rows)
    if repetition is not None:
        log_probs = repetition.log_probs(output, restrict)
    else:
        log_probs = restrict(output.log_probs) if restrict else output.log_probs
    bad = search.constrain(log_probs)
    if bad >= 0 or not options.sample:
        return *_core.top_k(log_probs, k), bad
    sampled = _beam.sample(log_probs, sentences.streams[search.row_sentences()], search.step, options)
    return *sampled, bad


def _collect(weights: list[Floats] | None, rows: Ids, source_length: int, before: int) -> Floats | None:
    """The attention [N, M] of one hypothesis: row rows[i] of step i, cut to the sentence's own source; without that of
    the first `before` steps."""
    if weights is None:
        return None
    collected = np.empty((len(rows), source_length), np.float32)
    for step, row in enumerate(rows):
        collected[step] = weights[step][row, :source_length]
    return collected[before:]


def _behind(first: Sequence[int], prefixes: Sequence[Sequence[int]] | None, batch: int) -> list[list[int]]:
    """The prefixes, each behind the first token of its sentence."""
    if len(first) != batch or (prefixes is not None and len(prefixes) != batch):
        raise ValueError(f"[decode] expected a first token, and a prefix if any, for each of {batch} sentences")
    return [[token, *rest] for token, rest in zip(first, prefixes or [()] * batch, strict=True)]


def _check_starts(model: TextModel[Any, Any], starts: Sequence[Sequence[int]] | None, batch: int) -> Ids:
    """What the model reads first for each sentence, [B, N]."""
    if starts is None:
        return np.full((batch, 1), model.bos_id, np.int32)
    lengths = {len(tokens) for tokens in starts}
    if len(starts) != batch or len(lengths) > 1 or 0 in lengths:
        raise ValueError(f"[decode] expected starts of one length, 1 or more, for each of {batch} sentences")
    tokens = np.asarray(starts, np.int64).reshape(batch, max(lengths, default=1))
    if ((tokens < 0) | (tokens >= model.vocabulary_size)).any():
        raise ValueError(f"[decode] expected starts of token ids in [0, {model.vocabulary_size})")
    return tokens.astype(np.int32)


def _restrict(
    model: TextModel[Any, Any],
    shortlist: Shortlist,
    source: Source,
    prefixes: Sequence[Sequence[int]] | None,
) -> Restriction | None:
    if not isinstance(source, Packed):
        raise TypeError(
            f"[shortlist] expected a Packed source, whose tokens say what is needed, got {type(source).__name__}"
        )
    if shortlist.target_size != model.vocabulary_size:
        raise ValueError(
            f"[shortlist] expected one for the model's {model.vocabulary_size} target tokens, "
            f"got one for {shortlist.target_size}"
        )
    if not len(source):
        return None
    if source.ids.max() >= len(shortlist.offsets) - 1:
        raise ValueError(
            f"[shortlist] expected one for a source token {source.ids.max()}, got one for {len(shortlist.offsets) - 1}"
        )
    return shortlist.restrict(source, np.array([model.eos_id], np.int32), _pack_prefixes(model, prefixes, len(source)))


def _check_tokens(name: str, tokens: Sequence[int], model: TextModel[Any, Any]) -> Ids:
    array = np.asarray(tokens, np.int64).reshape(-1)
    bad = array[(array < 0) | (array >= model.vocabulary_size) | (array == model.eos_id)]
    if bad.size:
        raise ValueError(
            f"[decode] expected {name} of token ids in [0, {model.vocabulary_size}) other than the end token's, "
            f"got {int(bad[0])}"
        )
    return array.astype(np.int32)


def _pack_prefixes(model: TextModel[Any, Any], prefixes: Sequence[Sequence[int]] | None, batch: int) -> tuple[Ids, Ids]:
    if prefixes is None:
        return np.zeros(0, np.int32), np.zeros(batch + 1, np.int32)
    if len(prefixes) != batch:
        raise ValueError(f"[decode] expected a prefix for each of {batch} sentences, got {len(prefixes)}")
    offsets = np.zeros(batch + 1, np.int32)
    np.cumsum([len(prefix) for prefix in prefixes], out=offsets[1:])
    return _check_tokens("prefixes", [token for prefix in prefixes for token in prefix], model), offsets


def _check_numbers(numbers: Sequence[int] | None, batch: int) -> npt.NDArray[np.int64]:
    streams = np.arange(batch) if numbers is None else np.asarray(numbers, np.int64)
    if streams.shape != (batch,):
        raise ValueError(f"[decode] expected a number for each of {batch} sentences, got shape {list(streams.shape)}")
    return streams


def _check_output(output: StepOutput, rows: int, vocabulary: int, attention: bool) -> None:
    if output.projection is None:
        shape = output.log_probs.shape
    else:
        shape = output.projection.hidden.shape[0], output.projection.weight.shape[0]
    if shape != (rows, vocabulary):
        raise ValueError(f"[decode] expected log_probs [{rows}, {vocabulary}], got {list(shape)}")
    if attention and (output.attention is None or output.attention.shape[0] != rows):
        raise ValueError(f"[decode] expected attention [{rows}, S] from the model, got none of that shape")
