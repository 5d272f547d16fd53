"""The pickles inside PyTorch's checkpoints, read by a machine of our own that cannot run code.

It knows the opcodes of a table, which is what `torch.save` writes of a state dict, and the few functions that whoever
runs it gives it by name. It imports nothing, looks nothing up in a module, sets no attribute, and calls no method of
what a file holds. All else is refused by name. What it makes is of plain types, and bounded before it is made: a pickle
of a few bytes may else ask for any amount of memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from attnkit.printable import printable, quoted, shortened

MOST_BYTES = 1 << 25
"""Bytes of a file's pickles: 32 MiB. A tensor takes about a hundred."""

_MOST_OPCODES = 1 << 21  # a tensor takes about thirty-five
_MOST_MEMOS = 1 << 20
_MOST_VALUES = 1 << 16  # on the stack above a mark; Python's pickler has 2,000
_DEEPEST = 100  # marks
_LONGEST_TEXT, _LONGEST_NAME, _LONGEST_INTEGER = 1 << 16, 1 << 8, 10  # bytes

# Opcodes that a pickle may have and a state dict has not: they make objects of classes, or belong to other protocols.
_REFUSED = {
    "i": "INST", "o": "OBJ", "\x81": "NEWOBJ", "\x92": "NEWOBJ_EX", "\x82": "EXT1", "\x83": "EXT2", "\x84": "EXT4",
    "P": "PERSID", "0": "POP", "1": "POP_MARK", "2": "DUP", "F": "FLOAT", "I": "INT", "L": "LONG", "S": "STRING",
    "V": "UNICODE", "d": "DICT", "l": "LIST", "g": "GET", "p": "PUT", "B": "BINBYTES", "C": "SHORT_BINBYTES",
    "\x8b": "LONG4", "\x8d": "BINUNICODE8", "\x8e": "BINBYTES8", "\x8f": "EMPTY_SET", "\x90": "ADDITEMS",
    "\x91": "FROZENSET", "\x96": "BYTEARRAY8", "\x97": "NEXT_BUFFER", "\x98": "READONLY_BUFFER",
}  # fmt: skip
_MODULES = ("torch.nn.", "transformers.", "__main__.")


class Global(NamedTuple):
    """What a pickle may name. call: what a call of it gives, of its arguments; None where it cannot be called."""

    name: str
    call: Callable[..., Any] | None = None


