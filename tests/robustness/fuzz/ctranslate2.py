"""CTranslate2's directories and Argos Translate's packages, with one file changed: converted, and where that is
possible, used."""

from __future__ import annotations

from pathlib import Path
from random import Random

import ctranslate2_files as files
import samples

from fuzz import mutate
from fuzz.job import Job

SHAPES = [
    files.Shape(),
    files.Shape(pre_norm=False, tie="all", zero_start=True, positions="halves", activation=files.SWISH),
    files.Shape(rows=(96, 90), tie="decoder", positions="learned", embedding_norm=True),
    files.Shape(gated=True, rms=True, biases=False, layers=(1, 1)),
]
KINDS = ["float32", "float16", "bfloat16", "int16", "int8", "int8"]


def make(rng: Random, box: Path) -> Job:
    shape = rng.choice(SHAPES)._replace(seed=rng.randrange(3))
    source = "m"
    if rng.random() < 0.7:
        said = {"add_source_eos": True, "layer_norm_epsilon": 1e-5} if rng.random() < 0.5 else {}
        files.write_folder(box / "m", shape, rng.choice(KINDS), rng.choice(["json", "txt"]), **said)
        if rng.random() < 0.3:
            older(box / "m" / "model.bin", shape, rng)
        if rng.random() < 0.9:
            change(rng.choice(sorted((box / "m").iterdir())), rng)
    else:
        source = "m.argosmodel"
        said = {"target_prefix": ""} if rng.random() < 0.5 else {}
        files.write_package(box / source, shape, rng.choice(KINDS), **said)
        package(box, rng)
    samples.copy_data(box)
    line = ["translate", "out", "-i", "data/held.en", "--max-length", "12", "--beam", rng.choice("12")]
    return Job(
        [["convert", source, "out"], [*line, "--precision", rng.choice(["fp32", "bf16", "int8"])]], {"data": "data"}
    )


def older(path: Path, shape: files.Shape, rng: Random) -> None:
    variables, aliases = files.random_model(shape)
    version, revision = rng.choice([(5, 5), (4, 3), (3, 3), (2, 2), (1, 1)])
    path.write_bytes(files.bin_of(files.renamed(variables, revision), aliases, version, revision=revision))


def package(box: Path, rng: Random) -> None:
    """The archive or one of its files changed; or its folder, as Argos Translate installs it."""
    archive, folder = box / "m.argosmodel", box / "m"
    if rng.random() < 0.4:
        archive.write_bytes(mutate.bytes_of(archive.read_bytes(), rng))
        return
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    change(rng.choice(paths), rng)
    members = {f"m/{path.relative_to(folder)}": path.read_bytes() for path in paths if path.exists()}
    archive.write_bytes(files.zip_of(members))


def change(path: Path, rng: Random) -> None:
    data = path.read_bytes()
    if rng.random() < 0.05:
        path.unlink()
    elif path.name == "model.bin" and data[:4] == b"\6\0\0\0":
        path.write_bytes(mutate.ctranslate2_bin_of(data, rng))
    else:
        mutate.file_of(path, rng)
