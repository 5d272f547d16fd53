"""Layers. Sentences are packed everywhere: values [T, width] and offsets int32 [B + 1], never padding."""

from attnkit.nn.attention import (
    AdditiveScore,
    Attended,
    Attention,
    Choice,
    ConcatScore,
    CosineScore,
    CrossAttention,
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
    ScaledGeneralScore,
    Score,
    SelfAttention,
    SoftmaxNormaliser,
    StructuredNormaliser,
)
from attnkit.nn.attention_pooling import AttentionPooling, FirstPooling, MeanPooling
from attnkit.nn.convolution import Conv2d
from attnkit.nn.dropout import Dropout
from attnkit.nn.embedding import Embedding
from attnkit.nn.feature_attention import FeatureAttention
from attnkit.nn.linear import Linear
from attnkit.nn.lstmn import LSTMN
from attnkit.nn.module import Module, ModuleList
from attnkit.nn.normalisation import BatchNorm2d, LayerNorm
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
from attnkit.nn.stochastic_depth import StochasticDepth
from attnkit.nn.transformer import (
    FeedForward,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "GRU",
    "LSTM",
    "LSTMN",
    "RNN",
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
    "GeneralScore",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "GridPositions",
    "HardNormaliser",
    "LSTMCell",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "LocalMonotonicNormaliser",
    "LocalPredictiveNormaliser",
    "LocationScore",
    "MaxPool2d",
    "MeanPooling",
    "Memory",
    "MemoryRead",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
    "Normaliser",
    "PatchEmbedding",
    "RNNCell",
    "RecurrentWeights",
    "Rows",
    "ScaledDotScore",
    "ScaledGeneralScore",
    "Score",
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
]
