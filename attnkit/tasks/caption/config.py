"""The configuration of the task "caption": [data], [image], [augmentation], [tokenizer], [model], [pretrained],
[training], [decoding]."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from attnkit.models.captioner_config import CaptionerConfig
from attnkit.models.cnn_config import CNNConfig
from attnkit.models.config import written
from attnkit.models.vit_config import ViTConfig
from attnkit.tasks.shared.checks import check_encoder, check_validated
from attnkit.tasks.shared.image_config import ImageTrainingConfig, PretrainedConfig
from attnkit.tasks.shared.search_config import SearchConfig
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.training.config import Positive
from attnkit.vision.augmentation import AugmentationConfig
from attnkit.vision.config import ImageDataConfig
from attnkit.vision.preprocessing import Preprocessing


class CaptionDecodingConfig(SearchConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[decoding]: how validation and test images are captioned."""

    metrics: Annotated[
        bool,
        Meta(
            description="Caption at every validation and measure BLEU and CIDEr; false validates by loss alone, which "
            "takes less time."
        ),
    ] = True

    batch_images: Annotated[Positive, Meta(description="Images that are captioned at once.")] = 64


class CaptionConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="task", tag="caption"
):
    """A whole configuration with task = "caption"."""

    data: Annotated[
        ImageDataConfig,
        Meta(
            description="Images and their captions. Relative paths are taken from the current directory, not from the "
            "TOML file's."
        ),
    ]

    image: Annotated[Preprocessing, Meta(description="How every image is prepared.")]

    augmentation: Annotated[AugmentationConfig, Meta(description="What is done to training images.")] = (
        AugmentationConfig()
    )

    tokenizer: Annotated[
        TokenizerConfig, Meta(description="How captions become ids; `joint` stays true, there being one text.")
    ] = TokenizerConfig(kind="word")

    model: Annotated[CaptionerConfig, Meta(description="What is trained: an encoder and a decoder.")]

    pretrained: Annotated[PretrainedConfig, Meta(description="What the encoder has learnt before.")] = (
        PretrainedConfig()
    )

    training: Annotated[ImageTrainingConfig, Meta(description="How it is trained.")]

    decoding: Annotated[CaptionDecodingConfig, Meta(description="How it is evaluated.")] = CaptionDecodingConfig()

    @classmethod
    def completed(cls, table: dict[str, Any]) -> dict[str, Any]:
        """A table of the user's with [image] and [model.encoder] of the pretrained encoder, where it has none of its
        own. Raises OSError or ValueError for a model directory that is none, or whose encoder no captioner has."""
        asked, model = table.get("pretrained"), table.get("model")
        name = asked.get("encoder") if isinstance(asked, dict) else None
        if isinstance(asked, dict) and not name and "model" in asked:  # its name elsewhere; or [image] would be missed
            raise ValueError("pretrained.model: unknown key (did you mean encoder?)")
        if (
            not name
            or not isinstance(name, str)
            or not isinstance(model, dict)
            or ("image" in table and "encoder" in model)
        ):
            return table
        from attnkit.tasks.shared.directory import ModelDirectory
        from attnkit.tasks.shared.pretrained import located

        directory = ModelDirectory.read(located(name))
        config: Any = directory.described.config
        encoder = config.encoder if isinstance(config, CaptionerConfig) else config
        if not isinstance(encoder, ViTConfig | CNNConfig):
            kind = encoder.__struct_config__.tag
            raise ValueError(f"pretrained.encoder: expected a ViT or a CNN, got a model of type {kind!r} in {name}")
        own = {"image": written(directory.preprocessing())}
        return {**own, **table, "model": {"encoder": written(encoder), **model}}

    def __post_init__(self) -> None:
        check_encoder(self.model.encoder, self.image, "model.encoder")
        metrics = ("loss", "bleu", "cider") if self.decoding.metrics else ("loss",)
        check_validated(self.training, self.data.validated, "images, or a validation_share", metrics)
        if self.augmentation.mixup:
            raise ValueError("augmentation.mixup: expected 0 for captions, which cannot be blended")
        if not self.tokenizer.joint:
            raise ValueError("tokenizer.joint: expected true, since there is one text, got false")
