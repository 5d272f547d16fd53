"""PyTorch's models for `attnkit bench train`, built from its own layers in the form that runs fastest there.

Sequences are padded with 0 and masked; images are channels-last. Each maker gives the model, its inputs
and the labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from attnkit.benchmark.train_batches import Arrays, rows
from attnkit.benchmark.train_models import TrainedModel

PADDING = 0

Made = tuple[nn.Module, tuple[Tensor, ...], Tensor]


class Translator(nn.Module):
    """nn.Transformer with one embedding for source, target and output."""

    def __init__(self, config: Any, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.d_model, padding_idx=PADDING)
        self.transformer = nn.Transformer(
            config.d_model,
            config.heads,
            config.encoder_layers,
            config.decoder_layers,
            config.ffn,
            config.dropout,
            batch_first=True,
        )
        self.scale = config.d_model**0.5

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        padded = source == PADDING
        states = self.transformer(
            self.embedding(source) * self.scale,
            self.embedding(target) * self.scale,
            tgt_mask=nn.Transformer.generate_square_subsequent_mask(target.shape[1]),
            src_key_padding_mask=padded,
            memory_key_padding_mask=padded,
            tgt_is_causal=True,
        )
        return F.linear(states, self.embedding.weight)


class AdditiveAttention(nn.Module):
    """softmax(v · tanh(W q + k)) over the values; keys are projected once, by `key`."""

    def __init__(self, query: int, values: int, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(values, width)
        self.query = nn.Linear(query, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, padded: Tensor | None = None) -> Tensor:
        scores = self.score(torch.tanh(self.query(query).unsqueeze(1) + keys)).squeeze(-1)
        if padded is not None:
            scores = scores.masked_fill(padded, -1e9)
        return torch.bmm(torch.softmax(scores, -1).unsqueeze(1), values).squeeze(1)


class Bahdanau(nn.Module):
    """A bidirectional GRU, additive attention, a GRU cell, and a readout of state, context and word."""

    def __init__(self, config: Any, vocabulary: int) -> None:
        super().__init__()
        embedded, hidden = config.embedding_size, config.hidden_size
        self.source, self.target = nn.Embedding(vocabulary, embedded), nn.Embedding(vocabulary, embedded)
        self.encoder = nn.GRU(embedded, hidden, bidirectional=True, batch_first=True)
        self.bridge = nn.Linear(hidden, hidden)
        self.attention = AdditiveAttention(hidden, 2 * hidden, hidden)
        self.cell = nn.GRUCell(embedded + 2 * hidden, hidden)
        self.readout = nn.Linear(hidden + 2 * hidden + embedded, embedded)
        self.output = nn.Linear(embedded, vocabulary)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        padded, words = source == PADDING, self.target(target)
        memory, last = self.encoder(self.source(source))
        state, keys = torch.tanh(self.bridge(last[1])), self.attention.key(memory)
        read = []
        for step in range(target.shape[1]):
            context = self.attention(state, keys, memory, padded)
            state = self.cell(torch.cat([words[:, step], context], -1), state)
            read.append(torch.cat([state, context, words[:, step]], -1))
        logits: Tensor = self.output(torch.tanh(self.readout(torch.stack(read, 1))))
        return logits


class VisionTransformer(nn.Module):
    """Patches, a class token, learned positions, and PyTorch's encoder layers with the norm first."""

    def __init__(self, config: Any, classes: int) -> None:
        super().__init__()
        d_model, layers, heads, ffn = config.sizes
        self.patches = nn.Conv2d(config.channels, d_model, config.patch_size, config.patch_size)
        self.token = nn.Parameter(torch.zeros(1, 1, d_model))
        self.positions = nn.Parameter(torch.zeros(1, (config.image_size // config.patch_size) ** 2 + 1, d_model))
        layer = nn.TransformerEncoderLayer(
            d_model, heads, ffn, config.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, nn.LayerNorm(d_model), enable_nested_tensor=False)
        self.head = nn.Linear(d_model, classes)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(patches), -1, -1), patches], 1) + self.positions
        logits: Tensor = self.head(self.encoder(x)[:, 0])
        return logits


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        branch = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(branch + self.shortcut(x))


