"""Training: the loop and its checkpoints, for any task; and, from `attnkit.tasks`, what there is to train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit._lazy import lazily

if TYPE_CHECKING:
    from attnkit.tasks.caption.config import CaptionConfig
    from attnkit.tasks.classify_images.config import ClassifyImagesConfig
    from attnkit.tasks.classify_text.config import ClassifyTextConfig
    from attnkit.tasks.config_file import encode_config, preset_names, read_config
    from attnkit.tasks.language_model.config import LanguageModelConfig
    from attnkit.tasks.masked_language_model.config import MaskedLanguageModelConfig
    from attnkit.tasks.registry import RunConfig
    from attnkit.tasks.run import train, train_once
    from attnkit.tasks.shared.search_config import DecodingConfig
    from attnkit.tasks.translate.config import TranslateConfig
    from attnkit.training.config import TrainingConfig
    from attnkit.training.errors import CheckpointError, ConfigError, Interrupted, NonFiniteError, RunExistsError
    from attnkit.training.trainer import Outcome, Trainer

__all__ = [
    "CaptionConfig",
    "CheckpointError",
    "ClassifyImagesConfig",
    "ClassifyTextConfig",
    "ConfigError",
    "DecodingConfig",
    "Interrupted",
    "LanguageModelConfig",
    "MaskedLanguageModelConfig",
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

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.tasks.caption.config": ("CaptionConfig",),
            "attnkit.tasks.classify_images.config": ("ClassifyImagesConfig",),
            "attnkit.tasks.classify_text.config": ("ClassifyTextConfig",),
            "attnkit.tasks.config_file": ("encode_config", "preset_names", "read_config"),
            "attnkit.tasks.language_model.config": ("LanguageModelConfig",),
            "attnkit.tasks.masked_language_model.config": ("MaskedLanguageModelConfig",),
            "attnkit.tasks.registry": ("RunConfig",),
            "attnkit.tasks.run": ("train", "train_once"),
            "attnkit.tasks.shared.search_config": ("DecodingConfig",),
            "attnkit.tasks.translate.config": ("TranslateConfig",),
            "attnkit.training.config": ("TrainingConfig",),
            "attnkit.training.errors": (
                "CheckpointError",
                "ConfigError",
                "Interrupted",
                "NonFiniteError",
                "RunExistsError",
            ),
            "attnkit.training.trainer": ("Outcome", "Trainer"),
        },
    )
