"""What a classifier of images answers where the right class is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.distributed import Group
from attnkit.tasks.shared.answers import Answered, Answers
from attnkit.tasks.shared.measured import of_batches
from attnkit.tasks.shared.progress import Done
from attnkit.vision.data import Pictures
from attnkit.vision.loader import Batch, ImageLoader
from attnkit.vision.preprocessing import Preprocessing
from attnkit.vision.targets import Classes


def answers(
    model: Any,
    pictures: Pictures,
    labels: npt.NDArray[np.int32],
    preprocessing: Preprocessing,
    batch_images: int,
    done: Done,
    processes: Group,
) -> Answers:
    """For all pictures, whose classes are `labels`, int32 [N], `batch_images` at a time, shared out among the
    processes. Raises OSError or ValueError for one that cannot be read."""
    found = Answers(labels)
    batches = ImageLoader(pictures, Classes(labels), preprocessing, batch_images, shuffle=False)

    def answer(batch: Batch) -> Answered:
        assert batch.indices is not None  # the loader says them
        answered = found.read(batch.indices, model(batch.images).numpy())
        done(len(batch.indices))
        return answered

    for answered in of_batches(processes, batches, answer):
        found.add(answered)
    return found
