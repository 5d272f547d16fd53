"""Attention: score × normalisation × values, in parts that compose, and multi-head attention with all three fused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit._lazy import lazily

if TYPE_CHECKING:
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

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.nn.attention.attention": (
                "Attended",
                "Attention",
                "Memory",
            ),
            "attnkit.nn.attention.hard": (
                "Choice",
                "HardNormaliser",
            ),
            "attnkit.nn.attention.local": (
                "LocalMonotonicNormaliser",
                "LocalPredictiveNormaliser",
            ),
            "attnkit.nn.attention.memory_read": (
                "MemoryRead",
                "Recalled",
            ),
            "attnkit.nn.attention.multi_head": (
                "CrossAttention",
                "MultiHeadAttention",
                "SelfAttention",
            ),
            "attnkit.nn.attention.normalisers": (
                "Normaliser",
                "Rows",
                "SoftmaxNormaliser",
            ),
            "attnkit.nn.attention.position_bias": (
                "ALiBi",
                "PositionBias",
                "RelativePositionBias",
            ),
            "attnkit.nn.attention.scores": (
                "AdditiveScore",
                "ConcatScore",
                "CosineScore",
                "DotScore",
                "GeneralScore",
                "LocationScore",
                "ScaledDotScore",
                "ScaledGeneralScore",
                "Score",
            ),
            "attnkit.nn.attention.structured": ("StructuredNormaliser",),
        },
    )
