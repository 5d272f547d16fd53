"""attnkit: train, run and look into attention models on ordinary CPUs.

The names here are the whole everyday API; heavy parts are imported when they are first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attnkit._interrupt  # isort: skip  # before what takes time
import attnkit._openblas  # isort: skip  # before anything else loads NumPy
import attnkit._openmp  # noqa: F401  # isort: skip  # before anything else loads the core

from attnkit._core import (
    Indices,
    Tensor,
    get_num_threads,
    manual_seed,
    random_state,
    set_nan_check,
    set_num_threads,
    set_random_state,
)
from attnkit._lazy import lazily
from attnkit._tensor import Function, from_dlpack, no_grad, precision, tensor
from attnkit._version import __version__ as __version__

if TYPE_CHECKING:
    from attnkit import decoding, distributed, explain, interop, models, nn, ops, optim, ray, text, training, vision
    from attnkit.tasks.caption.captioner import Captioner
    from attnkit.tasks.classify_images.classifier import ImageClassifier
    from attnkit.tasks.classify_images.zero_shot import ZeroShotClassifier
    from attnkit.tasks.classify_text.classifier import Classifier
    from attnkit.tasks.embed.embedder import Embedder
    from attnkit.tasks.language_model.generator import Generator
    from attnkit.tasks.load import load
    from attnkit.tasks.masked_language_model.filler import MaskFiller
    from attnkit.tasks.summarize.summarizer import Summarizer
    from attnkit.tasks.translate.pivot import PivotTranslator
    from attnkit.tasks.translate.translator import Translator

__all__ = [
    "Captioner",
    "Classifier",
    "Embedder",
    "Function",
    "Generator",
    "ImageClassifier",
    "Indices",
    "MaskFiller",
    "PivotTranslator",
    "Summarizer",
    "Tensor",
    "Translator",
    "ZeroShotClassifier",
    "decoding",
    "distributed",
    "explain",
    "from_dlpack",
    "get_num_threads",
    "interop",
    "load",
    "manual_seed",
    "models",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "precision",
    "random_state",
    "ray",
    "set_num_threads",
    "set_random_state",
    "tensor",
    "text",
    "training",
    "vision",
]

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.tasks.caption.captioner": ("Captioner",),
            "attnkit.tasks.classify_images.classifier": ("ImageClassifier",),
            "attnkit.tasks.classify_images.zero_shot": ("ZeroShotClassifier",),
            "attnkit.tasks.classify_text.classifier": ("Classifier",),
            "attnkit.tasks.embed.embedder": ("Embedder",),
            "attnkit.tasks.language_model.generator": ("Generator",),
            "attnkit.tasks.load": ("load",),
            "attnkit.tasks.masked_language_model.filler": ("MaskFiller",),
            "attnkit.tasks.summarize.summarizer": ("Summarizer",),
            "attnkit.tasks.translate.pivot": ("PivotTranslator",),
            "attnkit.tasks.translate.translator": ("Translator",),
        },
        __all__,
    )


def _look_inside() -> None:
    """What the environment asks to see of the ops (docs/performance.md)."""
    if destination := os.environ.get("ATTNKIT_PROFILE"):
        from attnkit.benchmark.profile import start

        start(destination)
    if os.environ.get("ATTNKIT_CHECK_NAN") == "1":
        set_nan_check(True)


_look_inside()
