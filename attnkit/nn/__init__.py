"""Layers. Sentences are packed everywhere: values [T, width] and offsets int32 [B + 1], never padding."""

from attnkit.nn.attention import MultiHeadAttention
from attnkit.nn.convolution import Conv2d, PatchEmbedding
from attnkit.nn.dropout import Dropout
from attnkit.nn.embedding import Embedding
from attnkit.nn.feature_attention import FeatureAttention
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module, ModuleList
from attnkit.nn.normalisation import BatchNorm2d, LayerNorm
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
    "RNN",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "FeatureAttention",
    "FeedForward",
    "GRUCell",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "GridPositions",
    "LSTMCell",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
    "PatchEmbedding",
    "RNNCell",
    "RecurrentWeights",
    "SinusoidalPositions",
    "SqueezeExcitation",
    "StochasticDepth",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "packed_positions",
    "resampling",
    "sinusoids",
]
