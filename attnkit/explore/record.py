"""What an experiment was: its command, its time and its files, kept beside them as `experiment.json`."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

import msgspec

from attnkit.explore import EXPERIMENTS
from attnkit.explore.laboratory import Laboratory, Note
from attnkit.files import atomic_write
from attnkit.printable import quoted

RECORD_FILE = "experiment.json"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """files: the names of those that show it, in its folder."""

    experiment: str
    steps: int | None
    seed: int
    seconds: float
    files: list[str]
    warning: str = ""

    @property
    def command(self) -> str:
        steps = "" if self.steps is None else f" --steps {self.steps}"
        return f"attnkit explore {self.experiment}{steps}{'' if self.seed == 1 else f' --seed {self.seed}'}"

    def paths(self, folder: Path) -> list[Path]:
        return [folder / name for name in self.files]


def do(
    experiment: str, folder: Path, note: Note, steps: int | None = None, seed: int = 1, shelf: Path | None = None
) -> Record:
    """Does the experiment, as `attnkit.explore.explore` says. Raises ValueError for an unknown one."""
    started = time.perf_counter()
    module = module_of(experiment)
    folder.mkdir(parents=True, exist_ok=True)
    laboratory = Laboratory(folder, note, steps, seed, shelf)
    files = [str(file.relative_to(folder)) for file in module.run(laboratory)]
    record = Record(
        experiment=experiment,
        steps=steps,
        seed=seed,
        seconds=round(time.perf_counter() - started, 1),
        files=files,
        warning=laboratory.warning,
    )
    with atomic_write(folder / RECORD_FILE) as file:
        file.write(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    return record


def kept(experiment: str, folder: Path, steps: int | None, seed: int) -> Record | None:
    """The record of the experiment where it was done before in just this way, and its files are still there."""
    try:
        record = msgspec.json.decode((folder / RECORD_FILE).read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError):
        return None
    same = (record.experiment, record.steps, record.seed) == (experiment, steps, seed)
    return record if same and all(file.is_file() for file in record.paths(folder)) else None


def module_of(experiment: str) -> ModuleType:
    """The module that does an experiment. Raises ValueError for an unknown name."""
    if experiment not in EXPERIMENTS:
        raise ValueError(f"[explore] expected {', '.join(EXPERIMENTS)}, got {quoted(experiment)}")
    return import_module(f"attnkit.explore.{experiment.replace('-', '_')}")
