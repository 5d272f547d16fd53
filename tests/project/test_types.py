"""What type checkers say to users, and whether the stub of the core says what the core takes."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import attnkit
from attnkit import _core

RIGHT = """
from typing import assert_type

import attnkit
import numpy as np
from attnkit import nn, ops
from numpy.typing import NDArray

Floats = NDArray[np.float32]
array, tensor, ids = np.ones((2, 3)), attnkit.tensor([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 2], np.int32)

assert_type(ops.relu(array), Floats)
assert_type(ops.relu([[1, 2], [3, 4]]), Floats)
assert_type(ops.relu(tensor), attnkit.Tensor)
assert_type(ops.linear(array, array), Floats)
assert_type(ops.linear(array, array, tensor), attnkit.Tensor)
assert_type(ops.concatenate([array, tensor]), attnkit.Tensor)
assert_type(ops.attention(array, array, array), Floats)
assert_type(ops.attention(array, array, tensor, return_weights=True), tuple[attnkit.Tensor, attnkit.Tensor])
assert_type(ops.lstm(array, [0, 2], array), tuple[Floats, tuple[Floats, Floats]])

assert_type(attnkit.load("m", task="translate"), attnkit.Translator)
assert_type(attnkit.load("m", "int8", 1, task="caption"), attnkit.Captioner)
assert_type(attnkit.load("m", task="language-model"), attnkit.Generator)
assert_type(attnkit.load("m", task="embed").embed(["a"]), Floats)
assert_type(
    attnkit.load("m", task="classify"), attnkit.Classifier | attnkit.ImageClassifier | attnkit.ZeroShotClassifier
)
assert_type(attnkit.load("m", task="classify", reads="images-and-texts"), attnkit.ZeroShotClassifier)
assert_type(attnkit.load("m", task="classify", reads="images"), attnkit.ImageClassifier)
model = attnkit.load("m")
if isinstance(model, attnkit.Translator):
    print(model.translate(["A dog runs ."], beam=5, attention=True)[0].text)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoder(2, 4, 2, 8)
        self.blocks = nn.ModuleList([nn.Linear(4, 4)])

    def forward(self, x: attnkit.Tensor) -> attnkit.Tensor:
        states, weights = self.encoder(x, ids, return_weights=True)
        assert_type(weights, list[attnkit.Tensor])
        for block in self.blocks:
            states = block(states)
        return states


assert_type(Net()(tensor), attnkit.Tensor)
"""

# Each line with a comment is a mistake, and the comment is a part of what must be said about it.
WRONG = """
import attnkit
import numpy as np
from attnkit import nn, ops

array, tensor = np.ones((2, 3)), attnkit.tensor([1.0])

attnkit.lod("m")  # no attribute "lod"
attnkit.load("m", task="translation")  # No overload variant of "load"
attnkit.load("m", precision="fp16")  # No overload variant of "load"
attnkit.load("m").translate(["a"])  # Item "Captioner" of
translator = attnkit.load("m", task="translate")
translator.translat(["a"])  # no attribute "translat"
translator.translate(["a"], beem=5)  # Unexpected keyword argument "beem"
translator.translate(["a"], beam="5")  # incompatible type "str"
translator.translate(["a"])[0].txt  # "Result" has no attribute "txt"
attnkit.load("m", task="classify", reads="text").classify(["a"])[0].lable  # no attribute "lable"

ops.rellu(tensor)  # no attribute "rellu"
ops.relu("text")  # No overload variant of "relu"
ops.relu(tensor).astype(np.float64)  # "Tensor" has no attribute "astype"
ops.relu(array).backward()  # no attribute "backward"
ops.linear(array, array, biass=None)  # Unexpected keyword argument "biass"
ops.embedding([0.5], array)  # "list[float]"
ops.attention(array, array, array, return_weights=True).shape  # no attribute "shape"
tensor.backwards()  # no attribute "backwards"
attnkit.Tensor(array)  # incompatible type

