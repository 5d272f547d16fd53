"""How a checkpoint of transformers' prepares images: preprocessor_config.json as `Preprocessing`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from attnkit import typed
from attnkit.interop.hf_config import decode, read_table
from attnkit.models.config import Positive
from attnkit.printable import quoted, shortened
from attnkit.vision.preprocessing import Preprocessing

FILE = "preprocessor_config.json"
WHOLE_FILE = "processor_config.json"
"""What has the same table under "image_processor", beside that of a tokenizer; it comes first where both are there."""

FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's filters by their numbers."""

_HALF = (0.5, 0.5, 0.5)
_CLIP_MEAN, _CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

Numbers = float | tuple[float, ...]


class _Size(msgspec.Struct, frozen=True):
    """A table of sizes, of which a processor has some."""

    height: Positive | None = None
    width: Positive | None = None
    shortest_edge: Positive | None = None
    longest_edge: Positive | None = None
    max_height: Positive | None = None
    max_width: Positive | None = None


def _square(side: int) -> _Size:
    return _Size(height=side, width=side)


class _Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What a class of image processors does where a file does not say.

    edge: whether a `size` of one number is the shorter side's; otherwise it is a square.
    """

    size: _Size
    resample: int
    mean: tuple[float, ...] = _HALF
    deviation: tuple[float, ...] = _HALF
    edge: bool = False
    crop: int | None = None


_LIKE_CLIP = _Kind(
    size=_Size(shortest_edge=224), resample=3, mean=_CLIP_MEAN, deviation=_CLIP_DEVIATION, edge=True, crop=224
)
_KINDS = {
    "Beit": _Kind(size=_square(224), resample=3),
    "Bit": _LIKE_CLIP,
    "Blip": _Kind(size=_square(384), resample=3, mean=_CLIP_MEAN, deviation=_CLIP_DEVIATION),
    "CLIP": _LIKE_CLIP,
    "ChineseCLIP": _LIKE_CLIP,
    "DeiT": _Kind(size=_Size(256, 256), resample=3, crop=224),
    "Siglip": _Kind(size=_square(224), resample=3, edge=True),
    "ViT": _Kind(size=_square(224), resample=2),
}
_ENDINGS = ("Pil", "Fast", "ImageProcessor", "FeatureExtractor")


class _Processor(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that decide about pixels. None: as the class has it."""

    image_processor_type: str | None = None
    feature_extractor_type: str | None = None
    size: Any = None
    crop_size: Any = None
    resample: Annotated[int, Meta(ge=0, le=5)] | None = None
    do_resize: bool | None = None
    do_center_crop: bool | None = None
    do_rescale: bool | None = None
    do_normalize: bool | None = None
    rescale_factor: Annotated[float, Meta(gt=0, le=1e6)] | None = None
    image_mean: Numbers | None = None
    image_std: Numbers | None = None
    do_pad: Literal[False] | None = None
    rescale_offset: Literal[False] | None = None


def read_image_processor(folder: Path, channels: int = 3, kind: str = "ViT") -> Preprocessing:
    """What `preprocessor_config.json`, or the part of `processor_config.json`, in a checkpoint's folder says.

    channels: of the model. kind: the class of image processors ("ViT", "DeiT", "CLIP", "Blip") of a file that names
    none. Raises FileNotFoundError, or ValueError, naming the file, for what attnkit does not do to images.
    """
    file, table = _found(folder)
    said = decode(table, _Processor, file)
    try:
        return _preprocessing(said, _kind_of(said, kind), channels)
    except ValueError as error:
        raise ValueError(f"[convert] {file}: {shortened(str(error), 500)}") from None


def _found(folder: Path) -> tuple[Path, dict[str, Any]]:
    if (whole := folder / WHOLE_FILE).is_file():
        part = read_table(whole).get("image_processor")
        if isinstance(part, dict):
            return whole, part
    return folder / FILE, read_table(folder / FILE)


def _kind_of(said: _Processor, kind: str) -> _Kind:
    name = said.image_processor_type or said.feature_extractor_type or kind
    short = name
    for ending in _ENDINGS:
        short = short.removesuffix(ending)
    if short not in _KINDS:
        known = ", ".join(sorted(_KINDS))
        raise ValueError(f"image_processor_type: expected that of {known}, got {quoted(name)}")
    return _KINDS[short]


def _preprocessing(said: _Processor, kind: _Kind, channels: int) -> Preprocessing:
    if said.do_resize is False:
        raise ValueError("do_resize: expected true, got false: the model reads images of one size only")
    crops = said.do_center_crop if said.do_center_crop is not None else kind.crop is not None
    crop = _size_of(said.crop_size, "crop_size", _square(kind.crop or 224), edge=False) if crops else None
    geometry = _geometry(_size_of(said.size, "size", kind.size, kind.edge), crop)
    filter_ = FILTERS[kind.resample if said.resample is None else said.resample]
    return made(channels=channels, resampling=filter_, **geometry, **_scaling(said, kind))


def made(**keys: Any) -> Preprocessing:
    """Raises ValueError for numbers that none has. Pixels are to be those of the library that the keys come from."""
    return typed.convert({"shortcuts": False, **keys}, Preprocessing)


def _size_of(found: Any, key: str, default: _Size, edge: bool) -> _Size:
    """A size in any of the forms of ten years: a number, [height, width], a table."""
    if found is None:
        return default
    try:
        if isinstance(found, dict):
            return typed.convert(found, _Size)
        if isinstance(found, list):
            return _Size(*typed.convert(found, tuple[Positive, Positive]))
        side = typed.convert(found, Positive)
        return _Size(shortest_edge=side) if edge else _square(side)
    except msgspec.ValidationError as error:
        raise ValueError(f"{key}: {error}") from None


def _geometry(size: _Size, crop: _Size | None) -> dict[str, Any]:
    if size.longest_edge or size.max_height or size.max_width:
        raise ValueError("size: expected height and width, or shortest_edge, got a bound of the longer side")
    if crop is not None and (crop.height is None or crop.width is None):
        raise ValueError("crop_size: expected height and width")
    if size.shortest_edge is not None:
        if crop is None:
            raise ValueError(
                "do_center_crop: expected true with size.shortest_edge: the model reads images of one size"
            )
        return {"fit": "crop", "resize": (size.shortest_edge,), **_sides(crop)}
    if size.height is None or size.width is None:
        raise ValueError("size: expected height and width, or shortest_edge")
    if crop is None or crop == size:
        return {"fit": "stretch", **_sides(size)}
    return {"fit": "stretch", "resize": (size.height, size.width), **_sides(crop)}


def _sides(size: _Size) -> dict[str, Any]:
    return {"size": size.height, "width": size.width if size.width != size.height else None}


def _scaling(said: _Processor, kind: _Kind) -> dict[str, Any]:
    """`mean` and `deviation` of numbers from 0 to 1, which another factor than 1 / 255 does not make."""
    mean, deviation = (_numbers(said.image_mean, kind.mean), _numbers(said.image_std, kind.deviation))
    if said.do_normalize is False:
        mean, deviation = (0.0,), (1.0,)
    factor = 1.0 if said.do_rescale is False else said.rescale_factor or 1 / 255
    unit = 255 * factor
    return {"mean": [each / unit for each in mean], "deviation": [each / unit for each in deviation]}


def _numbers(said: Numbers | None, default: tuple[float, ...]) -> tuple[float, ...]:
    if said is None:
        return default
    return said if isinstance(said, tuple) else (said,)
