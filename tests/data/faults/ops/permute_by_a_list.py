import numpy as np

import attnkit

attnkit.tensor(np.zeros((3, 3, 1), np.float32)).permute(1, 0, [])