class ShowAttendTell(nn.Module):
    """A residual network on patches of 4 x 4, its regions, and an LSTM cell with gated additive attention."""

    def __init__(self, config: Any, vocabulary: int) -> None:
        super().__init__()
        widths, width, hidden = config.encoder.widths, config.decoder.width, config.decoder.hidden
        stem = [nn.Conv2d(3, widths[0], 4, 4, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
        blocks, channels = [], widths[0]
        for stage, each in enumerate(widths):
            for block in range(config.encoder.blocks):
                blocks.append(ResidualBlock(channels, each, 2 if stage and not block else 1))
                channels = each
        self.encoder = nn.Sequential(*stem, *blocks)
        self.regions = nn.Sequential(nn.Linear(channels, width), nn.LayerNorm(width))
        self.words = nn.Embedding(vocabulary, width)
        self.first = nn.Linear(width, 2 * hidden)
        self.attention = AdditiveAttention(hidden, width, hidden)
        self.gate = nn.Linear(hidden, 1)
        self.cell = nn.LSTMCell(2 * width, hidden)
        self.read_state, self.read_context = nn.Linear(hidden, width), nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, vocabulary)

    def forward(self, images: Tensor, captions: Tensor) -> Tensor:
        memory = self.regions(self.encoder(images).flatten(2).transpose(1, 2))
        state, cell = torch.tanh(self.first(memory.mean(1))).chunk(2, -1)
        keys, words = self.attention.key(memory), self.words(captions)
        states, contexts = [], []
        for step in range(captions.shape[1]):
            context = self.attention(state, keys, memory) * torch.sigmoid(self.gate(state))
            state, cell = self.cell(torch.cat([words[:, step], context], -1), (state, cell))
            states.append(state)
            contexts.append(context)
        read = words + self.read_state(torch.stack(states, 1)) + self.read_context(torch.stack(contexts, 1))
        logits: Tensor = self.output(read)
        return logits


class AttentiveGRU(nn.Module):
    """A bidirectional GRU over padded sequences, summed by attention: softmax(u · tanh(W h))."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, hidden, bidirectional=True, batch_first=True)
        self.project, self.score = nn.Linear(2 * hidden, 2 * hidden), nn.Linear(2 * hidden, 1, bias=False)

    def forward(self, x: Tensor, padded: Tensor) -> Tensor:
        states = self.gru(x)[0]
        scores = self.score(torch.tanh(self.project(states))).squeeze(-1).masked_fill(padded, -1e9)
        return torch.bmm(torch.softmax(scores, -1).unsqueeze(1), states).squeeze(1)


class Han(nn.Module):
    """Words make sentences, sentences make the document. `places` puts sentences into their documents."""

    def __init__(self, config: Any, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, config.embedding, padding_idx=PADDING)
        self.words = AttentiveGRU(config.embedding, config.word_hidden)
        self.sentences = AttentiveGRU(2 * config.word_hidden, config.sentence_hidden)
        self.output = nn.Linear(2 * config.sentence_hidden, classes)

    def forward(self, words: Tensor, places: Tensor) -> Tensor:
        sentences = self.words(self.embedding(words), words == PADDING)
        documents = F.pad(sentences, (0, 0, 1, 0))[places]
        logits: Tensor = self.output(self.sentences(documents, places == 0))
        return logits


def _padded(arrays: Arrays, name: str) -> Tensor:
    sequences = [torch.tensor(row, dtype=torch.long) for row in rows(arrays, name)]
    return pad_sequence(sequences, batch_first=True, padding_value=PADDING)


def _images(arrays: Arrays) -> Tensor:
    return torch.tensor(arrays["images"]).permute(0, 3, 1, 2)  # [B, C, H, W] in the memory order of [B, H, W, C]


def _labels(arrays: Arrays) -> Tensor:
    return torch.tensor(arrays["labels"], dtype=torch.long)


def _translation(model: Callable[[Any, int], nn.Module], trained: TrainedModel, arrays: Arrays) -> Made:
    source, target = _padded(arrays, "source"), _padded(arrays, "target")
    return model(trained.config, trained.sizes[0]), (source, target[:, :-1]), target[:, 1:]


def _classification(trained: TrainedModel, arrays: Arrays) -> Made:
    return VisionTransformer(trained.config, trained.sizes[0]), (_images(arrays),), _labels(arrays)


def _captioning(trained: TrainedModel, arrays: Arrays) -> Made:
    target = _padded(arrays, "target")
    model = ShowAttendTell(trained.config, trained.sizes[0]).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model, (_images(arrays), target[:, :-1]), target[:, 1:]


def _documents(trained: TrainedModel, arrays: Arrays) -> Made:
    counts = arrays["sentence_lengths"]
    numbers = torch.arange(1, int(counts.sum()) + 1).split(counts.tolist())  # type: ignore[no-untyped-call]
    places = pad_sequence(list(numbers), batch_first=True)
    return Han(trained.config, *trained.sizes), (_padded(arrays, "word"), places), _labels(arrays)


MAKERS: dict[str, Callable[[TrainedModel, Arrays], Made]] = {
    "transformer-tiny": lambda trained, arrays: _translation(Translator, trained, arrays),
    "transformer-base": lambda trained, arrays: _translation(Translator, trained, arrays),
    "bahdanau-gru": lambda trained, arrays: _translation(Bahdanau, trained, arrays),
    "vit-tiny": _classification,
    "show-attend-tell": _captioning,
    "han": _documents,
}
