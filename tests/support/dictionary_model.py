"""A translation model that is a dictionary, for tests that must know what comes out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from attnkit.decoding import Packed, StepOutput
from attnkit.text.tokenizers.vocabulary import BOS, EOS


class DictionaryState:
    def __init__(self, sources: list[list[int]]) -> None:
        self.sources = sources
        self.position = 0

    @property
    def rows(self) -> int:
        return len(self.sources)

    def select(self, rows: npt.NDArray[np.int32]) -> None:
        self.sources = [self.sources[row] for row in rows]


class DictionaryModel:
    """Writes the word of the same number for every source word, which it looks at; any other word is unlikelier."""

    bos_id, eos_id = BOS, EOS
    max_source_length: int | None = 8
    max_target_length: int | None = 8

    def __init__(self, vocabulary_size: int) -> None:
        self.vocabulary_size = vocabulary_size
        self.batches: list[list[int]] = []

    def start(self, source: Packed) -> DictionaryState:
        sources = [part.tolist() for part in np.split(source.ids, source.offsets[1:-1])]
        assert all(source[-1] == EOS for source in sources)
        self.batches.append([len(source) for source in sources])
        return DictionaryState(sources)

    def step(self, state: DictionaryState, ids: npt.NDArray[np.int32], attention: bool = False) -> StepOutput:
        places = [min(state.position, len(source) - 1) for source in state.sources]
        log_probs = np.full((state.rows, self.vocabulary_size), np.log(0.2 / (self.vocabulary_size - 1)), np.float32)
        weights = np.zeros((state.rows, max(map(len, state.sources))), np.float32)
        for row, (source, place) in enumerate(zip(state.sources, places, strict=True)):
            log_probs[row, source[place]] = np.log(0.8)
            weights[row, place] = 1.0
        state.position += 1
        return StepOutput(log_probs, weights if attention else None)