class Machine:
    """Runs the pickles that lie one behind the other in `data`. What is wrong with them is a ValueError that says so.

    known: what they may name. persistent: what a persistent id stands for.
    """

    def __init__(self, data: bytes, known: Mapping[str, Global], persistent: Callable[[Any], Any]) -> None:
        self.place = 0  # behind what was read
        self._data, self._known, self._persistent = data, known, persistent
        self._opcodes = 0
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks below each mark
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The object of the next pickle: None, numbers, text, lists, tuples, dictionaries, and what calls gave."""
        self._stack, self._below, self._memo = [], [], {}
        while (opcode := self._take(1)[0]) != _STOP:
            self._opcodes += 1
            if self._opcodes > _MOST_OPCODES:
                raise ValueError(f"expected at most {_MOST_OPCODES:,} opcodes, got more")
            action = _ACTIONS.get(opcode)
            if action is None:
                self._refuse(opcode)
            action(self)
        if self._below or len(self._stack) != 1:
            raise ValueError("expected one object in a pickle, got another number")
        return self._stack.pop()

    def _refuse(self, opcode: int) -> NoReturn:
        name = _REFUSED.get(chr(opcode))
        if name == "INST":
            raise ValueError(_refusal(f"{self._line()}.{self._line()}"))
        if name is not None:
            raise ValueError(f"expected a checkpoint of tensors alone, got a pickle with the opcode {name}")
        raise ValueError(f"expected a pickle, got the byte {opcode:#04x} at {self.place - 1:,}")

    # ----- Bytes

    def _take(self, count: int) -> bytes:
        end = self.place + count
        if end > len(self._data):
            raise ValueError(f"expected a whole pickle, got one that ends after {len(self._data):,} bytes")
        data = self._data[self.place : end]
        self.place = end
        return data

    def _number(self, count: int) -> int:
        return int.from_bytes(self._take(count), "little")

    def _line(self) -> str:
        end = self._data.find(b"\n", self.place, self.place + _LONGEST_NAME + 1)
        if end < 0:
            raise ValueError(f"expected a name of at most {_LONGEST_NAME} bytes, got another")
        line = self._data[self.place : end]
        self.place = end + 1
        return line.decode("utf-8", "replace")

    def _text(self, width: int) -> None:
        length = self._number(width)
        if length > _LONGEST_TEXT:
            raise ValueError(f"expected text of at most {_LONGEST_TEXT:,} bytes, got {length:,}")
        data = self._take(length)
        try:
            self._push(data.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise ValueError(f"expected text in UTF-8, got {quoted(data)}") from None

    # ----- Stack and memo

    def _push(self, value: Any) -> None:
        if len(self._stack) >= _MOST_VALUES:
            raise ValueError(f"expected at most {_MOST_VALUES:,} values at once, got more")
        self._stack.append(value)

    def _pop(self) -> Any:
        if not self._stack:
            raise ValueError("expected a value on the stack of a pickle, got none")
        return self._stack.pop()

    def _top(self, kind: type, what: str) -> Any:
        """The value on top, which stays: of one of the types that the machine makes itself, never of another."""
        value = self._pop()
        if type(value) is not kind:
            raise ValueError(f"expected a {kind.__name__} to {what}, got {_kind(value)}")
        self._push(value)
        return value

    def _mark(self) -> None:
        if len(self._below) >= _DEEPEST:
            raise ValueError(f"expected at most {_DEEPEST} levels, got more")
        self._below.append(self._stack)
        self._stack = []

    def _to_mark(self) -> list[Any]:
        if not self._below:
            raise ValueError("expected a mark on the stack of a pickle, got none")
        values, self._stack = self._stack, self._below.pop()
        return values

    def _keep(self, index: int) -> None:
        if index >= _MOST_MEMOS:
            raise ValueError(f"expected at most {_MOST_MEMOS:,} values kept, got the number {index:,}")
        value = self._pop()
        self._memo[index] = value
        self._push(value)

    def _get(self, index: int) -> None:
        if index not in self._memo:
            raise ValueError(f"expected a value kept as {index:,}, got none")
        self._push(self._memo[index])

    # ----- Values

    def _protocol(self) -> None:
        if (version := self._take(1)[0]) > 5:
            raise ValueError(f"expected a pickle of protocol 5 at the most, got {version}")

    def _frame(self) -> None:
        """A length, for those who read from a stream."""
        self._take(8)

    def _integer(self) -> None:
        length = self._take(1)[0]
        if length > _LONGEST_INTEGER:
            raise ValueError(f"expected an integer of at most {_LONGEST_INTEGER} bytes, got {length}")
        self._push(int.from_bytes(self._take(length), "little", signed=True))

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(values)))

    def _append(self, values: list[Any]) -> None:
        self._top(list, "append to").extend(values)

    def _set(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise ValueError("expected a value for each key, got one without")
        table = self._top(dict, "set keys of")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Other types may be slow to hash, or to tell apart.
            if type(key) is not str and not (type(key) is int and -(2**63) <= key < 2**64):
                raise ValueError(f"expected keys of text, got {_kind(key)}")
            table[key] = value

    def _build(self) -> None:
        """An OrderedDict may have attributes, as a state dict has `_metadata`; there is nothing to read in them."""
        if type(self._pop()) is not dict:
            raise ValueError("expected attributes of a dict, got others")
        self._top(dict, "give attributes to")

    def _global(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise ValueError(f"expected a name of text, got {_kind(module)} and {_kind(name)}")
        full = f"{module}.{name}"
        if full not in self._known:
            raise ValueError(_refusal(full))
        self._push(self._known[full])

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, called = self._pop(), self._pop()
        if type(called) is not Global or called.call is None or type(arguments) is not tuple:
            name = called.name if type(called) is Global else _kind(called)
            raise ValueError(f"expected a checkpoint of tensors alone, got a call of {name}")
        self._push(called.call(*arguments))


_STOP = ord(".")
_ACTIONS: dict[int, Callable[[Machine], None]] = {
    0x80: Machine._protocol,
    0x95: Machine._frame,
    ord("("): Machine._mark,
    ord("N"): lambda machine: machine._push(None),
    0x88: lambda machine: machine._push(True),
    0x89: lambda machine: machine._push(False),
    ord("J"): lambda machine: machine._push(int.from_bytes(machine._take(4), "little", signed=True)),
    ord("K"): lambda machine: machine._push(machine._number(1)),
    ord("M"): lambda machine: machine._push(machine._number(2)),
    0x8A: Machine._integer,
    ord("G"): lambda machine: machine._push(struct.unpack(">d", machine._take(8))[0]),
    ord("X"): lambda machine: machine._text(4),
    0x8C: lambda machine: machine._text(1),
    ord("T"): lambda machine: machine._text(4),  # of Python 2
    ord("U"): lambda machine: machine._text(1),
    ord(")"): lambda machine: machine._push(()),
    ord("t"): lambda machine: machine._push(tuple(machine._to_mark())),
    0x85: lambda machine: machine._tuple(1),
    0x86: lambda machine: machine._tuple(2),
    0x87: lambda machine: machine._tuple(3),
    ord("]"): lambda machine: machine._push([]),
    ord("a"): lambda machine: machine._append([machine._pop()]),
    ord("e"): lambda machine: machine._append(machine._to_mark()),
    ord("}"): lambda machine: machine._push({}),
    ord("s"): lambda machine: machine._set([machine._pop(), machine._pop()][::-1]),
    ord("u"): lambda machine: machine._set(machine._to_mark()),
    ord("q"): lambda machine: machine._keep(machine._number(1)),
    ord("r"): lambda machine: machine._keep(machine._number(4)),
    0x94: lambda machine: machine._keep(len(machine._memo)),
    ord("h"): lambda machine: machine._get(machine._number(1)),
    ord("j"): lambda machine: machine._get(machine._number(4)),
    ord("c"): lambda machine: machine._global(machine._line(), machine._line()),
    0x93: Machine._stack_global,
    ord("R"): Machine._reduce,
    ord("b"): Machine._build,
    ord("Q"): lambda machine: machine._push(machine._persistent(machine._pop())),
}


def _kind(value: Any) -> str:
    """Never the value itself: it may be large."""
    return value.name if type(value) is Global else f"a value of type {type(value).__name__}"


def _refusal(name: str) -> str:
    shown = shortened(printable(name), 100)
    if name.startswith(_MODULES):
        return f"expected a checkpoint of tensors alone, got a whole module, {shown}; save its state_dict()"
    return f"expected a checkpoint of tensors alone, got a call of {shown}"
