import numpy as np

from attnkit import ops

nothing = np.zeros(0, np.float32)
ops.ragged_pick(nothing, np.array([0, 2**31 - 1], np.int32), np.array([0, 0], np.int32))
