"""Model directories with a file changed, gone, or replaced by something that is no file."""

from __future__ import annotations

from pathlib import Path
from random import Random

import samples

from fuzz import mutate
from fuzz.job import Job

UNREAD = {"metrics.jsonl", "training.toml"}  # they only say how the model was made
DRAWINGS: tuple[list[str], ...] = ([], ["--jsonl"], ["--attention", "a.html"], ["--attention", "a.json"])


def make(rng: Random, box: Path) -> Job:
    name = rng.choice(sorted(samples.COMMANDS))
    model = samples.copy_model(name, box / "m")
    samples.copy_data(box)
    files = sorted({path.name for path in model.iterdir()} - UNREAD)
    path = model / rng.choice([*files, "config.json", "config.json", "config.json"])
    if rng.random() < 0.03:
        path.unlink()
        replace(path, rng)
    else:
        mutate.file_of(path, rng)
    options = ["--precision", rng.choice(["fp32", "bf16", "int8"])]
    if name != "language-model":
        options += rng.choice(DRAWINGS)
    if samples.COMMANDS[name][0] == "translate":
        options += ["--beam", rng.choice("125")]
    return Job([samples.use(name, "m", *options)], {"m": f"models/{name}", "data": "data"})


def replace(path: Path, rng: Random) -> None:
    match rng.randrange(4):
        case 0:
            path.mkdir()
        case 1:
            path.symlink_to("/etc/passwd")
        case 2:
            path.symlink_to(path.name)
