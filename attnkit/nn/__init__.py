"""Layers. Sentences are packed everywhere: values [T, width] and offsets int32 [B + 1], never padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit._lazy import lazily
from attnkit.nn import attention

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
    from attnkit.nn.attention_pooling import (
        AttentionPooling,
        FirstPooling,
        JoinedPooling,
        LastPooling,
        MaxPooling,
        MeanPooling,
        PositionPooling,
        RootMeanPooling,
    )
    from attnkit.nn.convolution import Conv2d
    from attnkit.nn.dropout import Dropout
    from attnkit.nn.embedding import Embedding
    from attnkit.nn.feature_attention import FeatureAttention
    from attnkit.nn.gates import GRUGates, LSTMGates, SSRUGates
    from attnkit.nn.glimpse import GlimpseSensor
    from attnkit.nn.linear import Linear
    from attnkit.nn.lstmn import LSTMN
    from attnkit.nn.module import Module, ModuleList
    from attnkit.nn.normalisation import BatchNorm2d, LayerNorm, RMSNorm
    from attnkit.nn.patches import ConvolutionalStem, PatchEmbedding
    from attnkit.nn.pooling import AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d, MaxPool2d
    from attnkit.nn.positions import (
        GridPositions,
        LearnedPositions,
        SinusoidalPositions,
        packed_positions,
        resampling,
        sinusoids,
    )
    from attnkit.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RecurrentWeights, RNNCell
    from attnkit.nn.squeeze_excitation import SqueezeExcitation
    from attnkit.nn.ssru import SSRU
    from attnkit.nn.stochastic_depth import StochasticDepth
    from attnkit.nn.transformer import (
        FeedForward,
        TransformerDecoder,
        TransformerDecoderLayer,
        TransformerEncoder,
        TransformerEncoderLayer,
    )
    from attnkit.nn.watch import Seen, watching

__all__ = [
    "GRU",
    "LSTM",
    "LSTMN",
    "RNN",
    "SSRU",
    "ALiBi",
    "AdditiveScore",
    "Attended",
    "Attention",
    "AttentionPooling",
    "AvgPool2d",
    "BatchNorm2d",
    "Choice",
    "ConcatScore",
    "Conv2d",
    "ConvolutionalStem",
    "CosineScore",
    "CrossAttention",
    "DotScore",
    "Dropout",
    "Embedding",
    "FeatureAttention",
    "FeedForward",
    "FirstPooling",
    "GRUCell",
    "GRUGates",
    "GeneralScore",
    "GlimpseSensor",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "GridPositions",
    "HardNormaliser",
    "JoinedPooling",
    "LSTMCell",
    "LSTMGates",
    "LastPooling",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "LocalMonotonicNormaliser",
    "LocalPredictiveNormaliser",
    "LocationScore",
    "MaxPool2d",
    "MaxPooling",
    "MeanPooling",
    "Memory",
    "MemoryRead",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
    "Normaliser",
    "PatchEmbedding",
    "PositionBias",
    "PositionPooling",
    "RMSNorm",
    "RNNCell",
    "Recalled",
    "RecurrentWeights",
    "RelativePositionBias",
    "RootMeanPooling",
    "Rows",
    "SSRUGates",
    "ScaledDotScore",
    "ScaledGeneralScore",
    "Score",
    "Seen",
    "SelfAttention",
    "SinusoidalPositions",
    "SoftmaxNormaliser",
    "SqueezeExcitation",
    "StochasticDepth",
    "StructuredNormaliser",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "packed_positions",
    "resampling",
    "sinusoids",
    "watching",
]

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.nn.attention": tuple(attention.__all__),
            "attnkit.nn.attention_pooling": (
                "AttentionPooling",
                "FirstPooling",
                "JoinedPooling",
                "LastPooling",
                "MaxPooling",
                "MeanPooling",
                "PositionPooling",
                "RootMeanPooling",
            ),
            "attnkit.nn.convolution": ("Conv2d",),
            "attnkit.nn.dropout": ("Dropout",),
            "attnkit.nn.embedding": ("Embedding",),
            "attnkit.nn.feature_attention": ("FeatureAttention",),
            "attnkit.nn.gates": (
                "GRUGates",
                "LSTMGates",
                "SSRUGates",
            ),
            "attnkit.nn.glimpse": ("GlimpseSensor",),
            "attnkit.nn.linear": ("Linear",),
            "attnkit.nn.lstmn": ("LSTMN",),
            "attnkit.nn.module": (
                "Module",
                "ModuleList",
            ),
            "attnkit.nn.normalisation": (
                "BatchNorm2d",
                "LayerNorm",
                "RMSNorm",
            ),
            "attnkit.nn.patches": (
                "ConvolutionalStem",
                "PatchEmbedding",
            ),
            "attnkit.nn.pooling": (
                "AvgPool2d",
                "GlobalAvgPool2d",
                "GlobalMaxPool2d",
                "MaxPool2d",
            ),
            "attnkit.nn.positions": (
                "GridPositions",
                "LearnedPositions",
                "SinusoidalPositions",
                "packed_positions",
                "resampling",
                "sinusoids",
            ),
            "attnkit.nn.recurrent": (
                "GRU",
                "GRUCell",
                "LSTM",
                "LSTMCell",
                "RNN",
                "RNNCell",
                "RecurrentWeights",
            ),
            "attnkit.nn.squeeze_excitation": ("SqueezeExcitation",),
            "attnkit.nn.ssru": ("SSRU",),
            "attnkit.nn.stochastic_depth": ("StochasticDepth",),
            "attnkit.nn.transformer": (
                "FeedForward",
                "TransformerDecoder",
                "TransformerDecoderLayer",
                "TransformerEncoder",
                "TransformerEncoderLayer",
            ),
            "attnkit.nn.watch": (
                "Seen",
                "watching",
            ),
        },
        __all__,
    )
