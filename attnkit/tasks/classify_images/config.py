"""The configuration of the task "classify" for images: [data], [image], [augmentation], [model], [training]."""

from __future__ import annotations

import msgspec

from attnkit.models.cnn_config import CNNConfig
from attnkit.models.vit_config import ViTConfig
from attnkit.tasks.shared.checks import check_encoder, check_validated
from attnkit.tasks.shared.image_config import ImageTrainingConfig
from attnkit.vision.augmentation import AugmentationConfig
from attnkit.vision.config import ImageDataConfig
from attnkit.vision.preprocessing import Preprocessing


class ClassifyImagesConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="task", tag="classify"
):
    """A whole configuration with task = "classify" and a model that reads images."""

    data: ImageDataConfig
    """Images and their classes. Relative paths are taken from the current directory, not from the TOML file's."""

    image: Preprocessing
    """How every image is prepared."""

    augmentation: AugmentationConfig = AugmentationConfig()
    """What is done to training images."""

    model: ViTConfig | CNNConfig
    """What is trained; `type` says which model."""

    training: ImageTrainingConfig
    """How it is trained. Label smoothing spreads over the classes."""

    def __post_init__(self) -> None:
        check_encoder(self.model, self.image, "model")
        check_validated(self.training, self.data.validated, "images, or a validation_share", ("loss", "accuracy"))
