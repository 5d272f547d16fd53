"""Experiments that lectures on attention describe: each trains what it needs, draws figures and keeps its numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attnkit.explore.experiments import EXPERIMENTS as EXPERIMENTS


def explore(
    name: str,
    folder: Path,
    note: Callable[[str], None],
    *,
    steps: int | None = None,
    seed: int = 1,
    shelf: Path | None = None,
) -> list[Path]:
    """Does an experiment in a folder and returns the files that show it. Finished trainings in the folder are kept.

    steps: train each model for this many steps instead of the preset's. shelf: a folder of other experiments' folders,
    whose trainings are not done again. Raises ValueError for an unknown name.
    """
    from attnkit.explore.record import do

    return do(name, folder, note, steps, seed, shelf).paths(folder)


def explore_all(
    folder: Path, note: Callable[[str], None], *, steps: int | None = None, seed: int = 1
) -> tuple[Path, dict[str, str]]:
    """Does every experiment, each in a folder of its own, and makes one page of all. Those that are finished are kept.

    One that fails is noted and the others go on. Returns the page, and why each that failed did, by its name. steps:
    as in `explore`; where not given each experiment trains as long as its effect takes to show.
    """
    from attnkit.explore.collection import collect

    return collect(folder, note, steps, seed)
