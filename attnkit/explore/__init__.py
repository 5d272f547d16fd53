"""Experiments that lectures on attention describe: each trains what it needs, draws figures and keeps its numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attnkit.printable import quoted

# Name: what it shows. Each is a module of this package, dashes written as underscores, with a function
# `run(laboratory) -> list of files`, which says by `laboratory.expect` what its figure must have to show anything. The
# module's docstring is its title and paragraph on the page of all. Where its effect shows in less training than the
# preset's, FEW_STEPS is how long it is trained for that page.
EXPERIMENTS = {
    "fixed-context": "BLEU by sentence length, with attention and without",
    "recency": "which words of the source arrive, by their position: one fixed vector against attention",
    "context": "where a decoder without attention finds the source: at first, at every step, or with blank inputs",
    "reversal": "the order of the source, where one vector holds it all",
    "distance": "a word that must be remembered over a growing distance: RNN, LSTM and self-attention",
    "scores": "the same translator under every score and normaliser",
    "alignment": "which words belong together, as attention in one direction and in both says",
    "hard-soft": "a sampled position against a weighted mean",
    "soft-hard": "what soft and hard attention look at in the same sentence and the same picture",
    "local": "cost and quality of global, local and hard attention by the length of the source",
    "memory": "a memory that is read by content: key-value recall, also by damaged keys",
    "gates": "the input, forget and output gates of an LSTM that counts brackets, and of one that reads words",
    "excitation": "which channels squeeze-and-excitation opens for which class, layer by layer",
    "heads": "what each head of a trained Transformer looks at",
    "glimpse": "hard attention as cropping: a network that learns where to look next",
    "failures": "wrong captions, and where the captioner looked when it wrote the wrong words",
    "data": "Vision Transformer and convolutional network by the number of training images",
    "positions": "a Transformer with and without positional encoding, on shuffled words",
    "speed": "Transformer and recurrent translator: quality by seconds of training",
}


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

    if name not in EXPERIMENTS:
        raise ValueError(f"[explore] expected {', '.join(EXPERIMENTS)}, got {quoted(name)}")
    return do(name, folder, note, steps, seed, shelf).paths(folder)


def explore_all(
    folder: Path, note: Callable[[str], None], *, steps: int | None = None, seed: int = 1
) -> tuple[Path, dict[str, str]]:
    """Does every experiment, each in a folder of its own, and makes one page of all. Those that are finished are kept.

    One that fails is noted and the others go on. Returns the page, and why each that failed did, by its name. steps:
    as in `explore`; where not given each experiment trains as long as its effect takes to show.
    """
    from attnkit.explore.collection import collect

    return collect(EXPERIMENTS, folder, note, steps, seed)
