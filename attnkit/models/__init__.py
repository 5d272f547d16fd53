"""Models: one file each, its configuration beside it."""

from attnkit.models.config import ModelConfig, TransformerConfig
from attnkit.models.files import build_model, load_model, load_weights, read_config, save_model, save_weights
from attnkit.models.transformer import LossOutput, Transformer

__all__ = [
    "LossOutput",
    "ModelConfig",
    "Transformer",
    "TransformerConfig",
    "build_model",
    "load_model",
    "load_weights",
    "read_config",
    "save_model",
    "save_weights",
]
