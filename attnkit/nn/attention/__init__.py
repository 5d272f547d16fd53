"""Attention: score × normalisation × values, in parts that compose, and multi-head attention with all three fused."""

from attnkit.nn.attention.attention import Attended, Attention, Memory
from attnkit.nn.attention.hard import Choice, HardNormaliser
from attnkit.nn.attention.local import LocalMonotonicNormaliser, LocalPredictiveNormaliser
from attnkit.nn.attention.memory_read import MemoryRead, Recalled
from attnkit.nn.attention.multi_head import CrossAttention, MultiHeadAttention, SelfAttention
from attnkit.nn.attention.normalisers import Normaliser, Rows, SoftmaxNormaliser
from attnkit.nn.attention.position_bias import ALiBi, PositionBias, RelativePositionBias
from attnkit.nn.attention.scores import (
    AdditiveScore,
    ConcatScore,
    CosineScore,
    DotScore,
    GeneralScore,
    LocationScore,
    ScaledDotScore,
    ScaledGeneralScore,
    Score,
)
from attnkit.nn.attention.structured import StructuredNormaliser

__all__ = [
    "ALiBi",
    "AdditiveScore",
    "Attended",
    "Attention",
    "Choice",
    "ConcatScore",
    "CosineScore",
    "CrossAttention",
    "DotScore",
    "GeneralScore",
    "HardNormaliser",
    "LocalMonotonicNormaliser",
    "LocalPredictiveNormaliser",
    "LocationScore",
    "Memory",
    "MemoryRead",
    "MultiHeadAttention",
    "Normaliser",
    "PositionBias",
    "Recalled",
    "RelativePositionBias",
    "Rows",
    "ScaledDotScore",
    "ScaledGeneralScore",
    "Score",
    "SelfAttention",
    "SoftmaxNormaliser",
    "StructuredNormaliser",
]
