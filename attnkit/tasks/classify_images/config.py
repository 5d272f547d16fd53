"""The configuration of the task "classify" for images: [data], [image], [augmentation], [model] or
[pretrained], [training]."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from attnkit.models.cnn_config import CNNConfig
from attnkit.models.config import Rate
from attnkit.models.glimpse_config import GlimpseConfig
from attnkit.models.vit_config import ViTConfig
from attnkit.tasks.shared.checks import check_encoder, check_validated
from attnkit.tasks.shared.image_config import ImageTrainingConfig
from attnkit.tasks.shared.pretrained_config import PretrainedModelConfig
from attnkit.vision.augmentation import AugmentationConfig
from attnkit.vision.config import ImageDataConfig
from attnkit.vision.preprocessing import Preprocessing


class PretrainedClassifierConfig(PretrainedModelConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[pretrained]: a model of images whose layers a classifier begins with; what classifies is new."""

    RATES: ClassVar[tuple[str, ...]] = (*PretrainedModelConfig.RATES, "stochastic_depth")

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="The directory or the name of a classifier or an encoder of images, or of a captioner.",
        ),
    ]

    stochastic_depth: Annotated[
        Rate | None, Meta(description="As `model.stochastic_depth`; the model's own where not given.")
    ] = None


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

    image: Annotated[
        Preprocessing | None,
        Meta(description="How every image is prepared; not given beside `pretrained`, whose model says it."),
    ] = None

    augmentation: Annotated[AugmentationConfig, Meta(description="What is done to training images.")] = (
        AugmentationConfig()
    )

    model: Annotated[
        ViTConfig | CNNConfig | GlimpseConfig | None, Meta(description="What is trained; `type` says which model.")
    ] = None

    pretrained: Annotated[
        PretrainedClassifierConfig | None,
        Meta(description="In place of `model` and `image`: a model of images that a classifier begins with."),
    ] = None

    training: Annotated[
        ImageTrainingConfig, Meta(description="How it is trained. Label smoothing spreads over the classes.")
    ]

    def __post_init__(self) -> None:
        self._check_model()
        check_validated(self.training, self.data.validated, "images, or a validation_share", ("loss", "accuracy"))

    def _check_model(self) -> None:
        if self.pretrained is None:
            if self.model is None:
                raise ValueError(
                    "model: expected a value, got nothing; or pretrained.model, to begin with a trained one"
                )
            if self.image is None:
                raise ValueError("image: expected a value, got nothing")
            check_encoder(self.model, self.image, "model")
        for key, value in (("model", self.model), ("image", self.image)):
            if self.pretrained is not None and value is not None:
                raise ValueError(f"{key}: expected none beside pretrained.model, which brings its own")
