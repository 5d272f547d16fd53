"""Checkpoints as `torch.save` wrote them before PyTorch 1.6, and still does where it is asked to:

pickles of a magic number, of 1001, of what machine it was, of the object, and of the storages' keys in order
of each storage the count of its numbers, int64, and these
"""

from __future__ import annotations

from typing import Any, BinaryIO

from attnkit.interop.pytorch_pickle import MOST_BYTES, Machine
from attnkit.interop.pytorch_tensor import Rebuilder
from attnkit.printable import quoted
from attnkit.weights import item_size

MAGIC = 0x1950A86A20F9469CFC6C

_VERSION = 1001


def read_legacy(file: BinaryIO) -> tuple[Any, dict[str, int]]:
    """What was saved, and where the storages begin, by key. What is wrong with the file is a ValueError."""
    size = file.seek(0, 2)
    file.seek(0)
    rebuilder = Rebuilder()
    machine = Machine(file.read(MOST_BYTES), rebuilder.known, rebuilder.storage)
    if not _is(machine.load(), MAGIC):
        raise ValueError("expected a file of torch.save, got another pickle")
    if not _is(machine.load(), _VERSION):
        raise ValueError(f"expected the format's version {_VERSION}, got another")
    system = machine.load()
    if type(system) is not dict or system.get("little_endian") is not True:
        raise ValueError("expected little-endian numbers, got another order of bytes")
    saved = machine.load()
    return saved, _places(file, machine.load(), rebuilder, machine.place, size)


def _is(value: Any, number: int) -> bool:
    return type(value) is int and value == number


def _places(file: BinaryIO, keys: Any, rebuilder: Rebuilder, place: int, size: int) -> dict[str, int]:
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise ValueError("expected a list of the storages' keys, got another")
    if len(set(keys)) != len(keys) or set(keys) != rebuilder.storages.keys():
        raise ValueError("expected the key of each storage once, got others")
    places = {}
    for key in keys:
        storage = rebuilder.storages[key]
        file.seek(place)
        if (numbers := int.from_bytes(file.read(8), "little", signed=True)) != storage.numbers:
            raise ValueError(f"expected {storage.numbers:,} numbers of the storage {quoted(key)}, got {numbers:,}")
        places[key] = place = place + 8
        place += numbers * item_size(storage.type)
        if place > size:
            left = max(0, size - places[key])
            raise ValueError(f"expected {storage.size:,} bytes of the storage {quoted(key)}, got {left:,}")
    if place != size:
        raise ValueError(f"expected a file of {place:,} bytes by its storages, got {size:,}")
    return places
