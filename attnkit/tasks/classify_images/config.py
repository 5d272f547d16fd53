"""The configuration of the task "classify" for images: [data], [image], [augmentation], [model], [training]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from attnkit.models.cnn_config import CNNConfig
from attnkit.models.glimpse_config import GlimpseConfig
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

    data: Annotated[
        ImageDataConfig,
        Meta(
            description="Images and their classes. Relative paths are taken from the current directory, not from the "
            "TOML file's."
        ),
    ]

    image: Annotated[Preprocessing, Meta(description="How every image is prepared.")]

    augmentation: Annotated[AugmentationConfig, Meta(description="What is done to training images.")] = (
        AugmentationConfig()
    )

    model: Annotated[
        ViTConfig | CNNConfig | GlimpseConfig, Meta(description="What is trained; `type` says which model.")
    ]

    training: Annotated[
        ImageTrainingConfig, Meta(description="How it is trained. Label smoothing spreads over the classes.")
    ]

    def __post_init__(self) -> None:
        check_encoder(self.model, self.image, "model")
        check_validated(self.training, self.data.validated, "images, or a validation_share", ("loss", "accuracy"))
