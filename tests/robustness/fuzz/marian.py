"""Marian's own files, as Bergamot and OPUS-MT publish them, with one changed, or a model that says of itself what is
not true: converted, and where that is possible, used."""

from __future__ import annotations

import gzip
from pathlib import Path
from random import Random
from typing import Any

import marian_files as files
import samples

from fuzz import mutate
from fuzz.job import Job

VOCABULARY = 96
SHAPES: list[dict[str, Any]] = [
    {}, files.SELF_ATTENTION, files.PRE_NORM, files.PRE_NORM | files.SELF_ATTENTION, {"dec-depth": 2},
    {"tied-embeddings-all": False}, {"tied-embeddings-all": False, "tied-embeddings": True},
    {"tied-embeddings-all": False, "tied-embeddings-src": True}, {"transformer-ffn-activation": "swish"},
]  # fmt: skip


def make(rng: Random, box: Path) -> Job:
    options = files.config(dim_vocabs=[VOCABULARY] * 2) | rng.choice(SHAPES)
    said = mutate.table(options, rng) if rng.random() < 0.4 else options
    folder, seed = box / "m", rng.randrange(4)
    if rng.random() < 0.6:
        files.write_student(folder, options, seed, int8=rng.random() < 0.7, said=as_options(said))
    else:
        files.write_opus(folder, options, seed, said=as_options(said))
    samples.copy_data(box)
    if said is options or rng.random() < 0.2:
        path = rng.choice(sorted(folder.iterdir()))
        change(path, rng)
        if rng.random() < 0.2:
            pack(path, rng)
    line = ["translate", "out", "-i", "data/held.en", "--max-length", "12", "--beam", rng.choice("12")]
    return Job(
        [["convert", "m", "out"], [*line, "--precision", rng.choice(["fp32", "bf16", "int8"])]], {"data": "data"}
    )


def as_options(said: Any) -> dict[str, Any]:
    return said if isinstance(said, dict) else {"x": said}


def change(path: Path, rng: Random) -> None:
    data = path.read_bytes()
    if rng.random() < 0.05:
        path.unlink()
    elif path.name.startswith("lex"):
        path.write_bytes((mutate.lexicon_of if rng.random() < 0.8 else mutate.bytes_of)(data, rng))
    elif path.suffix == ".bin":
        path.write_bytes(mutate.marian_bin_of(data, rng))
    elif path.suffix == ".yml":
        path.write_bytes(mutate.yaml_of(data, rng))
    else:
        path.write_bytes(mutate.bytes_of(data, rng))


def pack(path: Path, rng: Random) -> None:
    """At times once more changed, or cut."""
    if path.exists():
        data = gzip.compress(path.read_bytes(), mtime=0)
        path.unlink()
        path.with_name(f"{path.name}.gz").write_bytes(mutate.bytes_of(data, rng) if rng.random() < 0.3 else data)
