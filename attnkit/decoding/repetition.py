"""The repetition penalty: what a hypothesis has written already becomes less likely (Keskar et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from attnkit import ops
from attnkit._tensor import no_grad, writable_array
from attnkit.decoding.options import DecodingOptions
from attnkit.decoding.protocol import Floats, Ids, StepOutput

Restrict = Callable[[Floats], Floats]


class Repetition:
    """The tokens of R live hypotheses, [R, steps + 1] with the start token, and what the next ones score.

    The score of a token that has occurred is divided by the penalty where it is positive and multiplied by it where it
    is negative. As in Hugging Face transformers, scores are the logits where one hypothesis is followed, and
    log-probabilities in a beam; a model that gives no logits has its log-probabilities punished in either.
    """

    def __init__(self, options: DecodingOptions, starts: Ids) -> None:
        self._penalty = np.float32(options.repetition_penalty)
        self._one = options.beam == 1
        self._renormalize = options.renormalize
        self._written = starts[:, None].copy()

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
