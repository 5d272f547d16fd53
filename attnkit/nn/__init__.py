"""Layers. Sentences are packed everywhere: values [T, width] and offsets int32 [B + 1], never padding."""

from attnkit.nn.attention import MultiHeadAttention
from attnkit.nn.dropout import Dropout
from attnkit.nn.embedding import Embedding
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module, ModuleList
from attnkit.nn.normalisation import LayerNorm
from attnkit.nn.pooling import AttentionPooling, FirstPooling, MeanPooling
from attnkit.nn.positions import LearnedPositions, SinusoidalPositions, packed_positions, sinusoids
from attnkit.nn.transformer import (
    FeedForward,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "AttentionPooling",
    "Dropout",
    "Embedding",
    "FeedForward",
    "FirstPooling",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "MeanPooling",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
    "SinusoidalPositions",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "packed_positions",
    "sinusoids",
]
