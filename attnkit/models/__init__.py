"""Models: one file each, its configuration beside it."""

from attnkit.models.classification import ClassificationLoss, ImageBatch
from attnkit.models.cnn_config import CNNConfig
from attnkit.models.files import load_model, load_weights, read_config, save_model, save_weights
from attnkit.models.registry import ModelConfig, build_model
from attnkit.models.transformer import LossOutput, Transformer
from attnkit.models.transformer_config import TransformerConfig
from attnkit.models.vit_config import ViTConfig

__all__ = [
    "CNNConfig",
    "ClassificationLoss",
    "ImageBatch",
    "LossOutput",
    "ModelConfig",
    "Transformer",
    "TransformerConfig",
    "ViTConfig",
    "build_model",
    "load_model",
    "load_weights",
    "read_config",
    "save_model",
    "save_weights",
]
