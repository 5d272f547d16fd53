"""Classifying images by labels that nobody trained on, with a model of texts and images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.data.arrivals import PAUSE, Paused, windows
from attnkit.printable import quoted
from attnkit.tasks.classify_images.classifier import ImageClassification, ImageClassifier
from attnkit.tasks.registry import find_entry, serving_class

if TYPE_CHECKING:
    from PIL.Image import Image

    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.models.clip import CLIP
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.vision.images import ImageLike
    from attnkit.vision.preprocessing import Preprocessing

PLACE = "{}"
"""Where a template has the label."""


class TextEmbedder(Protocol):
    """What makes vectors of texts: the `Embedder` of the task "embed"."""

    def embed(self, texts: Iterable[str], **options: Any) -> npt.NDArray[np.float32]: ...

    def attention(self, text: str, target: str | None = None) -> AttentionMaps: ...


class ZeroShotClassifier:
    """A model that makes vectors of images and of texts, and so classifies images by any labels (CLIP: Radford et al.,
    2021). Made by `attnkit.load`."""

    reads = "images-and-texts"

    def __init__(
        self, model: CLIP, texts: TextEmbedder, preprocessing: Preprocessing, *, precision: Precision = "fp32"
    ) -> None:
        """texts: the model's own encoder of texts with its tokenizer."""
        check_precision(precision)
        self.model = model
        self.texts = texts
        self.preprocessing = preprocessing
        self.precision: Precision = precision

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> ZeroShotClassifier:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        tokenizer = directory.tokenizers().source
        directory.check_vocabulary(tokenizer.vocab_size)
        preprocessing = directory.preprocessing()
        model = cast("CLIP", directory.load_model(precision))
        embedder = serving_class(find_entry("embed", "text", directory.folder))
        return cls(model, embedder(model.text, tokenizer, precision=precision), preprocessing, precision=precision)

    @property
    def width(self) -> int:
        """D, the numbers of a vector."""
        return self.model.config.width

    def labelled(self, labels: Sequence[str], template: str = PLACE) -> ImageClassifier:
        """A classifier of images whose classes are these, their vectors made once.

        template: the text that stands for a label, "a photo of {}", say. A probability is the softmax of the scaled
        cosines of an image's vector and those of the labels, or of a model such as SigLIP the sigmoid of one of them
        with a bias, so that they need not sum to 1. Raises ValueError for no label, an empty one or one that
        is there twice, and for a template without its place.
        """
        texts = _texts(labels, template)
        classifier = self.model.labelled(self.texts.embed(texts, normalize=True))
        return ImageClassifier(classifier, labels, self.preprocessing, precision=self.precision)

    def classify(
        self, images: Iterable[ImageLike], *, labels: Sequence[str], template: str = PLACE, **options: Any
    ) -> list[ImageClassification]:
        """One ImageClassification an image, in order: that of `labelled`, with the options of
        `ImageClassifier.classify`."""
        return self.labelled(labels, template).classify(images, **options)

    def embed(self, texts: Iterable[str], **options: Any) -> npt.NDArray[np.float32]:
        """One vector a text, float32 [N, D] of length 1, with the options of `Embedder.embed`."""
        return self.texts.embed(texts, **options)

    def embed_images(
        self, images: Iterable[ImageLike], *, normalize: bool = True, batch_images: int = 64
    ) -> npt.NDArray[np.float32]:
        """One vector an image, float32 [N, D], of length 1 unless `normalize` is False. Raises OSError or ValueError
        for one that is no image, naming its file."""
        from attnkit.vision.preprocessing import check_images

        check_images(images, "embed")
        found = list(self.embed_images_stream(map(self.read, images), normalize=normalize, batch_images=batch_images))
        return np.stack(found) if found else np.empty((0, self.width), np.float32)

    def embed_images_stream(
        self, pictures: Iterable[Image | Paused], *, normalize: bool = True, batch_images: int = 64
    ) -> Iterator[npt.NDArray[np.float32]]:
        """`embed_images` for any number of pictures, as `read` returns them: yields a vector of each, float32 [D], in
        their order while it takes them, `batch_images` at a time, or as many as there are before a PAUSE.

        Arguments are checked at the call; errors of `pictures` itself pass through.
        """
        if batch_images < 1:
            raise ValueError(f"[embed] expected batch_images >= 1, got {batch_images}")
        return self._image_vectors(pictures, normalize, batch_images)

    def _image_vectors(
        self, pictures: Iterable[Image | Paused], normalize: bool, batch_images: int
    ) -> Iterator[npt.NDArray[np.float32]]:
        from attnkit.models.clip import unit

        prepare = self.preprocessing
        squares = (each if each is PAUSE else prepare.array(prepare.fitted(each)) for each in pictures)
        for chunk in windows(squares, batch_images):
            with _tensor.no_grad(), _tensor.precision(self.precision):
                vectors = self.model.image.vectors(np.stack([square for _, square in chunk])).numpy()
            yield from unit(vectors) if normalize else vectors

    def attention(self, source: ImageLike, target: str | None = None) -> AttentionMaps:
        """All that the encoder of images looks at in an image, or that of texts in a text: "encoder", the
        self-attention of all layers and heads, and "rollout"; see `AttentionMaps`.

        A string is the name of a file that is there or has an image's ending, or a text. Raises as `classify` does, and
        ValueError for a target, which this model has no use for.
        """
        if isinstance(source, str) and not self.is_image(source):
            return self.texts.attention(source, target)
        from attnkit.tasks.classify_images.attention import look_at_encoder
        from attnkit.tasks.shared.attention_kinds import check_no_target, image_title

        check_no_target(target)
        return look_at_encoder(self, image_title(source), self.read(source))

    @staticmethod
    def is_image(source: str) -> bool:
        """Whether a string names an image, or a folder of them: there is such a file, or it has an image's ending."""
        from attnkit.vision.images import SUFFIXES

        return os.path.exists(source) or Path(source).suffix.lower() in SUFFIXES

    def read(self, image: ImageLike) -> Image:
        """The picture of a file, or what else `attnkit.vision.read_image` takes, in the model's channels. Raises
        OSError, TypeError or ValueError."""
        return self.preprocessing.read(image)


def split_labels(text: str) -> list[str]:
    """The labels that a command is given: those of a file, one a line, or what commas part. Raises OSError, or
    ValueError for fewer than two."""
    from attnkit.data.lines import read_lines

    lines = read_lines(text) if Path(text).is_file() else text.split(",")
    labels = [label for line in lines if (label := line.strip())]
    if len(labels) < 2:
        raise ValueError(
            f"[classify] labels: expected two or more, parted by commas, or a file with one a line, got {quoted(text)}"
        )
    return labels


def _texts(labels: Sequence[str], template: str) -> list[str]:
    """What stands for each label."""
    if isinstance(labels, str):
        raise TypeError("[classify] labels: expected a list of texts, got one string")
    if template.count(PLACE) != 1:
        raise ValueError(f"[classify] template: expected one {PLACE}, where the label stands, got {quoted(template)}")
    if not labels:
        raise ValueError("[classify] labels: expected one or more, got none")
    seen: set[str] = set()
    for label in labels:
        if not label.strip() or label in seen:
            raise ValueError(f"[classify] labels: expected each to be another text, got {quoted(label)}")
        seen.add(label)
    return [template.replace(PLACE, label) for label in labels]
