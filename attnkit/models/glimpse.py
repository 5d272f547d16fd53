"""A classifier that looks at crops of an image, one after the other, and learns where (Mnih et al., 2014)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit._tensor import no_grad, tensor
from attnkit.models.classification import ClassificationLoss, classification_loss, image_losses
from attnkit.models.gaussian_policy import GaussianPolicy, Step, reinforce
from attnkit.models.glimpse_config import GlimpseConfig
from attnkit.nn import init
from attnkit.vision.targets import ImageBatch

Floats = npt.NDArray[np.float32]


class Look(NamedTuple):
    """What a model did with B images in T glimpses. places [B, T, 2]: (row, column) from -1 to 1. log_probs
    [B, T, classes]: what it would have answered after each glimpse; it is trained to answer after the last."""

    places: Floats
    log_probs: Floats


class GlimpseNetwork(nn.Module):
    """What is at a place and where it is, in one vector: relu(A relu(B crops) + C relu(D place))."""

    def __init__(self, pixels: int, width: int) -> None:
        super().__init__()
        self.what = nn.Linear(pixels, width)
        self.where = nn.Linear(2, width)
        self.from_what = nn.Linear(width, width)
        self.from_where = nn.Linear(width, width, bias=False)

    def forward(self, crops: Tensor, places: Tensor) -> Tensor:
        """crops [B, pixels], places [B, 2] → [B, width]."""
        return (self.from_what(self.what(crops).relu()) + self.from_where(self.where(places).relu())).relu()


class Glimpse(nn.Module):
    """A recurrent state reads one glimpse after the other and chooses where the next one is. Images are float32
    [B, H, W, C] of any size; the arithmetic does not grow with it."""

    def __init__(self, config: GlimpseConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.sensor = nn.GlimpseSensor(config.size, config.scales)
        self.glimpse = GlimpseNetwork(config.scales * config.size**2 * config.channels, config.width)
        self.core = nn.GRUCell(config.width, config.hidden)
        self.policy = GaussianPolicy(config.hidden, 2, config.deviation) if config.places == "learned" else None
        self.head = nn.Linear(config.hidden, classes)

    @property
    def attends(self) -> bool:
        """Whether `attention` has something to show: always."""
        return True

    def forward(self, images: np.ndarray | Tensor) -> Tensor:
        """Logits [B, classes] after the last glimpse."""
        return self._classify(self._walk(images)[0][-1])

    def loss(self, batch: ImageBatch, label_smoothing: float = 0.0) -> ClassificationLoss:
        """The loss of a batch (see attnkit.models.ImageBatch). In training its gradient has a second part, which
        teaches where to look: the reward is the probability of the right class."""
        states, _, steps = self._walk(batch.images)
        logits = self._classify(states[-1])
        result = classification_loss(logits, batch, label_smoothing)
        if not steps or not self.training:
            return result
        rewards = np.exp(-image_losses(logits.detach(), batch).numpy())
        return result._replace(loss=result.loss + reinforce(steps, rewards))

    def predict(self, images: np.ndarray | Tensor) -> Tensor:
        """Log-probabilities [B, classes]."""
        with no_grad():
            log_probs: Tensor = ops.log_softmax(self(images))
        return log_probs

    def look(self, images: np.ndarray | Tensor, places: np.ndarray | None = None) -> Look:
        """Where the model looks and what it thinks by then. places: look there instead, [B, T, 2] for any T."""
        with no_grad():
            states, seen, _ = self._walk(images, places)
            log_probs = [ops.log_softmax(self._classify(state)).numpy() for state in states]
        return Look(np.stack(seen, axis=1), np.stack(log_probs, axis=1))

    def attention(self, images: np.ndarray | Tensor) -> np.ndarray:
        """Where it looked sharply, [B, H, W]: the mean over the glimpses; each image's sum is 1."""
        mean: np.ndarray = self.attention_by_glimpse(images).mean(axis=1)
        return mean

    def attention_by_glimpse(self, images: np.ndarray | Tensor) -> np.ndarray:
        """Where each glimpse looked sharply, [B, glimpses, H, W]: at the first crop's pixels, each alike; their sum
        is 1."""
        height, width = images.shape[1:3]
        size = self.config.size
        maps = np.zeros((images.shape[0], self.config.glimpses, height, width), np.float32)
        for number, places in enumerate(self.look(images).places.transpose(1, 0, 2)):
            for of_image, (top, left) in zip(maps, self.sensor.corners(places, (height, width), size), strict=True):
                crop = of_image[number, max(top, 0) : top + size, max(left, 0) : left + size]
                crop += 1.0 / max(1, crop.size)
        return maps

    def _walk(
        self, images: np.ndarray | Tensor, places: np.ndarray | None = None
    ) -> tuple[list[Tensor], list[Floats], list[Step]]:
        """The state behind each glimpse, where it was, and what chose the next ones."""
        config, shape = self.config, images.shape
        if len(shape) != 4 or shape[3] != config.channels:
            raise ValueError(f"[glimpse] expected images of shape [B, H, W, {config.channels}], got {list(shape)}")
        glimpses = config.glimpses if places is None else places.shape[1]
        state = tensor(np.zeros((shape[0], config.hidden), np.float32), device=self.device)
        place = np.zeros((shape[0], 2), np.float32)
        states, seen, steps = list[Tensor](), list[Floats](), list[Step]()
        for number in range(glimpses):
            if places is not None:
                place = np.asarray(places[:, number], np.float32)
            elif number and self.policy is not None:
                steps.append(self.policy(state))
                place = steps[-1].chosen
            elif number:
                place = self._anywhere(shape[0], number)
            crops = self.sensor(images, place).to(self.device)
            state = self.core(self.glimpse(crops, tensor(place, device=self.device)), state)
            states.append(state)
            seen.append(place)
        return states, seen, steps

    def _anywhere(self, count: int, number: int) -> Floats:
        if self.training:
            return init.generator().uniform(-1.0, 1.0, (count, 2)).astype(np.float32)
        # What is said of an image must depend neither on chance nor on the images beside it.
        alike = np.random.Generator(np.random.Philox(key=number)).uniform(-1.0, 1.0, 2)
        return np.tile(alike.astype(np.float32), (count, 1))

    def _classify(self, state: Tensor) -> Tensor:
        return self.head(state)
