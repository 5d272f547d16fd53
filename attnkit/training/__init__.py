"""Training: configurations, the trainer, checkpoints, and what a run reports."""

from attnkit.training.caption_config import CaptionConfig
from attnkit.training.classify_images_config import ClassifyImagesConfig
from attnkit.training.classify_text_config import ClassifyTextConfig
from attnkit.training.config import DecodingConfig, TrainingConfig
from attnkit.training.config_file import encode_config, preset_names, read_config
from attnkit.training.errors import CheckpointError, ConfigError, Interrupted, NonFiniteError, RunExistsError
from attnkit.training.language_model_config import LanguageModelConfig
from attnkit.training.run import train, train_once
from attnkit.training.tasks import RunConfig
from attnkit.training.trainer import Outcome, Trainer
from attnkit.training.translate_config import TranslateConfig

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
