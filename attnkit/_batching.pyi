import numpy as np
import numpy.typing as npt

def cut_batches(
    source_lengths: npt.NDArray[np.int32], target_lengths: npt.NDArray[np.int32], max_tokens: int, max_sentences: int
) -> npt.NDArray[np.int64]: ...
def pack(
    ids: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.int64],
    first: int = -1,
    last: int = -1,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]: ...
