"""Public checkpoints with a file changed: converted, and where that is possible, used."""

from __future__ import annotations

from pathlib import Path
from random import Random

import samples

from fuzz import mutate
from fuzz.job import Job


def make(rng: Random, box: Path) -> Job:
    checkpoint = samples.write_checkpoint(box / "m", shards=rng.random() < 0.3)
    samples.copy_data(box)
    mutate.file_of(rng.choice(sorted(checkpoint.iterdir())), rng)
    return Job([["convert", "m", "out"], samples.use("marian", "out")], {"m": "models/marian", "data": "data"})
