"""What the layouts of Vision Transformers have in common: where pixels become tokens, and what is written of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit import typed
from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted
from attnkit.interop.hf_weights import left_out_tensors
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, Plan, Renamed, filled_model
from attnkit.models.vit_config import ViTConfig
from attnkit.tasks.shared.directory import save_directory
from attnkit.vision.preprocessing import Preprocessing

Floats = npt.NDArray[np.float32]
TOKENS = ("class_token", "distillation_token")
"""Our names of the tokens in front of the patches, in their order."""


def patch_weight(theirs: str, config: ViTConfig) -> Part:
    """Of a convolution [width, channels, P, P] the matrix [width, P · P · channels] that we multiply patches by."""
    side, channels = config.patch_size, config.channels

    def make(tensors: Renamed, shape: tuple[int, ...]) -> Floats:
        kernel = tensors.read(theirs, (shape[0], channels, side, side))
        return np.ascontiguousarray(kernel.transpose(0, 2, 3, 1)).reshape(shape)

    return Part((theirs,), make=make)


def placed_tokens(
    tokens: Sequence[str], positions: str, config: ViTConfig, placed: int | None = None, flat: bool = False
) -> Plan:
    """The plan of the tokens in front, which include their positions, and of the patches' own positions.

    positions: the name of a table [1, N, width] for the first `placed` tokens (all, where not given) and the patches.
    A token is [1, 1, width]; flat: these are [N, width] and [width], as CLIP has them.
    """
    placed = len(tokens) if placed is None else placed
    count = placed + (config.image_size // config.patch_size) ** 2

    def table(tensors: Renamed, width: int) -> Floats:
        return tensors.read(positions, (count, width) if flat else (1, count, width)).reshape(count, width)

    def token(name: str, number: int) -> Part:
        def make(tensors: Renamed, shape: tuple[int, ...]) -> Floats:
            alone = tensors.read(name, shape[1:] if flat else (1, *shape)).reshape(shape)
            if number < placed:
                alone = alone + table(tensors, shape[1])[number]
            return alone

        return Part((name, positions), make=make)

    def patches(tensors: Renamed, shape: tuple[int, ...]) -> Floats:
        return table(tensors, shape[1])[placed:]

    plan = {ours: token(name, number) for number, (ours, name) in enumerate(zip(TOKENS, tokens, strict=False))}
    return {**plan, "positions.weight": Part((positions,), make=patches)}


def vit_config(checkpoint: Checkpoint, **keys: Any) -> ViTConfig:
    """Raises ValueError, naming config.json, for an architecture that none can have."""
    try:
        return typed.convert({"type": "vit", **keys}, ViTConfig)
    except msgspec.ValidationError as error:
        raise checkpoint.refused(str(error)) from None


def write_vit(
    checkpoint: Checkpoint, config: ViTConfig, plan: Plan, labels: Sequence[str], image: Preprocessing
) -> Converted:
    """Writes the model directory of a classifier, or of an encoder alone where there are no labels. Raises ValueError
    where images are prepared in another size than the model reads."""
    check_images(checkpoint, config, image)
    model, unread = filled_model(checkpoint.tensors, config, (len(labels),), plan)
    with atomic_folder(checkpoint.target) as new:
        save_directory(model, new, "classify", reads="images", labels=labels, image=image)
    tensors = checkpoint.tensors.tensors
    left_out = [*tensors.notes, *left_out_tensors(tensors, unread, "the model that is made of it")]
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)


def check_images(checkpoint: Checkpoint, config: ViTConfig, image: Preprocessing) -> None:
    """Raises ValueError where images are prepared in another size than the model reads."""
    if image.shape != (config.image_size, config.image_size):
        rows, columns = image.shape
        raise checkpoint.refused(
            f"image_size: expected that of the images, {rows} x {columns} as they are prepared, got {config.image_size}"
        )
