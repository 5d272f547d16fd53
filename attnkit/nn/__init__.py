"""Layers. Sentences are packed everywhere: values [T, width] and offsets int32 [B + 1], never padding."""

from attnkit.nn.attention import (
    AdditiveScore,
    Attended,
    Attention,
    Choice,
    ConcatScore,
    CosineScore,
    DotScore,
    GeneralScore,
    HardNormaliser,
    LocalMonotonicNormaliser,
    LocalPredictiveNormaliser,
    LocationScore,
    Memory,
    MemoryRead,
    MultiHeadAttention,
    Normaliser,
    Rows,
    ScaledDotScore,
    Score,
    SoftmaxNormaliser,
    StructuredNormaliser,
)
from attnkit.nn.dropout import Dropout
from attnkit.nn.embedding import Embedding
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module, ModuleList
from attnkit.nn.normalisation import LayerNorm
from attnkit.nn.positions import LearnedPositions, SinusoidalPositions, packed_positions, sinusoids
from attnkit.nn.transformer import (
    FeedForward,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "AdditiveScore",
    "Attended",
    "Attention",
    "Choice",
    "ConcatScore",
    "CosineScore",
    "DotScore",
    "Dropout",
    "Embedding",
    "FeedForward",
    "GeneralScore",
    "HardNormaliser",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "LocalMonotonicNormaliser",
    "LocalPredictiveNormaliser",
    "LocationScore",
    "Memory",
    "MemoryRead",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
    "Normaliser",
    "Rows",
    "ScaledDotScore",
    "Score",
    "SinusoidalPositions",
    "SoftmaxNormaliser",
    "StructuredNormaliser",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "packed_positions",
    "sinusoids",
]
