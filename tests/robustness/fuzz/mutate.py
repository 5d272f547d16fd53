"""Sound bytes, JSON, safetensors and files of Marian made unsound."""

from __future__ import annotations

import copy
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from attnkit.interop.marian_lexicon import checksum_of

VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, -(2**63), 10**30),
    *(0.5, -0.5, 1e300, 1e-300, float("nan"), float("inf"), "", "x", "transformer", "é\u202e\x1b[31m"),
    *("../../etc/passwd", "\0", "\ud800", [], {}, [1], {"a": 1}, [[[[]]]], "A" * 100_000),
]
SIZES = [0, 1, 127, 65535, 2**31 - 1, 2**31, 2**32 - 1]
KEYS = ["x", "beam", "type", "suppress", "heads", "max_length", ""]


def bytes_of(data: bytes, rng: Random) -> bytes:
    """Some bytes flipped, cut, repeated, put in, or replaced by sizes; the beginning more often than the rest."""
    made = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        if not made:
            return rng.randbytes(8)
        at = rng.randrange(len(made) if rng.random() < 0.5 else min(len(made), 256))
        match rng.randrange(9):
            case 0:
                made[at] ^= 1 << rng.randrange(8)
            case 1:
                made[at] = rng.choice([0, 1, 127, 128, 255])
            case 2:
                made[at : at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(SIZES))
            case 3:
                del made[at : at + rng.randrange(1, 40)]
            case 4:
                made[at:at] = rng.randbytes(rng.randrange(1, 40))
            case 5:
                del made[at:]
            case 6:
                begin = rng.randrange(len(made))
                made[at:at] = made[begin : begin + rng.randrange(1, 200)]
            case 7:
                made[at : at + 8] = struct.pack("<Q", rng.choice([*SIZES, 2**63, 2**64 - 1, len(made)]))
            case 8:
                made[at : at + rng.randrange(1, 30)] = b"\xff" * rng.randrange(1, 30)
    return bytes(made)


def table(value: Any, rng: Random) -> Any:
    """JSON's or TOML's values with a few keys gone, new, or of another value, size or type."""
    made = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        path = rng.choice(list(_paths(made)))
        if not path:
            if rng.random() < 0.1:
                return copy.deepcopy(rng.choice(VALUES))
            continue
        node = made
        for key in path[:-1]:
            node = node[key]
        _change(node, path[-1], rng)
    return made


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, (*path, key))


def _change(node: Any, key: Any, rng: Random) -> None:
    old, other = node[key], copy.deepcopy(rng.choice(VALUES))
    how = rng.randrange(6)
    if how == 0 and isinstance(node, dict):
        del node[key]
    elif how == 1 and isinstance(node, dict):
        node[rng.choice(KEYS)] = other
    elif how == 2 and isinstance(old, int | float) and not isinstance(old, bool):
        node[key] = rng.choice([old + 1, old - 1, old * 2, old * 1000, -old, old / 2])
    elif how == 3 and isinstance(old, list) and old:
        node[key] = rng.choice([old * 2, old[:-1], old[::-1], [other] * len(old)])
    else:
        node[key] = other


