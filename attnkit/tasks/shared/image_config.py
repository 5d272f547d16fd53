"""[training] of the tasks that read images: batches are counted in images."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.training.config import Positive, TrainingConfig


class ImageTrainingConfig(TrainingConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[training] for images: the keys are those of `TrainingConfig`, but for the size of a batch."""

    batch_images: Annotated[Positive, Meta(description="Images in a batch.")] = 64

    batch_tokens: Annotated[Literal[0], Meta(description="Of text; for images say batch_images.")] = 0


class PretrainedConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[pretrained]: an encoder that has learnt something else before."""

    encoder: Annotated[
        str,
        Meta(
            description="The directory or the name of a model of the encoder's type and sizes: a classifier or an "
            "encoder of images, or a captioner. [image] and [model.encoder], where they are not given, are that "
            "model's. None: the encoder starts anew."
        ),
    ] = ""

    frozen: Annotated[bool, Meta(description="Leave the encoder as it is; false trains it on (fine-tuning).")] = False

    def __post_init__(self) -> None:
        if self.frozen and not self.encoder:
            raise ValueError("encoder: expected a model directory for a frozen encoder, got none")
