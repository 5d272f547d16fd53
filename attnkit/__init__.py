"""attnkit: train, run and look into attention models on ordinary CPUs.

The names here are the whole everyday API; heavy parts are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import attnkit._openmp  # noqa: F401  # isort: skip  # before anything else loads the core

from attnkit._core import (
    Tensor,
    get_num_threads,
    manual_seed,
    random_state,
    set_num_threads,
    set_random_state,
)
from attnkit._tensor import Function, from_dlpack, no_grad, precision, tensor
from attnkit._version import __version__ as __version__

if TYPE_CHECKING:
    from attnkit import decoding, explain, interop, models, nn, ops, optim, text, training, vision
    from attnkit.tasks.caption.captioner import Captioner
    from attnkit.tasks.classify_images.classifier import ImageClassifier
    from attnkit.tasks.classify_text.classifier import Classifier
    from attnkit.tasks.language_model.generator import Generator
    from attnkit.tasks.load import load
    from attnkit.tasks.translate.translator import Translator


_MODULES = ("decoding", "explain", "interop", "models", "nn", "ops", "optim", "text", "training", "vision")
_LAZY = {
    "Captioner": "attnkit.tasks.caption.captioner",
    "Classifier": "attnkit.tasks.classify_text.classifier",
    "Generator": "attnkit.tasks.language_model.generator",
    "ImageClassifier": "attnkit.tasks.classify_images.classifier",
    "Translator": "attnkit.tasks.translate.translator",
    "load": "attnkit.tasks.load",
}

__all__ = [
    "Captioner",
    "Classifier",
    "Function",
    "Generator",
    "ImageClassifier",
    "Tensor",
    "Translator",
    "decoding",
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
    "set_num_threads",
    "set_random_state",
    "tensor",
    "text",
    "training",
    "vision",
]


if not TYPE_CHECKING:  # with it, type checkers would let any name pass

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"attnkit.{name}")
        if name in _LAZY:
            return getattr(import_module(_LAZY[name]), name)
        raise AttributeError(f"module 'attnkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
