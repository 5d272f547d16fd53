"""Training: configurations, the trainer, checkpoints, and what a run reports."""

from attnkit.training.config import DecodingConfig, RunConfig, TrainingConfig, TranslateConfig
from attnkit.training.config_file import encode_config, preset_names, read_config
from attnkit.training.errors import CheckpointError, ConfigError, Interrupted, NonFiniteError, RunExistsError
from attnkit.training.run import train
from attnkit.training.trainer import Outcome, Trainer

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DecodingConfig",
    "Interrupted",
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
]
