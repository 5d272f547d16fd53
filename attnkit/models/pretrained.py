"""An encoder that has learnt something else before: taken out of another model's directory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from attnkit.models.captioner import Captioner
from attnkit.models.files import described_model, load_model, read_config
from attnkit.models.vit import ViT
from attnkit.weights import CONFIG_FILE

if TYPE_CHECKING:
    from attnkit.vision.preprocessing import Preprocessing


def load_encoder(captioner: Captioner, directory: Path, image: Preprocessing) -> None:
    """Copies the weights of a classifier or an encoder of images, or of another captioner's encoder, into a captioner's
    encoder.

    Raises FileNotFoundError or ValueError, naming the directory, where there is no such model, where it is of another
    type or size, or where its images were prepared in another way than `image` says, but for their size.
    """
    table = read_config(directory)
    other: Any = load_model(directory, described=described_model(table, directory))
    other.to("float32")
    source = other.encoder if isinstance(other, Captioner) else other
    own = captioner.encoder
    if type(source) is not type(own):
        raise ValueError(
            f"[pretrained] {directory}: expected a model of type {own.config.__struct_config__.tag!r}, got "
            f"{other.config.__struct_config__.tag!r}"
        )
    _check_images(table.get("image"), image, directory)
    names = own.state_dict().keys()
    state = {name: array for name, array in source.state_dict().items() if name in names}  # without a classifier's head
    try:
        own.load_state_dict(own.fit_state(state) if isinstance(own, ViT) else state)
    except ValueError as error:
        raise ValueError(f"[pretrained] {directory}: does not fit the encoder: {error}") from None


def _check_images(found: Any, image: Preprocessing, directory: Path) -> None:
    expected = msgspec.to_builtins(image)
    for key in ("channels", "mean", "deviation"):
        got = found.get(key) if isinstance(found, dict) else None
        if got != json.loads(json.dumps(expected[key])):
            raise ValueError(
                f"[pretrained] {directory / CONFIG_FILE}: expected image.{key} = {expected[key]}, as here, got {got}"
            )
