"""What the hub needs of `attnkit.interop`, a room above it: the one place where it looks up, and only when it must."""

from __future__ import annotations

import hashlib
from pathlib import Path


def unpacked(file: Path, most: int) -> bytes:
    """The content of a file that may be packed, up to `most` bytes. Raises OSError or ValueError, naming it."""
    from attnkit.interop.compressed import read_published

    return read_published(file, most)


def sha256_of(file: Path, most: int) -> tuple[str, int]:
    """Of a file's content, unpacked: the digest and the size."""
    content = unpacked(file, most)
    return hashlib.sha256(content).hexdigest(), len(content)


def convert(source: Path, directory: Path) -> list[str]:
    """Makes the model directory of a folder in a public format; returns what there is to say of it, a line each."""
    from attnkit.interop.convert import convert as convert_folder

    return convert_folder(source, directory).left_out
