"""The encoder of the recurrent encoder-decoder, and what it can learn first by itself."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit.models.output import IGNORED, LossOutput, label_loss
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.nn.lstmn import LSTMN
from attnkit.text.tokenizers.vocabulary import BOS

CellState: TypeAlias = tuple[Tensor, ...]
"""A layer's state [B, H]: (h,), and (h, c) of LSTM."""

LAYERS: dict[str, Any] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Encoded(NamedTuple):
    """What the encoder made of B sources.

    states [S, memory_size], token by token; last: for each layer the state of the direction that read to an end last
    (at the first word where there are two); summary [B, memory_size]: the top layer's last state of each direction.
    """

    states: Tensor
    last: list[CellState]
    summary: Tensor

    def detach(self) -> Encoded:
        """The same outside the tape."""
        last = [tuple(part.detach() for part in state) for state in self.last]
        return Encoded(self.states.detach(), last, self.summary.detach())


def make_embedding(config: RecurrentConfig, vocabulary: int, weight: Tensor | None = None) -> nn.Embedding:
    """Vectors of numbers around 1, whose matrix has the small ones that an output needs that shares it."""
    width = config.embedding_size
    return nn.Embedding(vocabulary, width, width**0.5, dropout=config.dropout, weight=weight)


class RecurrentEncoder(nn.Module):
    """Embedding, and recurrent layers in one or both directions, or an LSTM network."""

    def __init__(self, config: RecurrentConfig, vocabulary: int) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.embedding = make_embedding(config, vocabulary)
        self.reverse = config.reverse_source
        size = config.encoder_size or config.hidden_size
        if config.encoder == "lstmn":
            self.layers = LSTMN(config.embedding_size, size)
        else:
            self.layers = LAYERS[config.cell](
                config.embedding_size, size, config.layers, dropout=config.dropout, bidirectional=config.bidirectional
            )

    def forward(self, ids: np.ndarray, offsets: np.ndarray) -> Encoded:
        """ids int32 [S], offsets int32 [B + 1]."""
        turned = self.order(offsets)
        if turned is None:
            return self.read(ids, offsets)
        encoded = self.read(ids[turned], offsets)
        return encoded._replace(states=ops.gather_rows(encoded.states, turned))

    def order(self, offsets: np.ndarray) -> np.ndarray | None:
        """Where each token is read, int32 [S]; None where it is read in its place."""
        return reversed_tokens(offsets) if self.reverse else None

    def read(self, ids: np.ndarray, offsets: np.ndarray) -> Encoded:
        """The same in the order of reading: not reversed."""
        output, state = self.layers(self.embedding(ids), offsets)
        parts = state if isinstance(state, tuple) else (state,)
        if isinstance(self.layers, LSTMN):
            return Encoded(self.dropout(output), [parts], parts[0])
        directions = self.layers.directions
        last = [tuple(part[i] for part in parts) for i in range(directions - 1, parts[0].shape[0], directions)]
        tops = [parts[0][i] for i in range(-directions, 0)]
        return Encoded(self.dropout(output), last, tops[0] if directions == 1 else ops.concatenate(tops, 1))


def reversed_tokens(offsets: np.ndarray) -> np.ndarray:
    """Each sentence from its last word to its first, its end token staying where it is; doing it twice undoes it."""
    lengths = np.diff(offsets)
    place = nn.packed_positions(offsets)
    words = np.repeat(lengths, lengths) - 1
    begins = np.repeat(offsets[:-1], lengths)
    return (begins + np.where(place < words, words - 1 - place, place)).astype(np.int32)


class LanguageModel(nn.Module):
    """Predicts each source token from the encoder's state at the one before it."""

    def __init__(self, config: RecurrentConfig, vocabulary: int) -> None:
        super().__init__()
        self.output = nn.Linear(config.memory_size, vocabulary)

    def loss(self, encoder: RecurrentEncoder, ids: np.ndarray, offsets: np.ndarray, smoothing: float) -> LossOutput:
        """The loss of a batch of sources."""
        ids = ids[reversed_tokens(offsets)] if encoder.reverse else ids
        labels = np.append(ids[1:], IGNORED).astype(np.int32)
        labels[offsets[1:] - 1] = IGNORED
        states = encoder.read(ids, offsets).states
        return label_loss(states, self.output.weight, self.output.bias, labels, smoothing)


class Autoencoder(nn.Module):
    """Writes the source again from the encoder's last state (Li et al., 2015), by a decoder of its own."""

    def __init__(self, config: RecurrentConfig, vocabulary: int) -> None:
        super().__init__()
        size = config.encoder_size or config.hidden_size
        self.layers = LAYERS["lstm" if config.encoder == "lstmn" else config.cell](
            config.embedding_size, size, config.layers, dropout=config.dropout
        )
        self.output = nn.Linear(size, vocabulary)

    def loss(self, encoder: RecurrentEncoder, ids: np.ndarray, offsets: np.ndarray, smoothing: float) -> LossOutput:
        """The loss of a batch of sources."""
        encoded = encoder(ids, offsets)
        inputs = np.concatenate([[BOS], ids[:-1]]).astype(np.int32)
        inputs[offsets[:-1]] = BOS
        states, _ = self.layers(encoder.embedding(inputs), offsets, stacked(encoded.last))
        return label_loss(states, self.output.weight, self.output.bias, ids, smoothing)


def stacked(states: list[CellState]) -> Tensor | tuple[Tensor, ...]:
    """The states of layers [B, H] as recurrent layers take them: [layers, B, H], a pair of these for LSTM."""
    parts = tuple(
        ops.concatenate([part.reshape(1, *part.shape) for part in kind]) for kind in zip(*states, strict=True)
    )
    return parts if len(parts) == 2 else parts[0]
