"""IDX files, as MNIST has them, whose sizes, bytes or packing are wrong."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from random import Random

from fuzz import mutate
from fuzz.job import Job

TOML = """task = "classify"
[data]
format = "idx"
root = "."
train = ["images", "labels"]
validation = ["images", "labels"]
[image]
size = 6
channels = 1
[model]
type = "cnn"
channels = 1
widths = [4]
blocks = 1
[training]
max_steps = 2
"""


def make(rng: Random, box: Path) -> Job:
    count = rng.choice([0, 1, 8, 20])
    images = idx((count, 6, 6), rng.randbytes(count * 36))
    labels = idx((count,), bytes(rng.randrange(3) for _ in range(count)))
    if rng.random() < 0.6:
        images = mutate.bytes_of(images, rng)
    if rng.random() < 0.4:
        labels = mutate.bytes_of(labels, rng)
    if rng.random() < 0.1:
        images = idx((2**16, 2**16, 1), b"")
    if rng.random() < 0.3:
        images = gzip.compress(images, mtime=0)
        images = mutate.bytes_of(images, rng) if rng.random() < 0.5 else images
    (box / "images").write_bytes(images)
    (box / "labels").write_bytes(labels)
    (box / "t.toml").write_text(TOML)
    return Job([["train", "t.toml", "--out", "out"]])


def idx(sizes: tuple[int, ...], data: bytes) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes) + data
