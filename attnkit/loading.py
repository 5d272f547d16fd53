"""`attnkit.load`: what a model directory is for decides what it becomes."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnkit.translator import Precision

# The task in config.json, and the class whose `from_directory` serves it.
_CLASSES = {
    "translate": "attnkit.translator:Translator",
    "classify": "attnkit.classifier:Classifier",
    "language-model": "attnkit.generator:Generator",
}


def load(path: str | os.PathLike[str], precision: Precision = "fp32", threads: int | None = None) -> Any:
    """The model of a directory that `attnkit train` wrote, ready for use; config.json says of which kind it is.

    A translation model becomes a `Translator`, a classifier of texts a `Classifier`, a language model a `Generator`.

    precision: "fp32" or "bf16", of the matrix products. threads: sets the number for the whole process; None leaves it.
    Raises FileNotFoundError where there is no model, ValueError for a broken one; the message names the file.
    """
    import attnkit
    from attnkit.models import read_config

    directory = Path(path)
    config = read_config(directory)
    task = config.get("task")
    if not isinstance(task, str) or task not in _CLASSES:
        expected = " or ".join(repr(name) for name in _CLASSES)
        raise ValueError(f"[load] {directory / 'config.json'}: expected the task {expected}, got {task!r}")
    if threads is not None:
        attnkit.set_num_threads(threads)
    module, _, name = _CLASSES[task].partition(":")
    return getattr(import_module(module), name).from_directory(directory, config, precision)
