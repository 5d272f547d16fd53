"""Classifying images with a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.data.arrivals import PAUSE, Paused, windows
from attnkit.data.labels import of_the_model
from attnkit.distributed import Alone
from attnkit.tasks.shared.progress import Done, unseen

if TYPE_CHECKING:
    from PIL.Image import Image

    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.tasks.shared.answers import ClassificationReport
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.vision.data import ImageData
    from attnkit.vision.images import ImageLike
    from attnkit.vision.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True, eq=False)
class ImageClassification:
    """One classified image.

    label: the likeliest class. probability: the model's for that class. top: the likeliest classes with their
    probabilities, best first, as many as were asked for.
    attention: where the model looked, float32 [rows, columns] over the square that it sees, summing to one; None unless
    asked for, and for a model that has none to show.
    """

    label: str
    probability: float
    top: list[tuple[str, float]]
    attention: npt.NDArray[np.float32] | None


class ImageClassifier:
    """A model that classifies images, with its labels and the way it wants images. Made by `attnkit.load`.

    Without labels it is an encoder of images alone: it does not classify, and shows its attention.
    """

    reads = "images"
    """What `classify` takes, for those who load any classifier."""

    def __init__(
        self, model: Any, labels: Sequence[str], preprocessing: Preprocessing, *, precision: Precision = "fp32"
    ) -> None:
        check_precision(precision)
        self.model = model
        self.labels = list(labels)
        self.preprocessing = preprocessing
        self.precision: Precision = precision

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> ImageClassifier:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        labels = directory.required("labels")
        preprocessing = directory.preprocessing()
        model = directory.load_model(precision)
        if len(labels) != directory.size("classes"):
            raise ValueError(
                f"[load] {directory.folder}: expected {directory.size('classes')} labels, as the model has classes, "
                f"got {len(labels)}"
            )
        return cls(model, labels, preprocessing, precision=precision)

    @property
    def attends(self) -> bool:
        """Whether the model has attention to show."""
        return bool(self.model.attends)

    def classify(
        self, images: Iterable[ImageLike], *, top: int = 1, attention: bool = False, batch_images: int = 64
    ) -> list[ImageClassification]:
        """One ImageClassification an image, in order.

        top: how many classes to return for each. attention: also return where the model looked; the classes are the
        same with and without. batch_images: how many images go through the model at once.

        An image is a file's name, bytes, a stream of them, a Pillow image or an array, as `attnkit.vision.read_image`
        takes them. Raises OSError or ValueError for one that is no image, naming its file.
        """
        from attnkit.vision.preprocessing import check_images

        check_images(images, "classify")
        pictures = map(self.read, images)
        return list(self.classify_stream(pictures, top=top, attention=attention, batch_images=batch_images))

    def classify_stream(
        self, pictures: Iterable[Image | Paused], *, top: int = 1, attention: bool = False, batch_images: int = 64
    ) -> Iterator[ImageClassification]:
        """`classify` for any number of pictures, as `read` returns them: yields in their order while it takes them,
        `batch_images` at a time, or as many as there are before a PAUSE (`attnkit.data.arrivals`).

        Arguments are checked at the call; errors of `pictures` itself pass through.
        """
        self._check_classes("classify")
        for name, value in (("top", top), ("batch_images", batch_images)):
            if value < 1:
                raise ValueError(f"[classify] expected {name} >= 1, got {value}")
        return self._stream(pictures, top, attention and self.attends, batch_images)

    def evaluate(self, data: ImageData, *, batch_images: int = 64, done: Done = unseen) -> ClassificationReport:
        """How often the likeliest class is the right one, by what training measures when it validates.

        data: images with their labels, as `ImageDataConfig.read` gives them. done: called with the number of images of
        each batch once they are classified. Raises ValueError for a label that is not among `labels`, and OSError or
        ValueError for an image that cannot be read.
        """
        from attnkit.tasks.classify_images.answers import answers
        from attnkit.tasks.shared.answers import ClassificationReport

        self._check_classes("evaluate")
        if data.labels is None:
            raise ValueError("[evaluate] expected images with labels, got none")
        labels = of_the_model(data.labels, self.labels, data.pictures.name)
        with _tensor.no_grad(), _tensor.precision(self.precision):
            found = answers(self.model, data.pictures, labels, self.preprocessing, batch_images, done, Alone())
        return ClassificationReport.of(found, self.labels)

    def _check_classes(self, what: str) -> None:
        if not self.labels:
            raise ValueError(
                f"[{what}] expected a classifier, got an encoder of images, which has no classes; train one that "
                "begins with it ([pretrained]), or look at its attention"
            )

    def attention(self, image: ImageLike, target: str | None = None) -> AttentionMaps:
        """All that the model looks at in an image: "encoder", the self-attention of all layers and heads of a ViT, and
        "rollout"; "attention.1", "attention.2", the trained attention of a CNN to its stages, and "excitation", its
        gates by layer and channel; "glimpses", the crops of a glimpse model; see `AttentionMaps`.

        Raises as `classify` does, and ValueError for a target, which a classifier has no use for.
        """
        from attnkit.tasks.classify_images.attention import look
        from attnkit.tasks.shared.attention_kinds import check_no_target, image_title

        check_no_target(target)
        picture = self.read(image)
        result = next(self.classify_stream([picture])) if self.labels else None
        return look(self, image_title(image), picture, result)

    def read(self, image: ImageLike) -> Image:
        """The picture of a file, or what else `attnkit.vision.read_image` takes, in the model's channels. Raises
        OSError, TypeError or ValueError."""
        return self.preprocessing.read(image)

    def _stream(
        self, pictures: Iterable[Image | Paused], top: int, attention: bool, batch_images: int
    ) -> Iterator[ImageClassification]:
        prepare = self.preprocessing
        squares = (each if each is PAUSE else prepare.array(prepare.fitted(each)) for each in pictures)
        for chunk in windows(squares, batch_images):
            yield from self._classify(np.stack([square for _, square in chunk]), top, attention)

    def _classify(self, images: npt.NDArray[np.float32], top: int, attention: bool) -> Iterator[ImageClassification]:

        with _tensor.precision(self.precision):
            probabilities = self.model.predict(images).exp().numpy()
            maps = self.model.attention(images) if attention else [None] * len(images)
        for row, of_image in zip(probabilities, maps, strict=True):
            best = np.argsort(-row, kind="stable")[:top]
            found = [(self.labels[number], float(row[number])) for number in best]
            yield ImageClassification(found[0][0], found[0][1], found, of_image)
