"""What a classifier of images answers where the right class is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.tasks.shared.answers import Answers
from attnkit.tasks.shared.progress import Done
from attnkit.vision.data import Pictures
from attnkit.vision.loader import ImageLoader
from attnkit.vision.preprocessing import Preprocessing
from attnkit.vision.targets import Classes


def answers(
    model: Any,
    pictures: Pictures,
    labels: npt.NDArray[np.int32],
    preprocessing: Preprocessing,
    batch_images: int,
    done: Done,
) -> Answers:
    """For all pictures, whose classes are `labels`, int32 [N], `batch_images` at a time. Raises OSError or ValueError
    for one that cannot be read."""
    found = Answers(labels)
    for batch in ImageLoader(pictures, Classes(labels), preprocessing, batch_images, shuffle=False):
        assert batch.indices is not None  # the loader says them
        found.add(batch.indices, model(batch.images).numpy())
        done(len(batch.indices))
    return found
