"""A residual convolutional network (He et al., 2016): a classifier that shows where it looks, and an image encoder."""

from __future__ import annotations

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit._tensor import no_grad, tensor
from attnkit.models.classification import ClassificationLoss, classification_loss
from attnkit.models.cnn_config import CNNConfig
from attnkit.vision.targets import ImageBatch


class ResidualBlock(nn.Module):
    """relu(shortcut(x) + norm(conv(relu(norm(conv(x)))))), with gates and stochastic depth on demand."""

    def __init__(self, channels: int, width: int, stride: int, gates: bool, stochastic_depth: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width, activation="relu")
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        # Without anything in between, the norm adds the shortcut and applies the ReLU in the same pass.
        self.plain = not gates and not stochastic_depth
        self.norm2 = nn.BatchNorm2d(width, activation="relu" if self.plain else None)
        self.gate = nn.SqueezeExcitation(width) if gates else None
        self.depth = nn.StochasticDepth(stochastic_depth)
        changes = stride != 1 or channels != width
        self.shortcut = nn.Conv2d(channels, width, 1, stride, bias=False) if changes else None
        self.shortcut_norm = nn.BatchNorm2d(width) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.shortcut is None or self.shortcut_norm is None else self.shortcut_norm(self.shortcut(x))
        branch = self.conv2(self.norm1(self.conv1(x)))
        if self.plain:
            return self.norm2(branch, short)
        branch = self.norm2(branch)
        branch = branch if self.gate is None else self.gate(branch)
        images = np.arange(x.shape[0] + 1, dtype=np.int32)
        return self.depth(short, branch, images).relu()


class CNN(nn.Module):
    """Stages of residual blocks. Images are float32 [B, H, W, C] of any size.

    With `classes` = 0 it has no classifier and is an encoder alone.
    """

    def __init__(self, config: CNNConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.stem = _stem(config)
        self.stages = nn.ModuleList(_stages(config))
        self.dropout = nn.Dropout(config.dropout)
        self.attentions = self.head = None
        if not classes:
            return
        width, features = self.width, self.width
        if config.attention != "none":
            attended = config.widths[-2:]
            self.attentions = nn.ModuleList([nn.FeatureAttention(w, width, config.attention) for w in attended])
            features = width * len(attended)
        self.head = nn.Linear(features, classes)

    @property
    def width(self) -> int:
        """Of the features that `encode` gives."""
        return self.config.widths[-1]

    @property
    def attends(self) -> bool:
        """Whether `attention` has something to show."""
        return self.attentions is not None

    def encode(self, images: np.ndarray | Tensor) -> tuple[Tensor, np.ndarray, tuple[int, int]]:
        """→ features of the last stage [B · rows · columns, width], packed; offsets int32 [B + 1]; (rows, columns)."""
        last = self._maps(images)[-1]
        batch, rows, columns, width = last.shape
        return last.reshape(-1, width), np.arange(batch + 1, dtype=np.int32) * (rows * columns), (rows, columns)

    def forward(self, images: np.ndarray | Tensor) -> Tensor:
        """Logits [B, classes]."""
        return self._classify(images)[0]

    def loss(self, batch: ImageBatch, label_smoothing: float = 0.0) -> ClassificationLoss:
        """The loss of a batch (see attnkit.models.ImageBatch)."""
        return classification_loss(self(batch.images), batch, label_smoothing)

    def predict(self, images: np.ndarray | Tensor) -> Tensor:
        """Log-probabilities [B, classes]."""
        with no_grad():
            log_probs: Tensor = ops.log_softmax(self(images))
        return log_probs

    def attention_weights(self, images: np.ndarray | Tensor) -> list[np.ndarray]:
        """The attention to each attended stage, [B, rows, columns] of that stage; each image's sum is 1."""
        if self.attentions is None:
            raise ValueError('[cnn] expected attention = "dot" or "parametrised", and classes, to show attention')
        with no_grad():
            return [weights.numpy() for weights in self._classify(images)[1]]

    def attention(self, images: np.ndarray | Tensor) -> np.ndarray:
        """Where the classifier looks: the mean of all its attention, on the finest grid, [B, rows, columns]."""
        maps = self.attention_weights(images)
        finest = maps[0].shape[1:]
        total = np.zeros(maps[0].shape, dtype=np.float32)
        for weights in maps:
            down, across = (nn.resampling(a, b, "bilinear") for a, b in zip(weights.shape[1:], finest, strict=True))
            total += down @ weights @ across.T
        shares: np.ndarray = total / total.sum(axis=(1, 2), keepdims=True)
        return shares

    def _maps(self, images: np.ndarray | Tensor) -> list[Tensor]:
        """The feature maps behind each stage."""
        shape, channels = images.shape, self.config.channels
        if len(shape) != 4 or shape[3] != channels:
            raise ValueError(f"[cnn] expected images of shape [B, H, W, {channels}], got {list(shape)}")
        x = images if isinstance(images, Tensor) else tensor(images, device=self.device)
        for layer in self.stem:
            x = layer(x)
        maps = []
        for stage in self.stages:
            for block in stage:
                x = block(x)
            maps.append(x)
        return maps

    def _classify(self, images: np.ndarray | Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits, and the weights of each attention."""
        if self.head is None:
            raise ValueError("[cnn] expected a model with classes to classify, got an encoder")
        maps = self._maps(images)
        features = nn.GlobalAvgPool2d()(maps[-1])
        weights = []
        if self.attentions is not None:
            attended = maps[-len(self.attentions) :]
            pooled = [pool(local, features) for pool, local in zip(self.attentions, attended, strict=True)]
            features = ops.concatenate([vectors for vectors, _ in pooled], axis=1)
            weights = [of_stage for _, of_stage in pooled]
        return self.head(self.dropout(features)), weights


def _stem(config: CNNConfig) -> nn.ModuleList[nn.Module]:
    width = config.widths[0]
    norm = nn.BatchNorm2d(width, activation="relu")
    if config.stem == "small":
        return nn.ModuleList([nn.Conv2d(config.channels, width, 3, padding=1, bias=False), norm])
    if config.stem == "patch":
        return nn.ModuleList([nn.Conv2d(config.channels, width, 4, 4, bias=False), norm])
    first = nn.Conv2d(config.channels, width, 7, 2, padding=3, bias=False)
    return nn.ModuleList([first, norm, nn.MaxPool2d(3, 2, padding=1)])


def _stages(config: CNNConfig) -> list[nn.ModuleList[ResidualBlock]]:
    stages = []
    channels, blocks = config.widths[0], len(config.widths) * config.blocks
    for stage, width in enumerate(config.widths):
        layers = []
        for block in range(config.blocks):
            stride = 2 if stage and not block else 1
            rate = config.stochastic_depth * (stage * config.blocks + block) / max(1, blocks - 1)
            layers.append(ResidualBlock(channels, width, stride, config.squeeze_excitation, rate))
            channels = width
        stages.append(nn.ModuleList(layers))
    return stages
