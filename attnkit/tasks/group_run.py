"""The task of a run of several processes: the first one has the folder, the others get from it what they need."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from attnkit.distributed.group import Group, together
from attnkit.tasks.registry import make_task
from attnkit.tasks.shared.directory import PRETRAINED_FOLDER
from attnkit.text.alignment import ALIGNMENTS_FILE
from attnkit.text.tokenizers.registry import training_files
from attnkit.training.progress import Reporter
from attnkit.training.task import Task

if TYPE_CHECKING:
    from attnkit.tasks.registry import RunConfig


def make_task_together(config: RunConfig, folder: Path, reporter: Reporter, resumed: bool, group: Group) -> Task:
    """The first process makes the task in the run's folder: what it has learnt of the data, such as a tokenizer, it
    gives to the others, which make theirs as a resumed run does, from the same data, and write nowhere.

    Raises what `make_task` does, in the process where it does; ElsewhereError in the others.
    """
    leads = group.rank == 0
    first = together(group, lambda: make_task(config, folder, reporter.note, resumed=resumed) if leads else None)
    files = group.broadcast(_early_files(folder) if leads else {})
    return together(group, lambda: first or _make_from(config, files))


def _early_files(folder: Path) -> dict[str, bytes]:
    """The content of what a run writes before its first step, by its path in the folder."""
    names = [*sorted(training_files()), ALIGNMENTS_FILE]
    files = [folder / name for name in names] + sorted((folder / PRETRAINED_FOLDER).rglob("*"))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def _make_from(config: RunConfig, files: dict[str, bytes]) -> Task:
    with tempfile.TemporaryDirectory(prefix="attnkit-") as folder:
        for name, content in files.items():
            file = Path(folder) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return make_task(config, Path(folder), lambda text: None, resumed=True)
