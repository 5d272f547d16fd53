"""Small image files that several test files use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def gradient(width: int = 12, height: int = 8) -> Image.Image:
    """No two corners and no two channels alike."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, (x + y) / 2], axis=2).astype(np.uint8))


def write_bad_images(folder: Path) -> dict[str, str]:
    """Files that cannot be read as one picture, each with a part of the message that it deserves."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    gradient(64, 64).save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:200])
    gradient(64, 64).save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:500])
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    Image.new("1", (12_000, 12_000)).save(folder / "bomb.png")
    Image.new("1", (20_000, 20_000)).save(folder / "great-bomb.png")
    Image.new("1", (1, (1 << 20) + 1)).save(folder / "column.png")
    Image.fromarray(np.ones((4, 4), np.float32)).save(folder / "float.tif")
    (folder / "whole.png").unlink()
    (folder / "whole.jpg").unlink()
    return {
        "empty.png": "got an empty file",
        "text.jpg": "expected an image, got something else",
        "cut.png": "got a broken one",
        "cut.jpg": "got a broken one",
        "moving.gif": "expected one picture, got 3 frames",
        "bomb.png": "expected at most 134,217,728 pixels, got 12,000 × 12,000",
        "great-bomb.png": "expected at most 134,217,728 pixels, got many more",
        "column.png": "expected sides of at most 1,048,576 pixels, got 1 × 1,048,577",
        "float.tif": "got floating-point numbers",
    }
