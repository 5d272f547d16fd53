"""Where a translator's vocabulary shortlist comes from: a file, its training data, or its own translations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import numpy as np

from attnkit.decoding.protocol import Ids
from attnkit.decoding.shortlist import Shortlist
from attnkit.tasks.shared.directory import SHORTLIST_FILE
from attnkit.tasks.translate.translator import Translator

Note = Callable[[str], None]
FILE = SHORTLIST_FILE


def build(translator: Translator, sources: Iterable[str], targets: Iterable[str], per_token: int = 50) -> Shortlist:
    """From sentences and their translations: see `Shortlist.count`."""
    source, target = translator.source_tokenizer, translator.target_tokenizer

    def ids(tokens: list[int]) -> Ids:
        return np.array(tokens, np.int32)

    pairs = (
        (ids([*source.encode(s.strip()), source.eos_id]), ids(target.encode(t.strip())))
        for s, t in zip(sources, targets, strict=True)
    )
    return Shortlist.count(pairs, source.vocab_size, target.vocab_size, per_token)


def find(
    name: str | None, translator: Translator, directory: str | os.PathLike[str], note: Note = lambda text: None
) -> Shortlist | Literal["own"] | None:
    """Of a file; with "auto" that of the model directory, with "none" none. Where nothing is said, what `translate`
    takes then. Of two models each takes its own, and "auto" looks in the directory of each. Raises what
    `Shortlist.load` and `for_model` do."""
    if name is None:
        return "own"
    if name == "none":
        return None
    if name != "auto":
        return Shortlist.load(name)
    from attnkit.tasks.translate.pivot import PivotTranslator

    if not isinstance(translator, PivotTranslator):
        return for_model(translator, directory, note)
    if translator.folders is None:
        raise ValueError("[shortlist] expected two models that were loaded from directories, got others")
    for each, folder in zip((translator.first, translator.second), translator.folders, strict=True):
        each.shortlist = for_model(each, folder, note)
    return "own"


def for_model(translator: Translator, directory: str | os.PathLike[str], note: Note = lambda text: None) -> Shortlist:
    """That of a model directory. Where it has none, one is counted in the model's training data, and kept there; `note`
    is told where it cannot be kept.

    Raises ValueError where the directory does not say what the model was trained on, OSError where that is gone.
    """
    file = Path(directory) / FILE
    if file.is_file():
        return Shortlist.load(file)
    recipe = Path(directory) / "training.toml"
    if not recipe.is_file():
        raise ValueError(
            f"[shortlist] {directory}: expected {FILE}, or training.toml with the data to count in; "
            "`attnkit shortlist` makes one from other text"
        )
    from attnkit.tasks.config_file import read_config
    from attnkit.tasks.translate.config import TranslateConfig

    config = read_config(recipe)
    corpus = config.data.corpus("train") if isinstance(config, TranslateConfig) else None
    if corpus is None:
        raise ValueError(f"[shortlist] {recipe}: expected sentence pairs in data.train, got none")
    shortlist = build(translator, corpus.sources, corpus.targets)
    try:
        shortlist.save(file)
    except OSError as error:
        note(f"the shortlist is not kept, and is counted anew each time: {file}: {error.strerror}")
    return shortlist
