"""All experiments, one after the other, and the page that shows what they found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attnkit.explore.laboratory import Note
from attnkit.explore.page import write_page
from attnkit.explore.record import Record, do, kept, module_of
from attnkit.printable import printable
from attnkit.training.progress import duration

PAGE_FILE = "explore.html"


def collect(
    experiments: Mapping[str, str], folder: Path, note: Note, steps: int | None, seed: int
) -> tuple[Path, dict[str, str]]:
    """See `attnkit.explore.explore_all`. experiments: what each shows, by its name."""
    records: list[Record] = []
    failures: dict[str, str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, what in experiments.items():
        try:
            records.append(_one(name, what, folder, note, steps, seed))
        except Exception as error:  # whatever is wrong with one, the others are worth showing
            failures[name] = printable(str(error)) or type(error).__name__
            note(f"{name}: failed: {failures[name]}")
    path = folder / PAGE_FILE
    write_page(path, folder, experiments, records, failures)
    return path, failures


def _one(name: str, what: str, folder: Path, note: Note, steps: int | None, seed: int) -> Record:
    """The experiment's record, kept or new."""
    length = getattr(module_of(name), "FEW_STEPS", None) if steps is None else steps
    record = kept(name, folder / name, length, seed)
    if record is not None:
        note(f"{name}: kept, {folder / name}")
        return record
    note(f"{name}: {what}")
    record = do(name, folder / name, note, length, seed, folder)
    note(f"{name}: done in {duration(record.seconds)}")
    return record
