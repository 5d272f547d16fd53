"""All experiments, one after the other, and the page that shows what they found."""

from __future__ import annotations

from pathlib import Path

from attnkit.explore import EXPERIMENTS
from attnkit.explore.laboratory import Note
from attnkit.explore.page import write_page
from attnkit.explore.record import Record, do, kept, module_of
from attnkit.printable import printable
from attnkit.training.progress import duration

PAGE_FILE = "explore.html"


def collect(folder: Path, note: Note, steps: int | None, seed: int) -> tuple[Path, dict[str, str]]:
    """See `attnkit.explore.explore_all`."""
    records: list[Record] = []
    failures: dict[str, str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name in EXPERIMENTS:
        try:
            records.append(_one(name, folder, note, steps, seed))
        except Exception as error:  # whatever is wrong with one, the others are worth showing
            failures[name] = printable(str(error)) or type(error).__name__
            note(f"{name}: failed: {failures[name]}")
    path = folder / PAGE_FILE
    write_page(path, folder, records, failures)
    return path, failures


def _one(name: str, folder: Path, note: Note, steps: int | None, seed: int) -> Record:
    """The experiment's record, kept or new."""
    length = getattr(module_of(name), "FEW_STEPS", None) if steps is None else steps
    record = kept(name, folder / name, length, seed)
    if record is not None:
        note(f"{name}: kept, {folder / name}")
        return record
    note(f"{name}: {EXPERIMENTS[name]}")
    record = do(name, folder / name, note, length, seed, folder)
    note(f"{name}: done in {duration(record.seconds)}")
    return record