def json_of(value: Any, rng: Random) -> bytes:
    """Text of a changed JSON value; at times nested deeply, or with a key twice."""
    text = json.dumps(table(value, rng), ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.03:
        text = "[" * 100_000 + text
    if rng.random() < 0.03:
        text = text.replace("{", '{"format":1,', 1)
    return text.encode("utf-8", "surrogatepass")


def safetensors_of(data: bytes, rng: Random) -> bytes:
    """Header, offsets, shapes, types, names, values or alignment changed."""
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    name = rng.choice([each for each in header if each != "__metadata__"])
    entry, padding = header[name], b""
    match rng.randrange(8):
        case 0:
            return bytes_of(data, rng)
        case 1:
            header = table(header, rng)
        case 2:
            ends = [0, -1, 4, len(body), 2 * len(body), 2**63, 2**64, *entry["data_offsets"]]
            entry["data_offsets"] = [rng.choice(ends), rng.choice(ends)]
        case 3:
            entry["shape"] = rng.choice([[], [0], [-1], [2**63], [2**32, 2**32], [1] * 100, [0, 2**63], [3, 5]])
        case 4:
            entry["dtype"] = rng.choice(["F64", "F16", "BF16", "I32", "U8", "F8_E4M3", "BOOL", "X", "", 1])
        case 5:
            header[rng.choice(["x", f"{name}.", "é" * 10, "\n", name.upper()])] = header.pop(name)
        case 6:
            at, count = 4 * rng.randrange(len(body) // 4), rng.choice([1, 100, 10**5])
            value = struct.pack("<f", rng.choice([float("nan"), float("inf"), -float("inf"), 3e38, 1e-42]))
            body = (body[:at] + value * count)[: len(body)].ljust(len(body), b"\0")
        case 7:
            padding = b" " * rng.randrange(8)  # tensors that are not aligned
    text = json.dumps(header).encode() + padding
    size = rng.choice([0, 1, len(text) - 1, len(text) + 1, 2**40, 2**64 - 1]) if rng.random() < 0.05 else len(text)
    return struct.pack("<Q", size) + text + body


def file_of(path: Path, rng: Random) -> None:
    """A file changed after its kind."""
    data = path.read_bytes()
    if path.suffix == ".json" and rng.random() < 0.8:
        path.write_bytes(json_of(json.loads(data), rng))
    elif path.suffix == ".safetensors":
        path.write_bytes(safetensors_of(data, rng))
    else:
        path.write_bytes(bytes_of(data, rng))


def marian_bin_of(data: bytes, rng: Random) -> bytes:
    """Marian's binary format: lengths, types, ranks, sizes, names or numbers changed."""
    made, count = bytearray(data), struct.unpack_from("<Q", data, 8)[0]
    header = 16 + 32 * rng.randrange(count)
    names = 16 + 32 * count
    shapes = names + sum(struct.unpack_from("<Q", data, 16 + 32 * i)[0] for i in range(count))
    match rng.randrange(6):
        case 0:
            return bytes_of(data, rng)
        case 1:
            sizes = [*SIZES, 2**63, 2**64 - 1, len(data), 2, 4, 256]
            struct.pack_into("<Q", made, header + 8 * rng.randrange(4), rng.choice(sizes))
        case 2:
            kinds = [0x101, 0x102, 0x402, 0x404, 0x408, 0x802, 0x4101, 0x4102, 0x10001, 0x5101]
            struct.pack_into("<Q", made, header + 8, rng.choice(kinds))
        case 3:
            at = rng.randrange(names, shapes)
            made[at] = rng.choice([0, 0x1B, 0x2F, 0x80, 0xFF, *b"Wbl_1"])
        case 4:
            at = shapes + 4 * rng.randrange(2 * count - 1)
            struct.pack_into("<i", made, at, rng.choice([0, 1, -1, 2, 16, 24, 48, 95, 97, 2**31 - 1, -(2**31)]))
        case 5:
            at = rng.randrange(shapes, len(data) - 400) // 4 * 4
            value = rng.choice([float("nan"), float("inf"), -float("inf"), 3e38, 1e-42, 0.0, -1.0])
            for place in range(at, min(at + 4 * rng.choice([1, 64, 1000]), len(data) - 4), 4):
                struct.pack_into("<f", made, place, value)
    return bytes(made)


def ctranslate2_bin_of(data: bytes, rng: Random) -> bytes:
    """CTranslate2's model.bin of version 6: versions, counts, names, ranks, sizes, types, aliases, numbers changed."""
    made, headers, aliases = bytearray(data), *_ctranslate2_places(data)
    name, rank, body = rng.choice(headers)
    match rng.randrange(9):
        case 0:
            return bytes_of(data, rng)
        case 1:
            struct.pack_into("<I", made, rng.choice([0, 22]), rng.choice([*SIZES, 2, 3, 4, 5, 6, 7, 8]))
        case 2:
            struct.pack_into("<I", made, rng.choice([26, aliases]), rng.choice([*SIZES, 2, 3, len(headers) - 1]))
        case 3:
            made[rng.randrange(name + 2, rank - 1)] = rng.choice([0, 0x1B, 0x2F, 0x80, 0xFF, *b"ewl_01"])
        case 4:
            made[rank] = rng.choice([0, 1, 2, 3, 9, 255])
        case 5:
            at = rng.choice([*range(rank + 1, body - 5, 4), body - 4])
            struct.pack_into("<I", made, at, rng.choice([*SIZES, 2, 15, 16, 17, 32, 48, 95, 97]))
        case 6:
            made[body - 5] = rng.randrange(7)
        case 7:
            value = rng.choice([float("nan"), float("inf"), -float("inf"), 3e38, 1e-42, 0.0, -1.0])
            for place in range(body, min(body + 4 * rng.choice([1, 64]), len(data) - 4), 4):
                struct.pack_into("<f", made, place, value)
        case 8:
            made[rng.randrange(aliases, len(data))] = rng.choice([0, 1, 0x2F, 0x80, 0xFF, *b"ewl_01"])
    return bytes(made)


def _ctranslate2_places(data: bytes) -> tuple[list[tuple[int, int, int]], int]:
    """Where each variable's name, rank and numbers begin, and where the aliases do."""
    count, at, found = struct.unpack_from("<I", data, 26)[0], 30, []
    for _ in range(count):
        name = at
        rank = name + 2 + struct.unpack_from("<H", data, name)[0]
        body = rank + 1 + 4 * data[rank] + 5
        found.append((name, rank, body))
        at = body + struct.unpack_from("<I", data, body - 4)[0]
    return found, at


def lexicon_of(data: bytes, rng: Random) -> bytes:
    """A binary shortlist changed, with a checksum that says it is whole."""
    made = bytes_of(data, rng)[: rng.choice([None, len(data)])].ljust(48, b"\0")
    return made[:8] + struct.pack("<Q", checksum_of(made)) + made[16:]


def yaml_of(data: bytes, rng: Random) -> bytes:
    """Lines gone, twice, or of another value."""
    lines = data.decode().split("\n")
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(lines))
        key = lines[at].split(":")[0]
        value = rng.choice(
            [*map(json.dumps, VALUES), "&a [1]", "*a", "!!python/name:os.system", "{", "[" * 10_000, "~"]
        )
        match rng.randrange(5):
            case 0:
                del lines[at : at + 1 if len(lines) > 1 else 0]
            case 1:
                lines.insert(at, lines[at])
            case 2:
                lines[at] = f"{key}: {value}"
            case 3:
                lines[at] = f"  - {value}"
            case 4:
                return bytes_of("\n".join(lines).encode("utf-8", "surrogatepass"), rng)
    return "\n".join(lines).encode("utf-8", "surrogatepass")
