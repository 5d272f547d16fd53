"""A model that has written the beginning of its texts already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

import numpy as np

from attnkit.decoding.protocol import Ids, Reads, S, StepOutput, TextModel


class Begun(Generic[Reads, S]):
    """`model` behind a prompt: a `TextModel` whose first token is the prompt's last.

    So what a search counts, lengths and scores, is of what is written behind the prompt, as in `generate` of
    transformers. Without a prompt it is the model as it is.
    """

    def __init__(self, model: TextModel[Reads, S], prompt: Sequence[int]) -> None:
        self._model = model
        self._before = [model.bos_id, *prompt]
        self.bos_id = self._before.pop()
        self.eos_id, self.vocabulary_size = model.eos_id, model.vocabulary_size
        longest = model.max_target_length
        self.max_target_length = None if longest is None else longest - len(self._before)

    def start(self, source: Reads) -> S:
        """A state that has read all of the prompt but its last token."""
        state = self._model.start(source)
        for token in self._before:
            self._model.step(state, np.full(state.rows, token, np.int32))
        return state

    def step(self, state: S, ids: Ids, attention: bool = False) -> StepOutput:
        return self._model.step(state, ids, attention)
