"""The Vision Transformer (Dosovitskiy et al., 2021): a classifier, and an encoder of images for those who write."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit._tensor import index_array, no_grad, tensor
from attnkit.models.classification import ClassificationLoss, classification_loss
from attnkit.models.vit_config import ViTConfig
from attnkit.nn import init
from attnkit.nn.attention.rollout import attention_rollout
from attnkit.nn.normalisation import Norm, make_norm
from attnkit.nn.probe_pooling import ProbePooling
from attnkit.vision.targets import ImageBatch

Grid = tuple[int, int]


class ViT(nn.Module):
    """Patches as tokens of a Transformer encoder. Images are float32 [B, H, W, C], H and W whole patches.

    With `classes` = 0 it has no classifier and is an encoder alone. The vectors of the class token, of the distillation
    token (Touvron et al., 2021) and of registers (Darcet et al., 2024) include their positions.
    """

    def __init__(self, config: ViTConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        d_model, layers, heads, ffn = config.sizes
        side = config.image_size // config.patch_size
        self.patches = _stem(config, d_model)
        self.positions = nn.GridPositions(d_model, side, side, config.interpolation)
        self.class_token = init.normal((1, d_model), 0.02) if config.pooling in ("token", "mean-beside-token") else None
        self.distillation_token = init.normal((1, d_model), 0.02) if config.distillation != "none" else None
        self.register_tokens = init.normal((config.registers, d_model), 0.02) if config.registers else None
        self.first_norm = make_norm(config.norm_kind, d_model, config.norm_eps) if config.first_norm else None
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.TransformerEncoder(
            layers, d_model, heads, ffn, dropout=config.dropout, norm="pre", activation=config.activation,
            attention_dropout=config.attention_dropout, stochastic_depth=config.stochastic_depth,
            norm_kind=config.norm_kind, norm_eps=config.norm_eps, gated=config.gated,
        )  # fmt: skip
        self.pooled_norm: Norm | None = None
        if config.last_norm == "pooled":
            self.pooled_norm, self.encoder.last_norm = self.encoder.last_norm, None
        self.probe_pooling: ProbePooling | None = None
        if config.pooling == "probe":
            kinds = (config.activation, config.norm_kind, config.norm_eps)
            self.probe_pooling = ProbePooling(d_model, heads, ffn, *kinds)
        self.head = nn.Linear(d_model, classes) if classes else None
        distilled = classes and config.distillation == "head"
        self.distillation_head = nn.Linear(d_model, classes) if distilled else None

    @property
    def width(self) -> int:
        """Of the features that `encode` gives."""
        return self.config.sizes[0]

    @property
    def token_names(self) -> list[str]:
        """What stands in front of the patches, a name for each token."""
        names = [("class", self.class_token), ("distillation", self.distillation_token)]
        registers = [f"register {number + 1}" for number in range(self.config.registers)]
        return [*(name for name, token in names if token is not None), *registers]

    @property
    def attends(self) -> bool:
        """Whether `attention` has something to show: always."""
        return True

    def encode(self, images: np.ndarray | Tensor) -> tuple[Tensor, np.ndarray, Grid]:
        """→ features of the patches [B · rows · columns, width], packed; offsets int32 [B + 1]; (rows, columns)."""
        states, grid, _ = self._states(images)
        batch, tokens, width = states.shape
        regions = grid[0] * grid[1]
        if tokens > regions:
            states = states[:, tokens - regions :]
        return states.reshape(-1, width), np.arange(batch + 1, dtype=np.int32) * regions, grid

    def encode_tokens(self, images: np.ndarray | Tensor) -> tuple[Tensor, np.ndarray, Grid]:
        """`encode` with the tokens that stand before the patches of each image."""
        states, grid, _ = self._states(images)
        batch, tokens, width = states.shape
        return states.reshape(-1, width), np.arange(batch + 1, dtype=np.int32) * tokens, grid

    def forward(self, images: np.ndarray | Tensor) -> Tensor:
        """Logits [B, classes]."""
        return self._classify(self._states(images)[0])

    def vectors(self, images: np.ndarray | Tensor) -> Tensor:
        """One vector an image: what a classifier reads, or its logits where there is one. [B, width or classes]."""
        states = self._states(images)[0]
        return self._pooled(states) if self.head is None else self._classify(states)

    def loss(self, batch: ImageBatch, label_smoothing: float = 0.0) -> ClassificationLoss:
        """The loss of a batch (see attnkit.models.ImageBatch)."""
        return classification_loss(self(batch.images), batch, label_smoothing)

    def predict(self, images: np.ndarray | Tensor) -> Tensor:
        """Log-probabilities [B, classes]."""
        with no_grad():
            log_probs: Tensor = ops.log_softmax(self(images))
        return log_probs

    def attention_weights(self, images: np.ndarray | Tensor) -> list[np.ndarray]:
        """The attention of every layer, [B, heads, N, N]; N are the tokens of `token_names` and
        the patches."""
        with no_grad():
            states, _, weights = self._states(images, return_weights=True)
        return self._square(states, weights)

    @staticmethod
    def _square(states: Tensor, weights: list[Tensor]) -> list[np.ndarray]:
        batch, tokens, _ = states.shape
        return [of_layer.numpy().reshape(batch, -1, tokens, tokens) for of_layer in weights]

    def attention(self, images: np.ndarray | Tensor) -> np.ndarray:
        """Where the classified vector comes from, by attention rollout: [B, rows, columns], each image's sum is 1."""
        with no_grad():
            states, grid, weights = self._states(images, return_weights=True)
        rollout = attention_rollout(self._square(states, weights))
        if self.probe_pooling is not None:
            with no_grad():
                seen = self.probe_pooling.weights(*_packed(states)).numpy()
            seen = seen.reshape(len(rollout), -1, 1, rollout.shape[2]).mean(axis=1)
            of_probe: np.ndarray = (seen @ rollout).reshape(len(rollout), *grid)
            return of_probe
        first = len(self.token_names)
        if self.config.pooling == "token":
            rows = slice(0, 1 if self.distillation_head is None else 2)
        else:
            rows = slice(first, None)
        maps: np.ndarray = rollout[:, rows, first:].mean(axis=1)
        maps = maps / maps.sum(axis=1, keepdims=True)
        return maps.reshape(len(maps), *grid)

    def fit_state(self, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A state_dict of the same model for another (square) image size, its positions resampled for this one."""
        fitted = dict(state)
        name = "positions.weight"
        side = isqrt(len(fitted[name]))
        if side * side != len(fitted[name]):
            raise ValueError(f"[vit] expected positions of a square grid, got {len(fitted[name])} of them")
        fitted[name] = self.positions.fit(fitted[name], side, side)
        return fitted

    def grid(self, shape: tuple[int, ...]) -> Grid:
        """(rows, columns) of the patches of images [B, H, W, C]. Raises ValueError for images that it does not read."""
        size = self.config.patch_size
        if len(shape) != 4 or shape[3] != self.config.channels:
            raise ValueError(f"[vit] expected images of shape [B, H, W, {self.config.channels}], got {list(shape)}")
        if shape[1] < size or shape[2] < size or shape[1] % size or shape[2] % size:
            raise ValueError(f"[vit] expected images of whole patches of {size} x {size}, got {shape[1]} x {shape[2]}")
        return shape[1] // size, shape[2] // size

    def _states(self, images: np.ndarray | Tensor, return_weights: bool = False) -> tuple[Tensor, Grid, list[Tensor]]:
        """All tokens behind the encoder, [B, N, width], and where wanted the flat weights of every layer."""
        images = images if isinstance(images, Tensor) else tensor(images, device=self.device)
        grid, batch = self.grid(images.shape), images.shape[0]
        embedded = self.patches(images).reshape(batch, grid[0] * grid[1], self.width) + self.positions.table(*grid)
        if tokens := self._tokens():
            embedded = ops.concatenate([*(self._repeated(token, batch) for token in tokens), embedded], axis=1)
        count = embedded.shape[1]
        offsets = index_array(np.arange(batch + 1, dtype=np.int32) * count)
        x = embedded.reshape(batch * count, self.width)
        x = self.dropout(x if self.first_norm is None else self.first_norm(x))
        result = self.encoder(x, offsets, return_weights=return_weights)
        x, weights = result if isinstance(result, tuple) else (result, [])
        return x.reshape(batch, count, self.width), grid, weights

    def _tokens(self) -> list[Tensor]:
        """Those in front of the patches, each [1, width], and registers together."""
        every = (self.class_token, self.distillation_token, self.register_tokens)
        return [token for token in every if token is not None]

    def _repeated(self, tokens: Tensor, batch: int) -> Tensor:
        """[n, width] for each image: [B, n, width]."""
        each = np.tile(np.arange(tokens.shape[0], dtype=np.int32), batch)
        repeated: Tensor = ops.gather_rows(tokens, each)
        return repeated.reshape(batch, tokens.shape[0], self.width)

    def _classify(self, states: Tensor) -> Tensor:
        if self.head is None:
            raise ValueError("[vit] expected a model with classes to classify, got an encoder")
        logits: Tensor = self.head(self._pooled(states))
        if self.distillation_head is None:
            return logits
        return (logits + self.distillation_head(states[:, 1])) * 0.5

    def _pooled(self, states: Tensor) -> Tensor:
        if self.probe_pooling is not None:
            return self.probe_pooling(*_packed(states))
        if self.config.pooling == "token":
            return states[:, 0]
        first = len(self.token_names)
        pooled: Tensor = states[:, first:].mean(axis=1) if first else states.mean(axis=1)
        return pooled if self.pooled_norm is None else self.pooled_norm(pooled)


def _packed(states: Tensor) -> tuple[Tensor, np.ndarray]:
    """[B, N, width] → [B · N, width] with its offsets."""
    batch, tokens, width = states.shape
    return states.reshape(batch * tokens, width), index_array(np.arange(batch + 1, dtype=np.int32) * tokens)


def _stem(config: ViTConfig, d_model: int) -> nn.PatchEmbedding | nn.ConvolutionalStem:
    if config.stem == "patch":
        return nn.PatchEmbedding(config.patch_size, d_model, config.channels)
    pooling = config.stem == "convolution-pooling"
    return nn.ConvolutionalStem(config.patch_size, d_model, config.channels, pooling)
