import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from attnkit.decoding.options import DecodingOptions

_Ids = npt.NDArray[np.int32]
_Floats = npt.NDArray[np.float32]

@disjoint_base
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
        max_lengths: _Ids,
        prefix_ids: _Ids,
        prefix_offsets: _Ids,
        suppressed: _Ids,
    ) -> None: ...
    def last_tokens(self) -> _Ids: ...
    def row_sentences(self) -> _Ids: ...
    def ask(self) -> tuple[_Ids, _Ids, npt.NDArray[np.uint8]]: ...
    def settle(self, values: _Floats, indices: _Ids, asked_values: _Floats) -> int: ...
    def constrain(self, log_probs: _Floats) -> int: ...
    def extend(self, values: _Floats, indices: _Ids) -> _Ids: ...
    def results(self, sentence: int) -> list[tuple[_Ids, _Ids, float, float, bool]]: ...

def sample(
    log_probs: _Floats, streams: npt.NDArray[np.int64], step: int, options: DecodingOptions
) -> tuple[_Floats, _Ids]: ...
