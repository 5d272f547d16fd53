"""A captioner: any vision encoder, any text decoder, and between them the regions of the image."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit._tensor import no_grad, tensor
from attnkit.decoding.protocol import Ids, Projection, StepOutput
from attnkit.decoding.sources import Regions
from attnkit.models.caption_lstm import Decoded, LSTMCaptionDecoder
from attnkit.models.caption_transformer import TransformerCaptionDecoder
from attnkit.models.captioner_config import CaptionerConfig, LSTMDecoderConfig
from attnkit.models.cnn_config import CNNConfig
from attnkit.models.output import LossOutput, label_loss
from attnkit.models.reinforce import Attempt, Reinforce, make_reinforce
from attnkit.nn import init
from attnkit.nn.time_major import sorted_offsets, tokens_of
from attnkit.text.tokenizers.vocabulary import UNK


class Captioner(nn.Module):
    """Encoder, regions, decoder, output layer. Images are float32 [B, H, W, C], captions packed ids.

    The features of a region are projected to the decoder's width and normalised, and where the region lies in the image
    is added, as sinusoids of its row and column: a convolution sees the same thing everywhere. A model that was made
    elsewhere may read all tokens of its encoder as they are (`CaptionerConfig.memory`).
    """

    def __init__(self, config: CaptionerConfig, vocab_size: int) -> None:
        super().__init__()
        if max(config.bos_id, config.eos_id) >= vocab_size:
            raise ValueError(
                f"[captioner] expected bos_id and eos_id below the {vocab_size} entries of the vocabulary, got "
                f"{config.bos_id} and {config.eos_id}"
            )
        self.config = config
        self.bos_id, self.eos_id = config.bos_id, config.eos_id
        self.vocabulary_size = vocab_size
        self.frozen = False
        width = config.decoder.width
        self.encoder = _make_encoder(config)
        self.projection = None if config.memory == "tokens" else nn.Linear(self.encoder.width, width)
        self.norm = nn.LayerNorm(width) if config.memory == "regions" else None
        self.decoder: LSTMCaptionDecoder | TransformerCaptionDecoder
        shared, bias = None, True
        if isinstance(config.decoder, LSTMDecoderConfig):
            self.decoder = LSTMCaptionDecoder(config.decoder, vocab_size)
        else:
            memory_width = self.encoder.width if self.projection is None else None
            self.decoder = TransformerCaptionDecoder(config.decoder, vocab_size, memory_width)
            shared = self.decoder.embedding.weight if config.decoder.tie_embeddings else None
            bias = config.decoder.output_bias
        self.output = nn.Linear(width, vocab_size, bias, weight=shared)
        self.reinforce: Reinforce | None = None
        if isinstance(config.decoder, LSTMDecoderConfig) and config.decoder.attention == "hard":
            self.reinforce = make_reinforce(config.decoder, vocab_size)

    @property
    def attends(self) -> bool:
        """Whether words have attention to show."""
        return self.decoder.attends

    @property
    def gated(self) -> bool:
        """Whether words let in more or less of what they look at (`gates`)."""
        return isinstance(self.decoder, LSTMCaptionDecoder) and self.decoder.attends

    @property
    def max_target_length(self) -> int:
        """In tokens, bos included."""
        return self.config.decoder.max_length

    @property
    def stage(self) -> str:
        """What training does before it samples regions, for the log (see `attnkit.training.task.Task`)."""
        return "soft attention" if self.reinforce is not None and self.reinforce.is_soft() else ""

    def load_state_dict(self, state: Mapping[str, np.ndarray | Tensor], adopt: bool = False) -> None:
        super().load_state_dict(state if self.reinforce is None else self.reinforce.complete(state), adopt)

    def freeze_encoder(self) -> Captioner:
        """Leaves the encoder as it is: it takes no part in training, and its norms keep their statistics."""
        self.frozen = True
        return self.train(self.training)

    def train(self, mode: bool = True) -> Captioner:
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def encode(self, images: np.ndarray | Tensor) -> Regions:
        """What the decoder sees of images [B, H, W, C]."""
        with no_grad() if self.frozen else nullcontext():
            if self.config.memory == "regions":
                features, offsets, grid = self.encoder.encode(images)
            else:
                features, offsets, grid = self.encoder.encode_tokens(images)
        memory = features if self.projection is None else self.projection(features)
        if self.norm is not None:
            places = np.tile(_places(grid, self.config.decoder.width), (len(offsets) - 1, 1))
            memory = self.norm(memory) + tensor(places, device=self.device)
        return Regions(memory, offsets, grid)

    def decode(self, batch: Any) -> Decoded:
        """Images and captions of a batch (see attnkit.vision.CaptionBatch) → what the output layer reads."""
        regions = self.encode(batch.images)
        return self.decoder(regions.memory, regions.offsets, self._seen(batch.target_input_ids), batch.target_offsets)

    def _seen(self, ids: np.ndarray) -> np.ndarray:
        """The words before, some of them unknown in training."""
        share = self.config.decoder.word_dropout
        if not (self.training and share):
            return ids
        hidden = (init.generator().random(len(ids), dtype=np.float32) < share) & (ids != self.bos_id)
        return np.where(hidden, np.int32(UNK), ids)

    def forward(self, batch: Any) -> Tensor:
        """Logits [T, V] of a batch; for looking at, since training never needs them all at once."""
        return self.output(self.decode(batch).hidden)

    def loss(self, batch: Any, label_smoothing: float = 0.0) -> LossOutput:
        """The mean cross-entropy per token, with what the decoder adds to it."""
        if self.training and self.reinforce is not None:
            return self._reinforced(self.reinforce, batch, label_smoothing)
        decoded = self.decode(batch)
        output = self._label_loss(decoded, batch, label_smoothing)
        return output if decoded.penalty is None else output.plus(decoded.penalty, 1.0)

    def _label_loss(self, decoded: Decoded, batch: Any, label_smoothing: float) -> LossOutput:
        return label_loss(decoded.hidden, self.output.weight, self.output.bias, batch.target_labels, label_smoothing)

    def _reinforced(self, reinforce: Reinforce, batch: Any, label_smoothing: float) -> LossOutput:
        decoder = self.decoder
        assert isinstance(decoder, LSTMCaptionDecoder)  # the only one with hard attention
        regions, seen = self.encode(batch.images), self._seen(batch.target_input_ids)

        def attempt(soft: bool) -> Attempt:
            decoded = decoder(regions.memory, regions.offsets, seen, batch.target_offsets, expected=soft)
            with no_grad():
                losses = ops.cross_entropy(self.output(decoded.hidden), batch.target_labels, reduction="none").numpy()
            return Attempt(self._label_loss(decoded, batch, label_smoothing), -losses, decoded.choice)

        return reinforce(attempt, batch.target_offsets)

    # ----- Writing

    def gates(self, regions: Regions, images: np.ndarray, captions: Sequence[np.ndarray]) -> list[np.ndarray] | None:
        """How far each token of captions lets its attention in, β, float32 [N] for each of N tokens; None where the
        decoder has no such gate.

        images: int32, for each caption the image that it is of. captions: ids without start and end token.
        """
        if not self.gated:
            return None
        memory = ops.gather_rows(regions.memory, tokens_of(regions.offsets, images))
        inputs = [np.concatenate([[self.bos_id], tokens]).astype(np.int32) for tokens in captions]
        offsets = np.cumsum([0, *map(len, inputs)]).astype(np.int32)
        with no_grad():
            decoded = self.decoder(memory, sorted_offsets(regions.offsets, images), np.concatenate(inputs), offsets)
        assert decoded.gates is not None
        opened = decoded.gates.numpy()
        return [opened[begin : end - 1].copy() for begin, end in itertools.pairwise(offsets)]

    def start(self, source: Regions) -> Any:
        """A state of one row an image."""
        with no_grad():
            return self.decoder.start(source.memory, source.offsets)

    def step(self, state: Any, ids: Ids, attention: bool = False) -> StepOutput:
        """Feeds the last token of every row → the next token's projection, and attention [rows, regions]."""
        with no_grad():
            hidden, weights = self.decoder.step(state, ids, attention and self.attends)
        return StepOutput(attention=weights, projection=Projection(hidden, self.output.weight, self.output.bias))


def _make_encoder(config: CaptionerConfig) -> Any:
    if isinstance(config.encoder, CNNConfig):
        from attnkit.models.cnn import CNN

        return CNN(config.encoder, classes=0)
    from attnkit.models.vit import ViT

    return ViT(config.encoder, classes=0)


def _places(grid: tuple[int, int], width: int) -> np.ndarray:
    """Sinusoids of the row and of the column of each region, side by side: [rows · columns, width]."""
    rows, columns = grid
    down, across = nn.sinusoids(rows, width - width // 2), nn.sinusoids(columns, width // 2)
    return np.concatenate([np.repeat(down, columns, axis=0), np.tile(across, (rows, 1))], axis=1)