nn.Linear(2, 3)(array)  # expected "Tensor"
nn.Linear(2, 3)(tensor).nump()  # no attribute "nump"
nn.MultiHeadAttention(4, 2)(tensor, array, return_wieghts=True)  # Unexpected keyword argument "return_wieghts"
"""

_ERROR = re.compile(r"^(\w+)\.py:(\d+): error: (.*)$", re.MULTILINE)


def _mypy(folder: Path, *scripts: str) -> list[tuple[str, int, str]]:
    """(script, line, message) of every error that `mypy --strict` finds in them, as a user runs it."""
    pytest.importorskip("mypy")
    root = Path(attnkit.__file__).parents[1]
    environment = dict(os.environ)
    if root.name != "site-packages":  # editable: mypy does not see the import hook
        environment["MYPYPATH"] = str(root)
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", "cache", *scripts],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return [(script, int(line), message) for script, line, message in _ERROR.findall(run.stdout)]


def test_a_users_mistakes_are_errors_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    errors = _mypy(tmp_path, "right.py", "wrong.py")
    assert [error for error in errors if error[0] == "right"] == []
    for number, line in enumerate(WRONG.splitlines(), 1):
        said = "\n".join(message for script, at, message in errors if (script, at) == ("wrong", number))
        _, mistaken, expected = line.partition("  # ")
        if mistaken:
            assert expected in said, f"{line}\n{said}"
        else:
            assert not said, f"{line}\n{said}"


# --- the stub of the core. stubtest cannot see the arguments of pybind11's functions; their docstrings begin with them.

_TYPES = {
    "typing.SupportsInt | typing.SupportsIndex": "int",
    "typing.SupportsFloat | typing.SupportsIndex": "float",
    "numpy.typing.NDArray[numpy.float32]": "_Floats",
    "typing.Annotated[numpy.typing.ArrayLike, numpy.float32]": "_Floats",
    "typing.Annotated[numpy.typing.ArrayLike, numpy.uint16]": "_Bits",
    "typing.Annotated[numpy.typing.ArrayLike, numpy.int8]": "_Bytes",
    "numpy.typing.NDArray[numpy.int32]": "_Integers",
    "typing.Annotated[numpy.typing.ArrayLike, numpy.int32] | Indices": "_Ids",
}
_VAGUE = (
    "tuple",
    "dict",
    "object",
    "list",
    "collections.abc.Sequence",
    "numpy.ndarray",
    "FixedSize",
    "numpy.bool",
    "numpy.uint8",
)


def _type(annotation: ast.expr | None) -> str:
    """As the stub writes it; nothing where the core is vague, and the stub knows better."""
    text = "" if annotation is None else ast.unparse(annotation).replace("attnkit._core.", "")
    for long, short in _TYPES.items():
        text = text.replace(long, short)
    return "" if any(word in text for word in _VAGUE) else text


def _parameters(function: ast.FunctionDef) -> list[tuple[str, str, bool]]:
    """(name or "" where it cannot be given by name, type, has it a default?) of each."""
    a = function.args
    parameters = [*a.posonlyargs, *a.args]
    without = len(parameters) - len(a.defaults)
    return [
        ("" if p in a.posonlyargs or re.fullmatch(r"arg\d+", p.arg) else p.arg, _type(p.annotation), i >= without)
        for i, p in enumerate(parameters)
        if p.arg != "self"
    ]


def _stubs() -> dict[str, list[ast.FunctionDef]]:
    """The functions and methods of _core.pyi, one with overloads several times; no properties and operators, and none
    that takes any number of arguments."""
    found: dict[str, list[ast.FunctionDef]] = {}
    body = ast.parse((Path(attnkit.__file__).parent / "_core.pyi").read_text()).body
    nodes = [("", node) for node in body]
    nodes += [(f"{node.name}.", inner) for node in body if isinstance(node, ast.ClassDef) for inner in node.body]
    for prefix, node in nodes:
        if isinstance(node, ast.FunctionDef) and not re.fullmatch(r"__(?!init).*__", node.name):
            found.setdefault(prefix + node.name, []).append(node)
    return {name: stubs for name, stubs in found.items() if not any(map(_is_property_or_variadic, stubs))}


def _is_property_or_variadic(stub: ast.FunctionDef) -> bool:
    decorators = [ast.unparse(decorator) for decorator in stub.decorator_list]
    return stub.args.vararg is not None or any(d == "property" or d.endswith(".setter") for d in decorators)


def _bound(name: str) -> list[ast.FunctionDef]:
    """The signatures in the docstring of a function of the core."""
    member = _core
    for part in name.split("."):
        member = getattr(member, part)
    lines = [re.sub(r"^\d+\. ", "", line) for line in (member.__doc__ or "").splitlines()]
    signatures = [line for line in lines if re.match(rf"{name.split('.')[-1]}\((?!\*args)", line)]
    return [
        node for line in signatures for node in ast.parse(f"def {line}: ...").body if isinstance(node, ast.FunctionDef)
    ]


@pytest.mark.parametrize("name", sorted(_stubs()))
def test_the_stub_says_what_the_core_takes(name: str) -> None:
    stubs, bound = _stubs()[name], _bound(name)
    assert len(stubs) == len(bound)
    for stub, real in zip(stubs, bound, strict=True):
        said, true = _parameters(stub), _parameters(real)
        assert [(n, d) for n, _, d in said] == [(n, d) for n, _, d in true]
        assert [s for s, t in zip(said, true, strict=True) if t[1] and s[1] and s[1] != t[1]] == []
        result = _type(real.returns)
        assert not result or not _type(stub.returns) or _type(stub.returns) == result
