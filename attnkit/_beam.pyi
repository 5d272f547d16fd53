import numpy as np
import numpy.typing as npt

from attnkit.decoding.options import DecodingOptions

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

class Search:
    step: int
    rows: int
    sentences: int
    candidates: int
    moved: bool
    def __init__(
        self,
        options: DecodingOptions,
        *,
        eos: int,
        max_lengths: Ids,
        prefix_ids: Ids,
        prefix_offsets: Ids,
        suppressed: Ids,
    ) -> None: ...
    def last_tokens(self) -> Ids: ...
    def row_sentences(self) -> Ids: ...
    def ask(self) -> tuple[Ids, Ids, npt.NDArray[np.uint8]]: ...
    def settle(self, values: Floats, indices: Ids, asked_values: Floats) -> int: ...
    def constrain(self, log_probs: Floats) -> int: ...
    def extend(self, values: Floats, indices: Ids) -> Ids: ...
    def results(self, sentence: int) -> list[tuple[Ids, Ids, float, float, bool]]: ...

def sample(
    log_probs: Floats, streams: npt.NDArray[np.int64], step: int, options: DecodingOptions
) -> tuple[Floats, Ids]: ...
