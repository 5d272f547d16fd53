"""Models: one file each, its configuration beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit._lazy import lazily

if TYPE_CHECKING:
    from attnkit.models.captioner_config import CaptionerConfig
    from attnkit.models.classification import ClassificationLoss
    from attnkit.models.cnn_config import CNNConfig
    from attnkit.models.decoder_only import DecoderOnly
    from attnkit.models.decoder_only_config import DecoderOnlyConfig
    from attnkit.models.encoder_only import EncoderOnly
    from attnkit.models.encoder_only_config import EncoderOnlyConfig
    from attnkit.models.files import load_model, read_config, save_model
    from attnkit.models.glimpse_config import GlimpseConfig
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
    "EncoderOnly",
    "EncoderOnlyConfig",
    "GlimpseConfig",
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

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.models.captioner_config": ("CaptionerConfig",),
            "attnkit.models.classification": ("ClassificationLoss",),
            "attnkit.models.cnn_config": ("CNNConfig",),
            "attnkit.models.decoder_only": ("DecoderOnly",),
            "attnkit.models.decoder_only_config": ("DecoderOnlyConfig",),
            "attnkit.models.encoder_only": ("EncoderOnly",),
            "attnkit.models.encoder_only_config": ("EncoderOnlyConfig",),
            "attnkit.models.files": ("load_model", "read_config", "save_model"),
            "attnkit.models.han": ("HierarchicalAttention",),
            "attnkit.models.glimpse_config": ("GlimpseConfig",),
            "attnkit.models.han_config": ("HanConfig",),
            "attnkit.models.output": ("LossOutput",),
            "attnkit.models.registry": ("ModelConfig", "build_model"),
            "attnkit.models.transformer": ("Transformer",),
            "attnkit.models.transformer_classifier": ("TransformerClassifier",),
            "attnkit.models.transformer_classifier_config": ("TransformerClassifierConfig",),
            "attnkit.models.transformer_config": ("TransformerConfig",),
            "attnkit.models.vit_config": ("ViTConfig",),
            "attnkit.vision.targets": ("ImageBatch",),
            "attnkit.weights": ("load_weights", "save_weights"),
        },
    )
