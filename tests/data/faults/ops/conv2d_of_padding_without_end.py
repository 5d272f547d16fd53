import numpy as np

from attnkit import ops

x, weight = np.ones((4, 8, 4, 4), np.float32), np.ones((4, 2, 2, 4), np.float32)
ops.conv2d(x, weight, stride=4095, padding=(2**31 - 1, 2))
