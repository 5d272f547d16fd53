"""Images: reading and preparing them, data sets, augmentation, and a loader that works ahead."""

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
