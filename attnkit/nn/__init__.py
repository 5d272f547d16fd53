"""Layers. Sentences are packed everywhere: values [T, width] and offsets int32 [B + 1], never padding."""

from attnkit.nn import attention
from attnkit.nn.attention import *  # noqa: F403  (the parts of attention, by one list)
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
from attnkit.nn.watching import Seen, watching

__all__ = [
    "GRU",
    "LSTM",
    "LSTMN",
    "RNN",
    "SSRU",
    "AttentionPooling",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "ConvolutionalStem",
    "Dropout",
    "Embedding",
    "FeatureAttention",
    "FeedForward",
    "FirstPooling",
    "GRUCell",
    "GRUGates",
    "GlimpseSensor",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "GridPositions",
    "JoinedPooling",
    "LSTMCell",
    "LSTMGates",
    "LastPooling",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "MaxPool2d",
    "MaxPooling",
    "MeanPooling",
    "Module",
    "ModuleList",
    "PatchEmbedding",
    "PositionPooling",
    "RMSNorm",
    "RNNCell",
    "RecurrentWeights",
    "RootMeanPooling",
    "SSRUGates",
    "Seen",
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
    "watching",
]
__all__ += attention.__all__
