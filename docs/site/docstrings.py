"""The reference as readers expect it: lists of parameters as lists, fields of named tuples in the signature, and
explanations of configuration keys as docstrings."""

from __future__ import annotations

import ast
import re
from typing import Any

import griffe

NAMES = re.compile(r"^(\w+(?:=\S+)?(?:, \w+(?:=\S+)?)*): (?=\S)")
LATER = re.compile(r"(?<=[.;]) (\w+)(?=: \S)")
CLOSING = re.compile(r"^(Raises|Returns|Yields) ")


class Reference(griffe.Extension):
    """`name: what it is` at the start of a line or behind a full stop becomes an item of a list, if `name` is a
    parameter of the function or a field of the class."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        _list_names(func, {parameter.name.lstrip("*") for parameter in func.parameters})

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        if "NamedTuple" in map(str, cls.bases):
            cls.set_member("__init__", _initialiser(cls))
        initialiser = cls.members.get("__init__")
        parameters = initialiser.parameters if isinstance(initialiser, griffe.Function) else ()
        _list_names(cls, set(cls.members) | {parameter.name for parameter in parameters})

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        _explain_key(attr)


def _explain_key(key: griffe.Attribute) -> None:
    """`key: Annotated[int, Meta(ge=1, description="what it is")]` as `key: int` with that docstring."""
    annotation = key.annotation
    if not isinstance(annotation, griffe.ExprSubscript) or str(annotation.left) != "Annotated":
        return
    kind, *calls = annotation.slice.elements
    for call in calls:
        for argument in call.arguments:
            if isinstance(argument, griffe.ExprKeyword) and argument.name == "description":
                key.docstring = griffe.Docstring(ast.literal_eval(str(argument.value)), parent=key)
                key.annotation = kind


def _initialiser(cls: griffe.Class) -> griffe.Function:
    fields = [member for member in cls.members.values() if isinstance(member, griffe.Attribute) and member.annotation]
    kind = griffe.ParameterKind.positional_or_keyword
    parameters = [griffe.Parameter("self", kind=kind)] + [
        griffe.Parameter(field.name, annotation=field.annotation, kind=kind, default=field.value) for field in fields
    ]
    return griffe.Function("__init__", parameters=griffe.Parameters(*parameters))


def _list_names(thing: griffe.Object, names: set[str]) -> None:
    if thing.docstring is None:
        return
    text = LATER.sub(lambda found: ("\n" if found[1] in names else " ") + found[1], thing.docstring.value)
    lines: list[str] = []
    listing = False
    for line in text.splitlines():
        found = NAMES.match(line)
        if found and {part.split("=")[0] for part in found[1].split(", ")} <= names:
            lines += [] if listing else [""]
            items = ", ".join(f"`{part}`" for part in found[1].split(", "))
            line, listing = f"- {items}: {line[found.end() :]}", True
        elif listing and (CLOSING.match(line) or not line.strip()):
            lines.append("")
            listing = False
        lines.append(line)
    thing.docstring.value = "\n".join(lines)
