"""Training: the loop and its checkpoints, for any task; and, from `attnkit.tasks`, what there is to train."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from attnkit.training.config import TrainingConfig
from attnkit.training.errors import CheckpointError, ConfigError, Interrupted, NonFiniteError, RunExistsError
from attnkit.training.trainer import Outcome, Trainer

if TYPE_CHECKING:
    from attnkit.tasks.caption.config import CaptionConfig
    from attnkit.tasks.classify_images.config import ClassifyImagesConfig
    from attnkit.tasks.classify_text.config import ClassifyTextConfig
    from attnkit.tasks.config_file import encode_config, preset_names, read_config
    from attnkit.tasks.language_model.config import LanguageModelConfig
    from attnkit.tasks.registry import RunConfig
    from attnkit.tasks.run import train, train_once
    from attnkit.tasks.shared.search_config import DecodingConfig
    from attnkit.tasks.translate.config import TranslateConfig

# The engine knows no task: these are here for people who look for them here, and imported when they do.
_LAZY = {
    "CaptionConfig": "attnkit.tasks.caption.config",
    "ClassifyImagesConfig": "attnkit.tasks.classify_images.config",
    "ClassifyTextConfig": "attnkit.tasks.classify_text.config",
    "DecodingConfig": "attnkit.tasks.shared.search_config",
    "LanguageModelConfig": "attnkit.tasks.language_model.config",
    "RunConfig": "attnkit.tasks.registry",
    "TranslateConfig": "attnkit.tasks.translate.config",
    "encode_config": "attnkit.tasks.config_file",
    "preset_names": "attnkit.tasks.config_file",
    "read_config": "attnkit.tasks.config_file",
    "train": "attnkit.tasks.run",
    "train_once": "attnkit.tasks.run",
}

__all__ = [
    "CaptionConfig",
    "CheckpointError",
    "ClassifyImagesConfig",
    "ClassifyTextConfig",
    "ConfigError",
    "DecodingConfig",
    "Interrupted",
    "LanguageModelConfig",
    "NonFiniteError",
    "Outcome",
    "RunConfig",
    "RunExistsError",
    "Trainer",
    "TrainingConfig",
    "TranslateConfig",
    "encode_config",
    "preset_names",
    "read_config",
    "train",
    "train_once",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'attnkit.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
