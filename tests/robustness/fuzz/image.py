"""Images of many formats and modes with bytes changed, or whose header promises what is not there."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from random import Random

import samples
from PIL import Image

from fuzz import mutate
from fuzz.job import Job

MODES = {
    "JPEG": ["RGB", "L", "CMYK"],
    "PNG": ["RGB", "RGBA", "P", "1", "LA", "I;16"],
    "GIF": ["P", "L"],
    "BMP": ["RGB", "P", "1"],
    "TIFF": ["RGB", "RGBA", "P", "CMYK", "LAB", "I;16", "F"],
    "WEBP": ["RGB", "RGBA"],
    "PPM": ["RGB", "L"],
    "JPEG2000": ["RGB", "L"],
}
ENDINGS = {"JPEG": "jpg", "TIFF": "tif", "JPEG2000": "jp2"}
USERS = ["caption", "classify-images", "classify-images-cnn"]
DRAWINGS: tuple[list[str], ...] = ([], ["--jsonl"], ["--attention", "a.html"], ["--attention", "a.png"])


def make(rng: Random, box: Path) -> Job:
    data, ending = _bomb(rng) if rng.random() < 0.03 else _picture(rng)
    if rng.random() < 0.1:
        ending = rng.choice(["jpg", "png", "gif"])
    (box / f"x.{ending}").write_bytes(data)
    name = rng.choice(USERS)
    samples.copy_model(name, box / "m")
    line = [samples.COMMANDS[name][0], "m", f"x.{ending}", *rng.choice(DRAWINGS)]
    return Job([line], {"m": f"models/{name}"})


def _picture(rng: Random) -> tuple[bytes, str]:
    width, height = rng.choice([(1, 1), (8, 8), (33, 17), (64, 48), (300, 200)])
    picture = Image.frombytes("RGB", (width, height), rng.randbytes(3 * width * height))
    kind = rng.choice(sorted(MODES))
    options: dict[str, object] = {}
    if kind == "TIFF":
        options["compression"] = rng.choice([None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
    if kind == "JPEG":
        options["progressive"] = rng.random() < 0.3
    if kind in ("JPEG", "PNG", "WEBP") and rng.random() < 0.5:
        exif = Image.Exif()
        exif[274] = rng.randrange(0, 10)  # the orientation
        options["exif"] = exif
    file = io.BytesIO()
    try:
        picture.convert(rng.choice(MODES[kind])).save(file, kind, **options)
    except (OSError, ValueError):  # not every mode goes with every compression, nor is every format built in
        file, kind = io.BytesIO(), "PNG"
        picture.save(file, kind)
    data = file.getvalue()
    return (mutate.bytes_of(data, rng) if rng.random() < 0.95 else data), ENDINGS.get(kind, kind.lower())


def _bomb(rng: Random) -> tuple[bytes, str]:
    """A PNG whose header claims far more than its data has."""
    sides = [10**4, 30_000, 65_535, 2**31 - 1]
    return png(rng.choice(sides), rng.choice(sides), rng.choice([0, 2]), zlib.compress(bytes(10**6))), "png"


def png(width: int, height: int, colour: int, compressed: bytes, extra: bytes = b"") -> bytes:
    """A PNG of 8 bits a channel around data that is compressed already. colour: 0 grey, 2 RGB, 6 RGBA."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
