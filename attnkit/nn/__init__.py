"""Layers. Sentences are packed everywhere: values [T, width] and offsets int32 [B + 1], never padding."""

from attnkit.nn.attention import MultiHeadAttention
from attnkit.nn.attention_pooling import AttentionPooling, FirstPooling, MeanPooling
from attnkit.nn.dropout import Dropout
from attnkit.nn.embedding import Embedding
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module, ModuleList
from attnkit.nn.normalisation import LayerNorm
from attnkit.nn.positions import LearnedPositions, SinusoidalPositions, packed_positions, sinusoids
from attnkit.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RecurrentWeights, RNNCell
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
    "AttentionPooling",
    "Dropout",
    "Embedding",
    "FeedForward",
    "FirstPooling",
    "GRUCell",
    "LSTMCell",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "MeanPooling",
    "Module",
    "ModuleList",
    "MultiHeadAttention",
    "RNNCell",
    "RecurrentWeights",
    "SinusoidalPositions",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "packed_positions",
    "sinusoids",
]
