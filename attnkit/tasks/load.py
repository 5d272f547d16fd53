"""`attnkit.load`: what a model directory is for decides what it becomes."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnkit import _core

if TYPE_CHECKING:
    from attnkit._tensor import Precision

# The task in config.json and what the model reads, and the class whose `from_directory` serves it.
_CLASSES = {
    ("translate", "text"): "attnkit.tasks.translate.translator:Translator",
    ("classify", "text"): "attnkit.tasks.classify_text.classifier:Classifier",
    ("classify", "images"): "attnkit.tasks.classify_images.classifier:ImageClassifier",
    ("caption", "images"): "attnkit.tasks.caption.captioner:Captioner",
    ("language-model", "text"): "attnkit.tasks.language_model.generator:Generator",
}


def load(path: str | os.PathLike[str], precision: Precision = "fp32", threads: int | None = None) -> Any:
    """The model of a directory that `attnkit train` wrote, ready for use; config.json says of which kind it is.

    A translation model becomes a `Translator`, a classifier of texts a `Classifier`, one of images an
    `ImageClassifier`, a captioner a `Captioner`, a language model a `Generator`.

    precision: "fp32", "bf16" or "int8", of the matrix products (see `attnkit.precision`). threads: sets the number for
    the whole process; None leaves it.
    Raises FileNotFoundError where there is no model, ValueError for a broken one; the message names the file.
    """
    from attnkit._tensor import check_precision
    from attnkit.models import read_config

    check_precision(precision)
    directory = Path(path)
    config = read_config(directory)
    task = config.get("task")
    tasks = list(dict.fromkeys(name for name, _ in _CLASSES))
    if task not in tasks:
        expected = " or ".join(map(repr, tasks))
        raise ValueError(f"[load] {directory / 'config.json'}: expected the task {expected}, got {task!r}")
    reads = config.get("reads", "text")
    if not isinstance(reads, str) or (task, reads) not in _CLASSES:
        expected = " or ".join(repr(what) for name, what in _CLASSES if name == task)
        raise ValueError(f"[load] {directory / 'config.json'}: expected {expected} under reads, got {reads!r}")
    if threads is not None:
        _core.set_num_threads(threads)
    module, _, name = _CLASSES[task, reads].partition(":")
    return getattr(import_module(module), name).from_directory(directory, config, precision)
