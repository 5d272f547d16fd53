"""The task "classify" for images: labelled images in, a classifier out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attnkit import _core
from attnkit.distributed import group
from attnkit.models.classification import ClassificationLoss
from attnkit.models.registry import build_model
from attnkit.tasks.classify_images.answers import answers
from attnkit.tasks.classify_images.config import ClassifyImagesConfig
from attnkit.tasks.classify_images.pretrained import PretrainedImages
from attnkit.tasks.shared.directory import save_directory
from attnkit.tasks.shared.held_out_task import HeldOutTask
from attnkit.tasks.shared.pretrained import description, set_parts
from attnkit.training.metrics import Figure
from attnkit.training.task import Check
from attnkit.vision.data import ImageData
from attnkit.vision.loader import ImageLoader
from attnkit.vision.targets import Classes, ImageBatch

if TYPE_CHECKING:
    from attnkit.models.cnn import CNN
    from attnkit.models.glimpse import Glimpse
    from attnkit.models.vit import ViT

Note = Callable[[str], None]


class ClassifyImagesTask(HeldOutTask[ImageData]):
    """Reads the data and builds the model, its weights drawn from the seed."""

    unit = "images"
    final_is_usual = True

    def __init__(self, config: ClassifyImagesConfig, folder: Path, note: Note, *, resumed: bool = False) -> None:
        """Raises ValueError or OSError for data that is none."""
        self._config, self._note = config, note
        seed = config.training.seed
        asked = config.pretrained
        own = None if asked is None else PretrainedImages(asked, folder, resumed)
        image = config.image if own is None else own.image
        assert image is not None  # one of the two is there: ClassifyImagesConfig sees to it
        self._image = image
        train, validation = config.data.read_training(seed)
        if train.labels is None:
            raise ValueError("[train] expected images with labels in data.train, got none")
        self._classes = train.classes()
        if len(self._classes) < 2:
            raise ValueError(f"[train] expected at least 2 classes in data.train, got {len(self._classes)}")
        note(f"training data: {train.describe()}")
        self._validation = self._held_out(validation, "validation")
        self._test = self._held_out(config.data.read("test"), "test")
        _core.manual_seed(seed)
        self.model: ViT | CNN | Glimpse
        self.lr_factors: dict[str, float] = {}
        if own is None or asked is None:
            assert config.model is not None
            self.model = build_model(config.model, len(self._classes))
        else:
            self.model = own.build(len(self._classes), resumed)
            frozen, self.lr_factors = set_parts(self.model, asked)
            note(description(asked, frozen))
        labels = Classes(train.numbered(self._classes, "train"), config.augmentation.mixup)
        self.batches = ImageLoader(
            train.pictures,
            labels,
            self._image,
            config.training.batch_images,
            augmentation=config.augmentation,
            seed=seed,
        )
        count = sum(parameter.size for parameter in self.model.parameters())
        note(f"model: {count:,} parameters; {config.training.precision}, {_core.get_num_threads()} thread(s)")

    def _held_out(self, data: ImageData | None, split: str) -> ImageData | None:
        if data is not None:
            if data.labels is None:
                raise ValueError(f"[train] expected images with labels in data.{split}, got none")
            data.numbered(self._classes, split)  # a class that training has not should show now
            self._note(f"{split} data: {data.describe()}")
        return data

    def loss(self, batch: ImageBatch) -> ClassificationLoss:
        """The label-smoothed loss of a batch."""
        return self.model.loss(batch, self._config.training.label_smoothing)

    def _measure(self, data: ImageData, check: Check, final: bool) -> tuple[float, dict[str, Figure]]:
        labels = data.numbered(self._classes, "validation")
        batch_images = self._config.training.batch_images
        found = answers(self.model, data.pictures, labels, self._image, batch_images, lambda count: check(), group())
        return found.loss, found.figures()

    def save(self, folder: Path) -> None:
        """config.json with the classes and how images are prepared, and model.safetensors."""
        save_directory(self.model, folder, "classify", reads="images", labels=self._classes, image=self._image)
