"""Module: a part of a model that owns parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, Protocol, Self, TypeVar, cast, get_args

import numpy as np

from attnkit import _core
from attnkit._core import Tensor
from attnkit._tensor import DType, float_array
from attnkit.nn import hooks

if TYPE_CHECKING:
    P = ParamSpec("P")
    R = TypeVar("R", covariant=True)

    class _Forwards(Protocol[P, R]):
        def forward(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    class _Call:
        """For type checkers: to call a module is to call its forward. Of an overloaded one they see the first face
        alone, so that such a class tells them `__call__ = forward`."""

        def __get__(self, module: _Forwards[P, R], owner: type | None = None) -> Callable[P, R]: ...


class Module:
    """Base of all layers and models, as in PyTorch.

    A tensor with requires_grad that is set as an attribute is a parameter, a Module is a child. What a module learns
    otherwise than by gradients (running statistics) is a buffer: saved and loaded like a parameter, and no parameter.
    Subclasses write `forward`; calling the module calls it.
    """

    training: bool
    returns_weights: ClassVar[bool] = False
    """Whether forward takes return_weights=True, and then gives its weights behind what it gives without."""
    _hooks: hooks.Hooks | None = None

    def __init__(self) -> None:
        object.__setattr__(self, "_parameters", {})
        object.__setattr__(self, "_buffers", {})
        object.__setattr__(self, "_children", {})
        self.training = True

    _parameters: dict[str, Tensor]
    _buffers: dict[str, Tensor]
    moves: ClassVar[tuple[str, ...]] = ()  # the names of a module's own parameters that `moving` gives
    _children: dict[str, Module]

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if "_parameters" not in own:
            raise AttributeError(f"[module] expected super().__init__() before {type(self).__name__}.{name} is set")
        if name in own:
            self._parameters.pop(name, None)
            self._buffers.pop(name, None)
            self._children.pop(name, None)
        if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
            self._parameters[name] = value
        elif isinstance(value, Module):
            self._children[name] = value
        object.__setattr__(self, name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """For `copy` and `pickle`: a copy has lists of its own of what belongs to it, and none of the hooks."""
        self.__dict__.update(state)
        self.__dict__.pop("_hooks", None)
        for own in ("_parameters", "_buffers", "_children"):
            object.__setattr__(self, own, dict(state[own]))

    def __delattr__(self, name: str) -> None:
        self._parameters.pop(name, None)
        self._buffers.pop(name, None)
        self._children.pop(name, None)
        object.__delattr__(self, name)

    def register_buffer(self, name: str, tensor: Tensor) -> None:
        """Sets an attribute that is saved and loaded with the parameters."""
        setattr(self, name, tensor)
        self._buffers[name] = tensor

    if TYPE_CHECKING:
        __call__: _Call = _Call()
    else:

        def __call__(self, *args, **kwargs):
            if self._hooks is None:
                return self.forward(*args, **kwargs)
            return self._hooks.call(self, args, kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"[module] expected a forward method in {type(self).__name__}")

    def register_forward_pre_hook(self, hook: hooks.Hook, *, with_kwargs: bool = False) -> hooks.RemovableHandle:
        """Has `hook(module, args)` called before each forward, as in PyTorch; what it returns, unless None, are the
        arguments instead. with_kwargs: `hook(module, args, kwargs)`, which returns None or (args, kwargs).

        Hooks see calls of the module itself, from any thread, and not those of its `forward` or `step`.
        """
        return hooks.add(self._own_hooks().before, hook, with_kwargs)

    def register_forward_hook(self, hook: hooks.Hook, *, with_kwargs: bool = False) -> hooks.RemovableHandle:
        """Has `hook(module, args, output)` called after each forward, as in PyTorch; what it returns, unless None, is
        the output instead. with_kwargs: `hook(module, args, kwargs, output)`."""
        return hooks.add(self._own_hooks().after, hook, with_kwargs)

    def _own_hooks(self) -> hooks.Hooks:
        # In one go: threads that look into one model at once must not put their hooks into two lists.
        return cast("hooks.Hooks", self.__dict__.setdefault("_hooks", hooks.Hooks()))

    def children(self) -> Iterator[Module]:
        yield from self._children.values()

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        yield self
        for child in self._children.values():
            yield from child.modules()

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted name, module): this one, whose name is `prefix`, and all below it."""
        yield prefix, self
        for name, child in self._children.items():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, parameter); a parameter that several modules share comes once, under its first name, without
        `remove_duplicate` under all its names."""
        seen: set[int] = set()
        for name, parameter in self._all_parameters(prefix):
            if not remove_duplicate or id(parameter) not in seen:
                seen.add(id(parameter))
                yield name, parameter

    def _all_parameters(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        for name, parameter in self._parameters.items():
            yield prefix + name, parameter
        for name, child in self._children.items():
            yield from child._all_parameters(f"{prefix}{name}.")

    def parameters(self) -> Iterator[Tensor]:
        for _, parameter in self.named_parameters():
            yield parameter

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        """(dotted name, buffer)."""
        for name, buffer in self._buffers.items():
            yield prefix + name, buffer
        for name, child in self._children.items():
            yield from child.named_buffers(f"{prefix}{name}.")

    def moving(self) -> Iterator[Tensor]:
        """What a forward pass in training moves itself: buffers, and parameters that no gradient reaches."""
        for module in self.modules():
            yield from module._buffers.values()
            yield from (module._parameters[name] for name in module.moves)

    def _state(self) -> dict[str, Tensor]:
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy of every parameter and buffer, by name."""
        return {name: tensor.to("float32").numpy(writable=False).copy() for name, tensor in self._state().items()}

    def load_state_dict(self, state: Mapping[str, np.ndarray | Tensor], adopt: bool = False) -> None:
        """Copies arrays into parameters and buffers. Raises ValueError unless names and shapes are exactly theirs, and
        where a parameter is int8, which takes no other numbers.

        With `adopt`, float32 arrays become the parameters' memory, and tensors with their type: nobody else may write
        to them from then on.
        """
        own = self._state()
        missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or unexpected:
            raise ValueError(f"[load_state_dict] missing: {missing or 'none'}; unexpected: {unexpected or 'none'}")
        for name, tensor in own.items():
            if tuple(state[name].shape) != tensor.shape:
                raise ValueError(
                    f"[load_state_dict] expected {name} of shape {list(tensor.shape)}, got {list(state[name].shape)}"
                )
            if tensor.dtype == "int8" and not adopt:
                raise ValueError(f'[load_state_dict] expected {name} of float32 or bfloat16, got int8; to("float32")')
        for name, tensor in own.items():
            given = state[name]
            if adopt:
                tensor.adopt_(given if isinstance(given, Tensor) else float_array(given))
            else:
                tensor.copy_(given.to("float32").numpy() if isinstance(given, Tensor) else float_array(given))

    def to(self, target: str) -> Self:
        """Moves every parameter and buffer to a device, or makes it of a type: "float32" makes a model whose weights
        are bfloat16 or int8 one that can be trained. Gradients are dropped. Raises what `Tensor.to` does."""
        for tensor in self._state().values():
            tensor.move_(target)
            tensor.zero_grad()
        if target not in get_args(DType):
            for module in self.modules():
                for value in vars(module).values():
                    if isinstance(value, Tensor):  # what it has made of its settings, such as sinusoids
                        value.move_(target)
        return self

    @property
    def device(self) -> str:
        """Where its first parameter lies; the default device where it has none."""
        first = next(self.parameters(), None)
        return _core.default_device() if first is None else first.device

    def matrices(self) -> Iterator[Tensor]:
        """The weights [N, K] that this module itself multiplies by, for packing them ahead."""
        yield from ()

    def pack(
        self, precision: str, packed: Callable[[], None] | None = None, later: Iterable[Tensor | None] = ()
    ) -> None:
        """Packs the weights of this module and all below it for products in this precision, before they are needed.

        packed: called after each. later: those that are not packed now.
        """
        left = {id(weight) for weight in later}
        for module in self.modules():
            for weight in module.matrices():
                if id(weight) in left:
                    continue
                _core.pack(weight, precision)
                if packed is not None:
                    packed()

    def train(self, mode: bool = True) -> Module:
        """Switches dropout on (or off) in this module and all below it."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        return self.train(False)

    def zero_grad(self) -> None:
        for parameter in self.parameters():
            parameter.zero_grad()

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses, beside the children."""
        return ""

    def __repr__(self) -> str:
        lines = [f"  ({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._children.items()]
        inner = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({inner})"
        return "\n".join([f"{type(self).__name__}({inner}", *lines, ")"])


M = TypeVar("M", bound=Module)


class ModuleList(Module, Generic[M]):
    """A list of modules."""

    def __init__(self, modules: list[M]) -> None:
        super().__init__()
        for index, module in enumerate(modules):
            setattr(self, str(index), module)

    def __iter__(self) -> Iterator[M]:
        return cast(Iterator[M], self.children())

    def __len__(self) -> int:
        return len(self._children)

    def __getitem__(self, index: int) -> M:
        return list(self)[index]
