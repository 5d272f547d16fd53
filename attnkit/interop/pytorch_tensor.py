"""The tensors that a pickle of PyTorch describes: views of storages, whose numbers lie elsewhere in the file.

A view is checked against its storage, and the reader of the container checks the storage against the bytes that are
there. PyTorch's own reader of weights alone trusted both too long (CVE-2026-24747).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from attnkit.interop.pytorch_pickle import Global
from attnkit.printable import quoted
from attnkit.weights import item_size

MOST_STORAGES = 1 << 16
"""Many times what the largest model has."""

_TYPES = {
    "Float": "F32", "Half": "F16", "BFloat16": "BF16", "Double": "F64",
    "Long": "I64", "Int": "I32", "Short": "I16", "Char": "I8", "Byte": "U8", "Bool": "BOOL",
}  # fmt: skip
_MAX_RANK = 32
_MOST_REPEATED = 16  # a view may have so many times the numbers of its storage: a row for every head, say
_MOST_NUMBERS = 1 << 60


class Storage(NamedTuple):
    """numbers: how many it says that it has."""

    key: str
    type: str
    numbers: int

    @property
    def size(self) -> int:
        """In bytes."""
        return self.numbers * item_size(self.type)


class StoredTensor(NamedTuple):
    """A view of a storage. offset, strides: in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def extent(self) -> int:
        """The numbers from its first to its last, as they lie."""
        if 0 in self.shape:
            return 0
        return 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))


class Rebuilder:
    """What a pickle may name and call, and the storages that it has named."""

    def __init__(self) -> None:
        self.storages: dict[str, Storage] = {}
        calls: dict[str, Callable[..., Any]] = {
            "collections.OrderedDict": _ordered_dict,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": _parameter,
        }
        self.known = {name: Global(name, call) for name, call in calls.items()}
        self.known |= {name: Global(name) for name in (f"torch.{kind}Storage" for kind in _TYPES)}

    def storage(self, saved: Any) -> Storage:
        """Of a persistent id: "storage", its type, key, device and count of numbers; in the legacy format also None."""
        if type(saved) is tuple and saved and type(saved[0]) is str and saved[0] == "module":
            raise ValueError("expected a checkpoint of tensors alone, got a whole module; save its state_dict()")
        if type(saved) is not tuple or len(saved) not in (5, 6) or type(saved[0]) is not str or saved[0] != "storage":
            raise ValueError("expected the id of a storage, got another")
        kind, key, _, numbers, *view = saved[1:]
        if type(kind) is not Global or not kind.name.endswith("Storage"):
            raise ValueError("expected a storage of a type that is read, got another")
        if type(key) is not str or type(numbers) is not int or not 0 <= numbers < _MOST_NUMBERS:
            raise ValueError("expected a storage with a key and a count of numbers, got others")
        if view and view[0] is not None:
            raise ValueError("expected storages, got a view of a storage, as only old versions of PyTorch wrote")
        return self._remember(Storage(key, _TYPES[kind.name.removeprefix("torch.").removesuffix("Storage")], numbers))

    def _remember(self, storage: Storage) -> Storage:
        known = self.storages.setdefault(storage.key, storage)
        if known != storage:
            raise ValueError(f"expected the storage {quoted(storage.key)} of one type and size, got two")
        if len(self.storages) > MOST_STORAGES:
            raise ValueError(f"expected at most {MOST_STORAGES:,} storages, got more")
        return known


def _ordered_dict(*arguments: Any) -> dict[str, Any]:
    if arguments:
        raise ValueError("expected an OrderedDict whose keys are set one by one, got one made of something else")
    return {}


def _tensor(*arguments: Any) -> StoredTensor:
    """storage, offset, shape, strides, requires_grad, hooks and, from PyTorch 2.0 on, metadata."""
    if len(arguments) not in (6, 7) or type(arguments[0]) is not Storage:
        raise ValueError("expected a tensor over a storage, got another")
    storage, offset, shape, strides = arguments[:4]
    if len(arguments) == 7 and arguments[6]:
        raise ValueError("expected plain tensors, got one that is the negative or the conjugate of its storage")
    if not (_are_sizes(shape) and _are_sizes(strides) and _are_sizes((offset,))) or len(shape) != len(strides):
        raise ValueError(f"expected offset, shape and strides of at most {_MAX_RANK} sizes, none negative, got others")
    if math.prod(max(size, 1) for size in shape) >= _MOST_NUMBERS:
        raise ValueError(f"expected a tensor that fits a memory, got {quoted(list(shape))}")
    # What is not repeated has any stride, even one that no memory has.
    strides = tuple(stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True))
    tensor = StoredTensor(storage, offset, shape, strides)
    if offset + tensor.extent > storage.numbers:
        raise ValueError(f"expected views within their storages, got {_shown(tensor)}")
    if math.prod(shape) > _MOST_REPEATED * storage.numbers:
        raise ValueError(f"expected a storage that is not repeated so often, got {_shown(tensor)}")
    return tensor


def _shown(tensor: StoredTensor) -> str:
    sizes = f"a tensor {quoted(list(tensor.shape))} with strides {quoted(list(tensor.strides))}"
    return f"{sizes} at {quoted(tensor.offset)} of {tensor.storage.numbers:,} numbers"


def _parameter(*arguments: Any) -> StoredTensor:
    """data, requires_grad and hooks."""
    if len(arguments) != 3 or type(arguments[0]) is not StoredTensor:
        raise ValueError("expected a parameter over a tensor, got another")
    return arguments[0]


def _are_sizes(values: Any) -> bool:
    return type(values) is tuple and len(values) <= _MAX_RANK and all(type(x) is int and x >= 0 for x in values)
