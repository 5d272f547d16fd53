"""The keys of training files as their configurations define them: for people, for the tables of docs/, as JSON schema.

`python -m attnkit.tasks.keys FILE.md ...` writes the tables anew, between the lines

    <!-- keys: TASK MODEL SECTION [TYPE] -->
    <!-- end of keys -->

where TYPE chooses among the parts of a captioner, as in `caption captioner model.decoder lstm`.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from attnkit.printable import quoted
from attnkit.tasks.config_file import toml_value
from attnkit.tasks.registry import RunConfig, config_type, config_types, trained_tasks

_WIDTH = 100
_TABLE = re.compile(r"(<!-- keys: ([^>]+) -->\n).*?(<!-- end of keys -->)", re.DOTALL)


class Key(NamedTuple):
    """A key of a section; `default` is None where the file must have it, "none" where nothing stands for it."""

    name: str
    type: str
    default: str | None
    explanation: str


class Section(NamedTuple):
    """A table of a training file; `type` is the value of the key that chooses it among others, None where none does."""

    name: str
    type: str | None
    explanation: str
    keys: tuple[Key, ...]


def configs(task: str) -> list[type[RunConfig]]:
    """The configurations of a task: one, or one for each thing that it reads. Raises ValueError for no task."""
    if task not in trained_tasks():
        raise ValueError(f"expected a task among {', '.join(trained_tasks())}, got {quoted(task)}")
    return config_types(task)


def sections(config: type[RunConfig]) -> list[Section]:
    """The tables of a configuration in order, those of nested tables behind their own."""
    whole = inspect.type_info(config)
    assert isinstance(whole, inspect.StructType)
    return [section for field in whole.fields for section in _sections(field, "", None)]


def model_types(config: type[RunConfig]) -> list[str]:
    """What `model.type` may be."""
    return [str(section.type) for section in sections(config) if section.name == "model"]


def json_schema() -> dict[str, Any]:
    """A JSON schema of the training file of every task."""
    references, definitions = msgspec.json.schema_components(config_types())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A training file of attnkit",
        "anyOf": list(references),
        "$defs": definitions,
    }


def describe(config: type[RunConfig]) -> str:
    """The keys of a configuration for a terminal, section by section."""
    lines = [f'task = "{config.__struct_config__.tag}"  (model.type: {", ".join(model_types(config))})']
    for section in sections(config):
        chosen = f'  type = "{section.type}"' if section.type else ""
        lines += ["", f"[{section.name}]{chosen}", *_wrapped(section.explanation, "  ")]
        for key in section.keys:
            default = "required" if key.default is None else f"default {key.default}"
            lines += ["", *_wrapped(f"{key.name}: {key.type}; {default}", "  "), *_wrapped(key.explanation, "      ")]
    return "\n".join(lines)


def markdown(section: Section) -> str:
    """The keys of a section as a table."""
    rows = ["| Key | Type | Default | |", "|---|---|---|---|"]
    for key in section.keys:
        default = "" if key.default is None else "none" if key.default == "none" else f"`{key.default}`"
        cells = (f"`{key.name}`", key.type, default, key.explanation.replace("&", "&amp;").replace("<", "&lt;"))
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def with_tables(text: str) -> str:
    """A page with its tables of keys made anew. Raises ValueError for a mark that names no section."""

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}\n{markdown(_named(match[2].split()))}\n{match[3]}"

    return _TABLE.sub(table, text)


def _named(words: Sequence[str]) -> Section:
    task, model, name, *rest = words
    config = config_type({"task": task, "model": {"type": model}})
    kind = rest[0] if rest else model if name == "model" else None
    for section in sections(config):
        if (section.name, section.type) == (name, kind):
            return section
    raise ValueError(f"keys: {' '.join(words)}: no such section")


def _sections(field: inspect.Field, prefix: str, default: Any) -> Iterator[Section]:
    """The tables that may stand under a key; none where it has values."""
    explanation, kind = _described(field.type)
    tables = [member for member in _members(kind) if isinstance(member, inspect.StructType)]
    given = default if default is not None else field.default
    for table in tables:
        tag = None if table.tag is None else str(table.tag)
        about = explanation if tag is None else _first_paragraph(table.cls)
        values = [inner for inner in table.fields if not _is_table(inner)]
        keys = tuple(_key(inner, getattr(given, inner.name, _default(inner))) for inner in values)
        name = f"{prefix}{field.encode_name}"
        yield Section(name, tag, about, keys)
        for inner in table.fields:
            yield from _sections(inner, f"{name}.", getattr(given, inner.name, None))


def _key(field: inspect.Field, default: Any) -> Key:
    explanation, kind = _described(field.type)
    names = [_type_name(member) for member in _members(kind) if not isinstance(member, inspect.NoneType)]
    shown = None if field.required else "none" if default is None else toml_value(default)
    return Key(field.encode_name, " or ".join(names), shown, explanation)


def _default(field: inspect.Field) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _described(kind: inspect.Type) -> tuple[str, inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        return str((kind.extra_json_schema or {}).get("description", "")), kind.type
    return "", kind


def _members(kind: inspect.Type) -> Sequence[inspect.Type]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _is_table(field: inspect.Field) -> bool:
    return any(isinstance(member, inspect.StructType) for member in _members(_described(field.type)[1]))


def _type_name(kind: inspect.Type) -> str:
    match kind:
        case inspect.LiteralType(values=values):
            return " or ".join(toml_value(value) for value in values)
        case inspect.VarTupleType(item_type=item):
            return f"[{_type_name(item)}, ...]"
        case inspect.DictType(value_type=value):
            return f"table of {_type_name(value)}"
        case inspect.TupleType(item_types=items):
            return f"[{', '.join(map(_type_name, items))}]"
        case inspect.IntType() | inspect.FloatType():
            bounds = {">=": kind.ge, ">": kind.gt, "<=": kind.le, "<": kind.lt}
            # Python keeps one of two equal annotations, whichever came first, such as that of 0 for that of 0.0.
            number = int if isinstance(kind, inspect.IntType) else float
            limits = [f"{sign} {number(bound)}" for sign, bound in bounds.items() if bound is not None]
            return " ".join([number.__name__, ", ".join(limits)]).strip()
        case inspect.Metadata(type=inner):
            return _type_name(inner)
    return type(kind).__name__.removesuffix("Type").lower()


def _first_paragraph(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


if __name__ == "__main__":
    for page in map(Path, sys.argv[1:]):
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
