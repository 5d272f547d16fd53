"""CLIP (Radford et al., 2021) and SigLIP (Zhai et al., 2023): texts and images as vectors of one space."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit._tensor import no_grad, tensor
from attnkit.models.clip_config import CLIPConfig
from attnkit.models.sentence_encoder import SentenceEncoder
from attnkit.models.vit import Grid, ViT
from attnkit.nn import init

Floats = npt.NDArray[np.float32]


class CLIP(nn.Module):
    """An encoder of texts and one of images, whose vectors are compared by their cosine.

    Texts are packed, ids int32 [T], offsets int32 [B + 1]; images are float32 [B, H, W, C].
    """

    def __init__(self, config: CLIPConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.text = SentenceEncoder(config.text, vocab_size)
        self.image = ViT(config.image, config.width if config.image_head else 0)
        self.log_scale = init.constant((1,), math.log(1 / 0.07))
        """Of what cosines are multiplied by."""
        self.bias = init.constant((1,), 0.0) if config.probability == "sigmoid" else None
        """What is then added to them."""

    def forward(self, images: np.ndarray | Tensor, ids: np.ndarray, offsets: np.ndarray) -> Floats:
        """Scaled cosines [images, texts]."""
        with no_grad():
            texts = unit(self.text(ids, offsets).numpy())
        return self.labelled(texts).logits(images)

    def labelled(self, vectors: Floats) -> LabelledImages:
        """What classifies images by the vectors of labels, [classes, width] of length 1."""
        scale = np.exp(self.log_scale.numpy()[0])
        bias = None if self.bias is None else float(self.bias.numpy()[0])
        return LabelledImages(self.image, vectors * scale, bias)


class LabelledImages(nn.Module):
    """The image encoder of CLIP as a classifier whose classes are texts: zero-shot (Radford et al., 2021, section
    3.1)."""

    def __init__(self, image: ViT, classes: Floats, bias: float | None = None) -> None:
        """classes: the vectors of the labels times the scale, [classes, width]. bias: what is added to the cosines
        where each label has a probability of its own, by a sigmoid; None where they share one, by a softmax."""
        super().__init__()
        self.image = image
        self._classes = classes
        self._bias = bias

    @property
    def attends(self) -> bool:
        """Whether `attention` has something to show: always."""
        return self.image.attends

    def logits(self, images: np.ndarray | Tensor) -> Floats:
        """Scaled cosines [B, classes], with the bias."""
        with no_grad():
            vectors = unit(self.image.vectors(images).numpy())
        logits: Floats = vectors @ self._classes.T
        return logits if self._bias is None else logits + np.float32(self._bias)

    def forward(self, images: np.ndarray | Tensor) -> Tensor:
        """Logits [B, classes], of which nothing can be learnt."""
        return tensor(self.logits(images))

    def predict(self, images: np.ndarray | Tensor) -> Tensor:
        """Log-probabilities [B, classes]."""
        if self._bias is not None:
            return tensor(-np.logaddexp(np.float32(0), -self.logits(images)))
        log_probs: Tensor = ops.log_softmax(self(images))
        return log_probs

    def attention(self, images: np.ndarray | Tensor) -> np.ndarray:
        """Where the vectors of images come from, [B, rows, columns]; see `ViT.attention`."""
        return self.image.attention(images)

    @property
    def token_names(self) -> list[str]:
        """What stands in front of the patches; see `ViT.token_names`."""
        return self.image.token_names

    def grid(self, shape: tuple[int, ...]) -> Grid:
        """(rows, columns) of the patches of images of this shape."""
        return self.image.grid(shape)


def unit(vectors: Floats) -> Floats:
    """Vectors [B, width] at length 1; those of zeros as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = vectors / np.maximum(lengths, np.float32(1e-12))
    return scaled
