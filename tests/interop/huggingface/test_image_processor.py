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


def test_what_the_library_writes_itself_is_read(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    for name in ("ViT", "DeiT", "CLIP", "Blip"):
        module = import_module(f"transformers.models.{name.lower()}.image_processing_pil_{name.lower()}")
        processor = getattr(module, f"{name}ImageProcessorPil")()
        processor.save_pretrained(tmp_path / name)
        check_same(read_image_processor(tmp_path / name), name, {}, noisy(91, 300))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_of_a_camera_is_unpacked_whole_and_upright(orientation: int, tmp_path: Path) -> None:
    """A JPEG many times as large as the model's images is not unpacked at an eighth of its size, as ours are."""
    file = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[274] = orientation
    noisy(1400, 900).save(file, exif=exif, quality=95)
    table = {"image_processor_type": "ViTImageProcessor", "size": 32}
    prepare = read_image_processor(written(tmp_path, table))
    picture = pytest.importorskip("transformers.image_utils").load_image(str(file))
    expected, found = theirs("ViT", table, picture), prepare.array(prepare.fitted(prepare.read(file)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    ours = Preprocessing(size=32, fit="stretch", resampling="bilinear")
    assert np.abs(ours.array(ours.fitted(ours.read(file))) - found).max() > 1 / 255


def test_the_table_may_lie_in_the_file_of_the_whole_processor(tmp_path: Path) -> None:
    written(
        tmp_path,
        {"image_processor": {"image_processor_type": "ViTImageProcessor", "size": 24}},
        "processor_config.json",
    )
    written(tmp_path, {"image_processor_type": "ViTImageProcessor", "size": 96})
    assert read_image_processor(tmp_path).size == 24
    written(tmp_path, {"processor_class": "TrOCRProcessor"}, "processor_config.json")
    assert read_image_processor(tmp_path).size == 96


def test_the_model_says_which_class_a_file_without_one_is_for(tmp_path: Path) -> None:
    written(tmp_path, {"size": 64, "crop_size": 48})
    assert read_image_processor(tmp_path, kind="ViT").shape == (64, 64)
    assert read_image_processor(tmp_path, kind="CLIP").resize == (64,)
    assert read_image_processor(tmp_path, kind="DeiT").resize == (64, 64)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({"image_processor_type": "DonutImageProcessor"}, "image_processor_type: expected that of Beit"),
    "no resizing": ({"do_resize": False}, "do_resize: expected true"),
    "padding": ({"do_pad": True}, "do_pad"),
    "an edge and no crop": ({"size": {"shortest_edge": 32}}, "do_center_crop: expected true"),
    "a bound": ({"size": {"shortest_edge": 32, "longest_edge": 64}}, "a bound of the longer side"),
    "no width": ({"size": {"height": 32}}, "size: expected height and width"),
    "no size": ({"size": {}}, "size: expected height and width"),
    "a size of text": ({"size": "224"}, "size: Expected `int`"),
    "three sides": ({"size": [1, 2, 3]}, "size: "),
    "a negative size": ({"size": -3}, "size: Expected `int` >= 1"),
    "a huge size": ({"size": 2**40}, "size"),
    "a filter": ({"resample": 9}, "resample"),
    "a mean": ({"image_mean": [0.5, 0.5]}, "mean: expected 1 or 3 numbers, got 2"),
    "a deviation": ({"image_std": [0.0, 1.0, 1.0]}, "deviation"),
    "a factor": ({"rescale_factor": 0}, "rescale_factor"),
    "a shift": ({"rescale_offset": True}, "rescale_offset"),
    "a word": ({"do_normalize": "yes"}, "do_normalize"),
}


@pytest.mark.parametrize("which", list(REFUSED))
def test_what_attnkit_does_not_do_is_one_line(which: str, tmp_path: Path) -> None:
    table, expected = REFUSED[which]
    with pytest.raises(ValueError) as caught:
        read_image_processor(written(tmp_path, {"image_processor_type": "ViTImageProcessor", **table}))
    message = str(caught.value)
    assert message.startswith(f"[convert] {tmp_path / 'preprocessor_config.json'}: ") and expected in message
    assert "\n" not in message and len(message) < 1000


@pytest.mark.parametrize("text", ["", "[]", "{", '{"image_processor_type": 3}', "null"])
def test_a_broken_file_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ValueError, match=r"^\[convert\] .*preprocessor_config\.json: "):
        read_image_processor(tmp_path)


def test_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"preprocessor_config\.json: no such file"):
        read_image_processor(tmp_path)
