"""Images: reading and preparing them, data sets, augmentation, and a loader that works ahead."""

from attnkit.vision.augmentation import AugmentationConfig, Augmenter
from attnkit.vision.config import ImageDataConfig
from attnkit.vision.data import ImageData, ImageFiles, PixelArray
from attnkit.vision.images import MAX_PIXELS, read_image, to_image
from attnkit.vision.loader import ImageBatch, ImageLoader, Targets
from attnkit.vision.preprocessing import Preprocessing

__all__ = [
    "MAX_PIXELS",
    "AugmentationConfig",
    "Augmenter",
    "ImageBatch",
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
