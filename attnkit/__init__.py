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

if TYPE_CHECKING:
    from attnkit import decoding, explain, interop, models, nn, ops, optim, text, training, vision
    from attnkit.captioner import Captioner
    from attnkit.classifier import Classifier
    from attnkit.generator import Generator
    from attnkit.image_classifier import ImageClassifier
    from attnkit.loading import load
    from attnkit.translator import Translator

__version__ = "0.1.0"

_MODULES = ("decoding", "explain", "interop", "models", "nn", "ops", "optim", "text", "training", "vision")
_LAZY = {
    "Captioner": "attnkit.captioner",
    "Classifier": "attnkit.classifier",
    "Generator": "attnkit.generator",
    "ImageClassifier": "attnkit.image_classifier",
    "Translator": "attnkit.translator",
    "load": "attnkit.loading",
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
