"""preprocessor_config.json of transformers' image processors: our pixels are theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnkit.interop.huggingface.image_processor import read_image_processor
from attnkit.vision.preprocessing import Preprocessing


def noisy(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Smooth colours with noise, of which every filter makes something else."""
    rng = np.random.default_rng(width * 1000 + height)
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([255 * rows / height, 255 * columns / width, 127 + 0 * rows], axis=2)
    picture = Image.fromarray(np.clip(smooth + rng.normal(0, 40, smooth.shape), 0, 255).astype(np.uint8))
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(rng.integers(0, 256, (height, width), np.uint8)))
    return picture if mode == "RGBA" else picture.convert(mode)


def pictures() -> Iterator[Image.Image]:
    for size in ((37, 53), (640, 427), (224, 224), (333, 1000), (1, 1), (3, 500), (257, 256), (90, 91)):
        yield noisy(*size)
    for mode in ("L", "RGBA", "P", "CMYK", "LA", "1"):
        yield noisy(71, 50, mode)


def written(folder: Path, table: dict[str, Any], name: str = "preprocessor_config.json") -> Path:
    (folder / name).write_text(json.dumps(table))
    return folder


def theirs(name: str, table: dict[str, Any], picture: Image.Image) -> np.ndarray:
    """[rows, columns, channels], by the image processor that has no need of torchvision."""
    pytest.importorskip("transformers")
    module = import_module(f"transformers.models.{name.lower()}.image_processing_pil_{name.lower()}")
    processor = getattr(module, f"{name}ImageProcessorPil").from_dict({**table, "do_convert_rgb": True})
    return np.moveaxis(np.asarray(processor(picture)["pixel_values"][0]), 0, -1)


def check_same(prepare: Preprocessing, name: str, table: dict[str, Any], picture: Image.Image) -> None:
    """Within a step of a pixel: the numbers that are left are those of 255 steps."""
    expected, found = theirs(name, table, picture), prepare.array(prepare.fitted(prepare.read(picture)))
    assert found.shape == expected.shape and found.dtype == np.float32
    pixels = (expected - found) * np.asarray(prepare.deviation)
    assert np.abs(pixels).max() <= 1e-3 / 255


TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "ViT, as it is": ("ViT", {"image_processor_type": "ViTImageProcessor"}),
    "ViT, of 2021": (
        "ViT",
        {
            "do_normalize": True, "do_resize": True, "feature_extractor_type": "ViTFeatureExtractor",
            "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "resample": 2, "size": 224,
        },
    ),
    "ViT, fast": (
        "ViT",
        {"image_processor_type": "ViTImageProcessorFast", "size": {"height": 96, "width": 96}, "resample": 3},
    ),
    "TrOCR": (
        "ViT",
        {"image_processor_type": "ViTImageProcessor", "size": {"height": 384, "width": 384}, "resample": 2},
    ),
    "a rectangle": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": [48, 80], "resample": 1}),
    "DeiT, as it is": ("DeiT", {"image_processor_type": "DeiTImageProcessor"}),
    "DeiT, of 2021": (
        "DeiT",
        {
            "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
            "feature_extractor_type": "DeiTFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 256,
        },
    ),
    "DeiT, all of it": ("DeiT", {"image_processor_type": "DeiTImageProcessor", "do_center_crop": False, "size": 64}),
    "CLIP, as it is": ("CLIP", {"image_processor_type": "CLIPImageProcessor"}),
    "CLIP, of 2021": (
        "CLIP",
        {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224, "crop_size": 224, "resample": 3},
    ),
    "CLIP, a larger edge": (
        "CLIP",
        {
            "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 93}, "resample": 5,
            "crop_size": {"height": 81, "width": 64},
        },
    ),
    "CLIP, a margin": (
        "CLIP",
        {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 61}, "crop_size": 64},
    ),
    "BLIP": ("Blip", {"image_processor_type": "BlipImageProcessor", "do_pad": False}),
    "no rescaling": (
        "ViT",
        {"image_processor_type": "ViTImageProcessor", "size": 32, "do_rescale": False, "image_mean": 100.0,
         "image_std": 20.0},
    ),
    "no normalization": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": 32, "do_normalize": False}),
    "another factor": (
        "ViT",
        {"image_processor_type": "ViTImageProcessor", "size": 32, "rescale_factor": 0.0078125, "resample": 0},
    ),
    "boxes": ("ViT", {"image_processor_type": "ViTImageProcessor", "size": 32, "resample": 4}),
}  # fmt: skip


@pytest.mark.parametrize("which", list(TABLES))
def test_pixels_are_those_of_the_library(which: str, tmp_path: Path) -> None:
    name, table = TABLES[which]
    prepare = read_image_processor(written(tmp_path, table))
    for picture in pictures():
        check_same(prepare, name, table, picture)
