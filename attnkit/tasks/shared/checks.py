"""Checks that the configurations of several tasks make."""

from __future__ import annotations

from attnkit.models.cnn_config import CNNConfig
from attnkit.models.glimpse_config import GlimpseConfig
from attnkit.models.vit_config import ViTConfig
from attnkit.training.config import TrainingConfig
from attnkit.vision.preprocessing import Preprocessing


def check_validated(training: TrainingConfig, validated: bool, data: str, metrics: tuple[str, ...]) -> None:
    """Raises ValueError, "key: what is wrong", where training asks for validation that the data does not allow, or for
    a metric that the task does not measure. data: what would make it `validated`."""
    if not validated and (training.patience or training.final == "best"):
        raise ValueError(
            f'data.validation: expected {data}, which patience and final = "best" need '
            '(or set training.patience = 0 and training.final = "last")'
        )
    if training.metric not in metrics:
        expected = " or ".join(f'"{metric}"' for metric in metrics)
        raise ValueError(f'training.metric: expected {expected}, all that is measured here, got "{training.metric}"')


def check_encoder(encoder: ViTConfig | CNNConfig | GlimpseConfig, image: Preprocessing, key: str) -> None:
    """Raises ValueError where a model does not fit the images that it is to read."""
    if encoder.channels != image.channels:
        raise ValueError(f"{key}.channels: expected those of image.channels, {image.channels}, got {encoder.channels}")
    if isinstance(encoder, ViTConfig) and image.shape != (encoder.image_size, encoder.image_size):
        rows, columns = image.shape
        size = str(rows) if rows == columns else f"{rows} x {columns}"
        raise ValueError(f"{key}.image_size: expected that of image.size, {size}, got {encoder.image_size}")
