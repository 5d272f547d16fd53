import numpy as np
import numpy.typing as npt

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
        beam: int,
        nbest: int,
        eos: int,
        min_length: int,
        max_lengths: Ids,
        prefix_ids: Ids,
        prefix_offsets: Ids,
        suppressed: Ids,
        no_repeat_ngram: int,
        length_penalty: float,
        gnmt: bool,
        refill: bool,
        renormalize: bool,
    ) -> None: ...
    def last_tokens(self) -> Ids: ...
    def row_sentences(self) -> Ids: ...
    def ask(self) -> tuple[Ids, Ids, npt.NDArray[np.uint8]]: ...
    def settle(self, values: Floats, indices: Ids, asked_values: Floats) -> int: ...
    def constrain(self, log_probs: Floats) -> int: ...
    def extend(self, values: Floats, indices: Ids) -> Ids: ...
    def results(self, sentence: int) -> list[tuple[Ids, Ids, float, float, bool]]: ...

def sample(
    log_probs: Floats,
    streams: npt.NDArray[np.int64],
    step: int,
    seed: int,
    temperature: float,
    top_k: int,
    top_p: float,
) -> tuple[Floats, Ids]: ...
