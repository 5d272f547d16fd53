"""Rules about what has occurred already: the repetition penalty (Keskar et al., 2019), and n-grams that go on from what
was read before the search, of which the compiled search knows nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from attnkit import ops
from attnkit._tensor import no_grad, writable_array
from attnkit.decoding.options import DecodingOptions
from attnkit.decoding.protocol import Floats, Ids, StepOutput

Restrict = Callable[[Floats], Floats]


class Repetition:
    """The tokens of R live hypotheses, [R, N + steps] with the N that they start with, and what the next ones score.

    The score of a token that has occurred is divided by the penalty where it is positive and multiplied by it where it
    is negative. As in Hugging Face transformers, scores are the logits where one hypothesis is followed, and
    log-probabilities in a beam; a model that gives no logits has its log-probabilities punished in either.
    """

    def __init__(self, options: DecodingOptions, starts: Ids) -> None:
        self._penalty = np.float32(options.repetition_penalty)
        self._one = options.beam == 1
        self._renormalize = options.renormalize
        self._ngram = options.no_repeat_ngram if self.reads_ngrams(options, starts) else 0
        self._written = starts.copy()

    @staticmethod
    def reads_ngrams(options: DecodingOptions, starts: Ids) -> bool:
        """Whether an n-gram may begin in what was read: a start token alone is no text."""
        return options.no_repeat_ngram > 0 and starts.shape[1] > 1

    def extend(self, parents: Ids, last: Ids) -> None:
        """Row r goes on from row parents[r] of before, by the token last[r]."""
        self._written = np.concatenate([self._written[parents], last[:, None]], axis=1)

    def log_probs(self, output: StepOutput, restrict: Restrict | None) -> Floats:
        """The log-probabilities of a step [R, V], for the caller to overwrite. restrict: makes log-probabilities of
        those of the whole vocabulary, with some tokens left out."""
        if self._one:
            scores = output.log_probs if output.projection is None else _logits(output)
            self._punish(scores)
            return restrict(scores) if restrict else _normalized(scores)
        scores = restrict(output.log_probs) if restrict else output.log_probs
        self._punish(scores)
        return _normalized(scores) if self._renormalize else scores

    def _punish(self, scores: Floats) -> None:
        if self._penalty != 1:
            self._make_unlikely(scores)
        if 0 < self._ngram <= self._written.shape[1]:
            windows = np.lib.stride_tricks.sliding_window_view(self._written, self._ngram, axis=1)
            last = self._written[:, self._written.shape[1] - self._ngram + 1 :]
            row, place = np.nonzero((windows[:, :, :-1] == last[:, None]).all(axis=2))
            scores[row, windows[row, place, -1]] = -np.inf

    def _make_unlikely(self, scores: Floats) -> None:
        rows = np.arange(len(scores))[:, None]
        found = scores[rows, self._written]
        scores[rows, self._written] = np.where(found < 0, found * self._penalty, found / self._penalty)


def _logits(output: StepOutput) -> Floats:
    assert output.projection is not None
    with no_grad():
        return writable_array(ops.linear(*output.projection))


def _normalized(scores: Floats) -> Floats:
    with no_grad():
        return ops.log_softmax(scores)
