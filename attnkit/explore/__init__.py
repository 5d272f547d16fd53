"""Experiments that lectures on attention describe: each trains what it needs, draws a figure and keeps its numbers."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from attnkit.printable import quoted

# Name: what it shows. Each is a module of this package, dashes written as underscores, with a function
# `run(laboratory) -> list of files`.
EXPERIMENTS = {
    "fixed-context": "BLEU by sentence length, with attention and without",
    "scores": "the same translator under every score and normaliser",
    "alignment": "which words belong together, as attention in one direction and in both says",
    "positions": "a Transformer with and without positional encoding, on shuffled words",
    "reversal": "the order of the source, where one vector holds it all",
    "hard-soft": "a sampled position against a weighted mean",
}


def explore(
    name: str, folder: Path, note: Callable[[str], None], *, steps: int | None = None, seed: int = 1
) -> list[Path]:
    """Does an experiment in a folder and returns the files that show it. Finished trainings in the folder are kept.

    steps: train each model for this many steps instead of the preset's. Raises ValueError for an unknown name.
    """
    from attnkit.explore.laboratory import Laboratory

    if name not in EXPERIMENTS:
        raise ValueError(f"[explore] expected {', '.join(EXPERIMENTS)}, got {quoted(name)}")
    folder.mkdir(parents=True, exist_ok=True)
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    files: list[Path] = module.run(Laboratory(folder, note, steps, seed))
    return files
