"""PyTorch's files, written without PyTorch: sound ones, and any pickle that somebody may put into one."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
VERSION = b"\x80\x02M\xe9\x03."
STORAGES = {"f4": "Float", "f2": "Half", "f8": "Double", "i8": "Long", "i4": "Int", "u1": "Byte", "b1": "Bool"}


# ----- Opcodes of protocol 2


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def named(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def called(name: str, *arguments: bytes) -> bytes:
    return named(name) + b"(" + b"".join(arguments) + b"tR"


def table(items: Mapping[str, bytes], begin: bytes = b"}") -> bytes:
    return begin + b"(" + b"".join(text(name) + value for name, value in items.items()) + b"u"


def storage(key: str, count: int, kind: str = "Float", more: bytes = b"", device: str = "cpu") -> bytes:
    saved = (text("storage"), named(f"torch.{kind}Storage"), text(key), text(device), number(count), more)
    return b"(" + b"".join(saved) + b"tQ"


def tensor(of: bytes, shape: tuple[int, ...], strides: tuple[int, ...] | None = None, offset: int = 0) -> bytes:
    """`of`: the storage. strides: without them those of numbers one behind the other."""
    if strides is None:
        strides = tuple(int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape)))
    hooks = named("collections.OrderedDict") + b")R"
    return called(
        "torch._utils._rebuild_tensor_v2", of, number(offset), numbers(shape), numbers(strides), b"\x89", hooks
    )


def tensors(arrays: Mapping[str, np.ndarray], legacy: bool = False) -> dict[str, bytes]:
    """The opcodes of each array, over a storage of its own, whose key is its number."""
    more = b"N" if legacy else b""
    kinds = [STORAGES[array.dtype.str[1:]] for array in arrays.values()]
    return {
        name: tensor(storage(str(key), array.size, kind, more), array.shape)
        for key, ((name, array), kind) in enumerate(zip(arrays.items(), kinds, strict=True))
    }


def pickle(opcodes: bytes) -> bytes:
    return b"\x80\x02" + opcodes + b"."


# ----- Files


def archive(members: Mapping[str, bytes], name: str = "archive") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as made:
        for member, content in members.items():
            made.writestr(zipfile.ZipInfo(f"{name}/{member}"), content)
    return file.getvalue()


def zipped(opcodes: bytes, storages: Mapping[str, bytes] | None = None, **members: bytes) -> bytes:
    """An archive with this pickle and these storages by key. members: others, by name."""
    data = {f"data/{key}": content for key, content in (storages or {}).items()}
    return archive({"data.pkl": pickle(opcodes), "byteorder": b"little", "version": b"3\n"} | data | members)


def legacy(opcodes: bytes, storages: Mapping[str, tuple[int, bytes]] | None = None, little: bool = True) -> bytes:
    """A file of the older format. storages: of each its count of numbers and its bytes."""
    system = table({"protocol_version": b"M\xe9\x03", "little_endian": b"\x88" if little else b"\x89"})
    keys = b"](" + b"".join(map(text, storages or {})) + b"e"
    data = b"".join(struct.pack("<q", count) + content for count, content in (storages or {}).values())
    return MAGIC + VERSION + pickle(system) + pickle(opcodes) + pickle(keys) + data


def saved(arrays: Mapping[str, np.ndarray], old: bool = False, under: str | None = None) -> bytes:
    """A sound state dict of these arrays. under: the key that it lies under."""
    opcodes = table(tensors(arrays, old), named("collections.OrderedDict") + b")R")
    # As PyTorch writes it: the attribute _metadata of an OrderedDict.
    opcodes += table({"_metadata": b"}"}) + b"b"
    if under is not None:
        opcodes = table({under: opcodes, "epoch": number(3)})
    contents = [(array.size, np.ascontiguousarray(array).tobytes()) for array in arrays.values()]
    if old:
        return legacy(opcodes, {str(key): content for key, content in enumerate(contents)})
    return zipped(opcodes, {str(key): data for key, (_, data) in enumerate(contents)})


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
