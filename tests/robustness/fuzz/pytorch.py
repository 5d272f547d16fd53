"""Public checkpoints whose weights PyTorch wrote, in both of its formats, with opcodes, numbers or members changed, or
of a pickle that was thrown together: converted, and where that is possible, used."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from random import Random

import numpy as np
import pytorch_files as files
import samples
from safetensors.numpy import load_file

from fuzz import mutate
from fuzz.job import Job

# What a pickle may hold: parts of sound ones, calls, objects, bombs.
PARTS = [
    *(b"(", b"]", b"}", b")", b"t", b"u", b"s", b"a", b"e", b"N", b"Q", b"R", b"b", b"0", b"2", b"1", b".", b"o", b"d"),
    *(b"\x80\x02", b"\x81", b"\x82\x01", b"\x85", b"\x86", b"\x87", b"\x88", b"\x89", b"\x92", b"\x93", b"\x94"),
    *(b"K\0", b"K\1", b"K\2", b"K\x10", b"M\0\1", b"J\xff\xff\xff\xff", b"G" + b"\x7f" * 8, b"\x8a\x08" + b"\xff" * 8),
    *(b"q\0", b"q\1", b"h\0", b"h\1", b"h\2", b"r\xff\xff\xff\x7f", b"j\xff\xff\0\0", b"\x95" + b"\xff" * 8),
    *(b"cos\nsystem\n", b"\x8c\x05posix\x8c\x06system\x93", b"(ios\nsystem\n", b"cbuiltins\neval\n", b"P0\n", b"I1\n"),
    *(b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n"),
    *(b"ctorch._utils\n_rebuild_parameter\n", files.text("storage"), files.text("0"), files.text("model")),
    *(files.storage("0", 2560), files.storage("1", 16), files.storage("../x", 16), files.storage("0", 2560, more=b"N")),
    *(files.tensor(files.storage("0", 2560), (160, 16)), files.tensor(files.storage("1", 16), (1, 1 << 61), (0, 0))),
    *(b"X\xff\xff\xff\x7f", b"\x8b\xff\xff\xff\x7f", b"B\xff\xff\xff\x7f", b"\x96" + b"\xff" * 8, b"\x8a\xff"),
    *(b"(" * 200, b"N" * 70_000, b"]" * 2000, b"\x85" * 5000, b"]a" * 5000, b"h\0" * 5000, b"}" * 3000),
]  # fmt: skip
NUMBERS = [0, 1, 2, 3, 15, 16, 17, 47, 127, 255, -1, 2**31, 2**32, 2**40, 2**60 - 1, 2**61, 2**62, 2**63 - 1]
KINDS = [f"{kind}Storage".encode() for kind in (*files.STORAGES.values(), "BFloat16", "Untyped")]
NAMES = [b"data.pkl", b"data/0", b"data/1", b"byteorder", b"little", b"version", b"archive/"]


def make(rng: Random, box: Path) -> Job:
    folder = samples.write_checkpoint(box / "m")
    arrays = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files.write(folder / "pytorch_model.bin", content(arrays, rng))
    samples.copy_data(box)
    return Job([["convert", "m", "out"], samples.use("marian", "out")], {"data": "data"})


def content(arrays: dict[str, np.ndarray], rng: Random) -> bytes:
    old = rng.random() < 0.4
    if rng.random() < 0.2:
        return thrown_together(rng, old)
    # That of a few tensors is no model, but is changed more often where it matters.
    names = sorted(arrays) if rng.random() < 0.6 else rng.sample(sorted(arrays), rng.randrange(1, 6))
    sound = files.saved({name: arrays[name] for name in names}, old, rng.choice([None, None, "model", "state_dict"]))
    if old or rng.random() < 0.4:
        return changed(sound, rng)
    # An archive around it that is sound lets a changed pickle be read.
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        members = {name.removeprefix("archive/"): archive.read(name) for name in archive.namelist()}
    return files.archive(members | {"data.pkl": changed(members["data.pkl"], rng)})


def changed(data: bytes, rng: Random) -> bytes:
    made = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        made = change(made, rng).ljust(64, b"\0")
    return bytes(made)


def thrown_together(rng: Random, old: bool) -> bytes:
    opcodes = b"".join(rng.choices(PARTS, k=rng.choice([2, 5, 20, 100])))
    if rng.random() < 0.5:
        opcodes = files.table({"model.shared.weight": files.tensor(files.storage("0", 2560), (160, 16)), "x": opcodes})
    numbers = {"0": bytes(10_240), "1": bytes(64)}
    if old:
        return files.legacy(opcodes, {key: (len(data) // 4, data) for key, data in numbers.items()})
    return files.zipped(opcodes, numbers)


def change(made: bytearray, rng: Random) -> bytearray:
    pickled = _pickled(made)
    at = rng.choice(pickled)
    match rng.randrange(9):
        case 0:
            made[at : at + rng.choice([0, 0, 1])] = rng.choice(PARTS)
        case 1:
            _change_number(made, pickled, rng)
        case 2:
            made[at] = rng.choice(PARTS)[0]
        case 3:
            old, new = rng.sample(KINDS, 2)
            return made.replace(b"torch\n" + old, b"torch\n" + new, rng.choice([1, 1000]))
        case 4:
            made[at:at] = made[at : at + rng.randrange(1, 60)]
        case 5:
            del made[at : at + rng.randrange(1, 20)]
        case 6:
            _change_directory(made, rng)
        case 7:
            return bytearray(mutate.bytes_of(bytes(made), rng))
        case 8:
            old, new = rng.sample(NAMES, 2)
            return made.replace(old, new[: len(old)].ljust(len(old), b"x"), rng.choice([1, 2, 1000]))
    return made


def _pickled(made: bytearray) -> range:
    """Where the pickles are, about."""
    begin, end = made.find(b"\x80\x02"), made.find(b"_metadata")
    return range(max(begin, 0), max(end + 60, begin + 2, 1) if end + 60 < len(made) else len(made))


def _change_number(made: bytearray, pickled: range, rng: Random) -> None:
    """One of a size, stride, offset, or count of a storage."""
    if places := [at for at in pickled if made[at : at + 1] == b"K"]:
        at = rng.choice(places)
        made[at : at + 2] = files.number(rng.choice(NUMBERS))


def _change_directory(made: bytearray, rng: Random) -> None:
    """A field of an archive's directory; of the older format a number of a storage."""
    entries = [at for at in range(len(made) - 46) if made[at : at + 4] in (b"PK\1\2", b"PK\3\4", b"PK\5\6")]
    form = rng.choice(["<H", "<I"])
    at = rng.choice(entries) + rng.randrange(4, 44) if entries else rng.randrange(len(made) - 8)
    value = rng.choice([0, 1, 8, 0xFFFF, 0xFFFFFFFF, len(made), rng.randrange(len(made))])
    if at + 4 <= len(made):
        struct.pack_into(form, made, at, value & (0xFFFF if form == "<H" else 0xFFFFFFFF))
