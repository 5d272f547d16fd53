"""Models: one file each, its configuration beside it."""

from attnkit.models.captioner_config import CaptionerConfig
from attnkit.models.classification import ClassificationLoss
from attnkit.models.cnn_config import CNNConfig
from attnkit.models.decoder_only import DecoderOnly
from attnkit.models.decoder_only_config import DecoderOnlyConfig
from attnkit.models.files import load_model, read_config, save_model
from attnkit.models.han import HierarchicalAttention
from attnkit.models.han_config import HanConfig
from attnkit.models.output import LossOutput
from attnkit.models.registry import ModelConfig, build_model
from attnkit.models.transformer import Transformer
from attnkit.models.transformer_classifier import TransformerClassifier
from attnkit.models.transformer_classifier_config import TransformerClassifierConfig
from attnkit.models.transformer_config import TransformerConfig
from attnkit.models.vit_config import ViTConfig
from attnkit.vision.targets import ImageBatch
from attnkit.weights import load_weights, save_weights

__all__ = [
    "CNNConfig",
    "CaptionerConfig",
    "ClassificationLoss",
    "DecoderOnly",
    "DecoderOnlyConfig",
    "HanConfig",
    "HierarchicalAttention",
    "ImageBatch",
    "LossOutput",
    "ModelConfig",
    "Transformer",
    "TransformerClassifier",
    "TransformerClassifierConfig",
    "TransformerConfig",
    "ViTConfig",
    "build_model",
    "load_model",
    "load_weights",
    "read_config",
    "save_model",
    "save_weights",
]
