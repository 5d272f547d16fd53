"""Images: reading and preparing them, data sets, augmentation, and a loader that works ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit._lazy import lazily

if TYPE_CHECKING:
    from attnkit.vision.augmentation import AugmentationConfig, Augmenter
    from attnkit.vision.config import ImageDataConfig
    from attnkit.vision.data import ImageData, ImageFiles, PixelArray
    from attnkit.vision.images import MAX_PIXELS, read_image, to_image
    from attnkit.vision.loader import ImageLoader
    from attnkit.vision.preprocessing import Preprocessing
    from attnkit.vision.targets import CaptionBatch, Captions, Classes, Targets

__all__ = [
    "MAX_PIXELS",
    "AugmentationConfig",
    "Augmenter",
    "CaptionBatch",
    "Captions",
    "Classes",
    "ImageData",
    "ImageDataConfig",
    "ImageFiles",
    "ImageLoader",
    "PixelArray",
    "Preprocessing",
    "Targets",
    "read_image",
    "to_image",
]

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.vision.augmentation": ("AugmentationConfig", "Augmenter"),
            "attnkit.vision.config": ("ImageDataConfig",),
            "attnkit.vision.data": ("ImageData", "ImageFiles", "PixelArray"),
            "attnkit.vision.images": ("MAX_PIXELS", "read_image", "to_image"),
            "attnkit.vision.loader": ("ImageLoader",),
            "attnkit.vision.preprocessing": ("Preprocessing",),
            "attnkit.vision.targets": ("CaptionBatch", "Captions", "Classes", "Targets"),
        },
    )
