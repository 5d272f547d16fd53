"""What a model offers so that it can write text: the three protocols that decoding is written against.

A Transformer, a recurrent sequence-to-sequence model and an image captioner all implement `TextModel`; greedy search,
beam search and sampling (`attnkit.decoding.decode`) then work for each of them alike.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from attnkit._core import Tensor

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


class Projection(NamedTuple):
    """The output layer of a step that was not run yet: log softmax(hidden · weightᵀ + bias).

    hidden [R, D], weight [V, D], bias [V] or None. The search makes the logits a block at a time and keeps the best.
    """

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None

    def log_probs(self) -> Floats:
        """All of them, [R, V]."""
        from attnkit import ops
        from attnkit._tensor import no_grad, writable_array

        with no_grad():
            return writable_array(ops.log_softmax(ops.linear(*self)))


class StepOutput:
    """What one step returns for the R rows of a state.

    log_probs [R, V]: log-probabilities of the next token, C-contiguous and writable; they are overwritten by the caller
    and need stay valid only until the next step. A model that ends in a linear layer gives a `projection` instead,
    which is faster; log_probs are then made when they are asked for.
    attention [R, S]: weights over the source, zero beyond a row's own source (S is at least the longest source among
    the rows). The array belongs to the caller. None unless it was asked for.
    """

    __slots__ = ("_log_probs", "attention", "projection")

    def __init__(
        self,
        log_probs: Floats | None = None,
        attention: Floats | None = None,
        *,
        projection: Projection | None = None,
    ) -> None:
        if (log_probs is None) == (projection is None):
            raise TypeError("[StepOutput] expected either log_probs or a projection")
        self._log_probs = log_probs
        self.attention = attention
        self.projection = projection

    @property
    def log_probs(self) -> Floats:
        if self._log_probs is None:
            assert self.projection is not None
            self._log_probs = self.projection.log_probs()
        return self._log_probs


@runtime_checkable
class Source(Protocol):
    """What texts are written about, `len` of them; see `attnkit.decoding.sources`."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> Ids:
        """How long the source of each text is, int32 [B]: attention is as wide, and a text without max_length is
        bounded by it."""
        ...


class State(Protocol):
    """The hypotheses that a model is extending: its key/value caches or hidden states, one row a hypothesis."""

    @property
    def rows(self) -> int:
        """The number of rows now."""
        ...

    def select(self, rows: Ids) -> None:
        """New row i is old row rows[i]: reorders, repeats (a beam grows) and drops (a sentence is finished).

        Rows of one sentence stay adjacent, and sentences stay in their order.
        """
        ...


S = TypeVar("S", bound=State)
Reads = TypeVar("Reads", bound=Source, contravariant=True)


class TextModel(Protocol[Reads, S]):
    """A model that reads a kind of source and writes text one token at a time. It must be in evaluation mode (no
    dropout)."""

    @property
    def bos_id(self) -> int:
        """The start token, fed at the first step."""
        ...

    @property
    def eos_id(self) -> int:
        """The end token."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """V, of the target."""
        ...

    @property
    def max_target_length(self) -> int | None:
        """The positions of the decoder, that of the start token included; None for no limit."""
        ...

    def start(self, source: Reads) -> S:
        """Reads the sources of B texts, and returns a state of B rows, one a text."""
        ...

    def step(self, state: S, ids: Ids, attention: bool = False) -> StepOutput:
        """Feeds ids [R], the last token of every row (the start token first), and predicts the next."""
        ...


def longest_output(model: TextModel[Reads, S], before: int = 0) -> int | None:
    """The most tokens that a model writes, the end token not counted and `before` others that stand before its output;
    None for no limit. One position of the decoder reads the start token."""
    return None if model.max_target_length is None else model.max_target_length - 1 - before
