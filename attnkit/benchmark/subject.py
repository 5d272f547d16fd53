"""What a bench measures when it is given a model: a model directory, or a checkpoint from elsewhere.

attnkit's model is made from the checkpoint, and peers read it as it is; so all have the same weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from attnkit.benchmark.decoding import DecodingMeasurement, measure_decoding
from attnkit.benchmark.roof_worker import roof_contestants
from attnkit.benchmark.runner import Contestant
from attnkit.benchmark.work import write_work
from attnkit.devices import CPU

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """directory: attnkit's model. checkpoint: what it was made from, for peers; None where there is none."""

    directory: Path
    checkpoint: Path | None


@dataclass(frozen=True)
class Setting:
    """What all contestants are told. folder: has work.json, and is theirs to write into."""

    folder: Path
    subject: Subject
    precisions: tuple[str, ...]
    threads: int
    progress: Progress
    device: str

    def contestant(self, name: str, module: str, model: Path, precision: str, **environment: str) -> Contestant:
        """One whose process is called as all are here: FOLDER MODEL PRECISION THREADS DEVICE."""
        arguments = (str(self.folder), str(model), precision, str(self.threads), self.device)
        return Contestant(f"{name} {precision}", module, arguments, environment)


class Peer(Protocol):
    """A library that can run here."""

    def contestants(self, setting: Setting) -> list[Contestant]:
        """Its processes, at those of the precisions that it has, once what they read is made of the checkpoint."""
        ...


@contextmanager
def opened(model: Path, progress: Progress = lambda message: None) -> Iterator[Subject]:
    """The subject that a folder is; a checkpoint is converted, for as long as the context lasts. Raises
    FileNotFoundError or ValueError where it is neither."""
    if kind_of(model) == "attnkit":
        yield Subject(model.resolve(), None)
        return
    from attnkit.interop import convert

    with tempfile.TemporaryDirectory() as name:
        progress("converting the model")
        convert(model, directory := Path(name) / "attnkit")
        yield Subject(directory, model.resolve())


def kind_of(model: Path) -> Literal["transformers", "timm", "attnkit"]:
    """Whose the folder is: a checkpoint of transformers' or timm's, or a model directory. Raises FileNotFoundError or
    ValueError where its config.json is not there or is broken."""
    from attnkit.interop.hf_config import CONFIG_FILE, read_table

    table = read_table(model / CONFIG_FILE)
    if "model_type" in table:
        return "transformers"
    return "timm" if "architecture" in table else "attnkit"


def measure_subject(
    subject: Subject,
    worker: str,
    work: Any,
    units: int,
    precisions: tuple[str, ...],
    peers: Sequence[Peer] = (),
    runs: int = 5,
    threads: int | None = None,
    progress: Progress = lambda message: None,
    prepare: Callable[[Path], None] = lambda folder: None,
    device: str = CPU,
) -> list[DecodingMeasurement]:
    """The same work through attnkit's `worker` at each precision, and through each peer at those that it has.

    work, units: what is to be done, and how much that is. prepare: writes what else the contestants read into a folder.
    """
    from attnkit import get_num_threads

    with tempfile.TemporaryDirectory() as name:
        setting = Setting(Path(name), subject, precisions, threads or get_num_threads(), progress, device)
        write_work(setting.folder, work)
        prepare(setting.folder)
        contestants = [setting.contestant("attnkit", worker, subject.directory, each) for each in precisions]
        for peer in peers:
            contestants += peer.contestants(setting)
        roof = roof_contestants(precisions, setting.threads, device)
        return measure_decoding(contestants, units, runs, progress, roof)
