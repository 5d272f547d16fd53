"""Configurations as files: TOML in, with `key=value` overrides and errors that name the key; TOML out."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from attnkit import typed
from attnkit.printable import quoted, shortened
from attnkit.tasks.registry import config_type
from attnkit.training.errors import ConfigError

if TYPE_CHECKING:
    from attnkit.tasks.registry import RunConfig


def preset_names() -> list[str]:
    """The configurations that come with the package, by name."""
    folder = resources.files("attnkit") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_config(source: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The configuration in a TOML file, or of the preset of that name, with overrides such as
    `training.learning_rate=0.001`.

    The right side of an override is a TOML value; what is none is taken as a string, so that `data.format=tsv` needs
    no quotes. Raises ConfigError, naming the source and the key, for anything that is not a configuration; OSError
    when the file cannot be read.
    """
    name, text = _read(source)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: expected TOML: {error}") from None
    for override in overrides:
        _override(table, override)
    return decode_config(table, name)


def decode_config(table: dict[str, Any], name: str) -> RunConfig:
    """The configuration in a table of tables; `name` is where it comes from. Raises ConfigError."""
    try:
        kind = config_type(table, _reads)
        if complete := getattr(kind, "completed", None):
            table = complete(table)
    except ValueError as error:
        raise ConfigError(f"{name}: {shortened(str(error), 500)}") from None
    try:
        return typed.convert(_with_lists(table, kind), kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{name}: {_explain(str(error), kind)}") from None


def _reads(model: Any) -> str | None:
    """What a model reads that is here; a configuration fetches none, and what is wrong with it its task will say."""
    from attnkit.hub.resolve import resolve
    from attnkit.tasks.shared.directory import ModelDirectory

    if not isinstance(model, str):
        return None
    try:
        return ModelDirectory.read(resolve(model, offline=True, say=lambda line: None)).reads
    except (ValueError, OSError, ModuleNotFoundError):
        return None


def _with_lists(table: dict[str, Any], kind: Any, path: str = "") -> dict[str, Any]:
    """The table with a list of one string where a list is wanted and a string stands, such as `train = "file"`."""
    found = {}
    for key, value in table.items():
        place = _join(path, key)
        if isinstance(value, dict):
            value = _with_lists(value, kind, place)
        elif isinstance(value, str) and (types := _types(kind, place)):
            lists = msgspec.inspect.VarTupleType | msgspec.inspect.ListType
            value = [value] if all(isinstance(one, lists) for one in types) else value
        found[key] = value
    return found


def encode_config(config: RunConfig) -> str:
    """The configuration as TOML, every key written out, defaults too; `read_config` gives it back."""
    lines: list[str] = []
    _write_table(msgspec.to_builtins(config), "", lines)
    return "\n".join(lines).strip("\n") + "\n"


def flatten(config: RunConfig) -> dict[str, Any]:
    """{"training.seed": 1, ...}: every key with its value."""

    def walk(table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for key, value in table.items():
            flat |= walk(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        return flat

    return walk(msgspec.to_builtins(config), "")


# ----- Reading


def _read(source: str | Path) -> tuple[str, str]:
    path = Path(source)
    if not path.is_file() and str(source) in preset_names():
        text = (resources.files("attnkit") / "presets" / f"{source}.toml").read_text(encoding="utf-8")
        return f"preset {source}", text
    if not path.exists():
        raise ConfigError(
            f"{source}: expected a TOML file or a preset ({', '.join(preset_names())}), but there is neither"
        )
    if path.is_dir():
        raise ConfigError(f"{path}: expected a TOML file or a preset, got a folder (that of a run has a training.toml)")
    try:
        return str(source), path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: expected TOML in UTF-8, got byte 0x{error.object[error.start]:02x}") from None


def _override(table: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ConfigError(f"--set {shortened(override, 100)}: expected key=value, such as training.learning_rate=0.001")
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {shortened(override, 100)}: expected a table at {quoted(part)}, got a value")
    table[parts[-1]] = _value(text.strip())


def _value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


# ----- Errors that name the key

_PLACE = re.compile(r"^(?P<message>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)


def _explain(message: str, config: Any) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.training.seed`" as "training.seed: expected int, got str"."""
    match = _PLACE.match(message)
    assert match is not None  # every part of the pattern is optional
    text, path = match["message"].replace("`", ""), match["path"] or ""
    text = text.removeprefix("Object ")
    path = shortened(path, 200)
    if unknown := re.match(r"contains unknown field (\S+)", text):
        key = unknown[1]
        near = difflib.get_close_matches(key, _keys(config, path), n=1)
        return f"{_join(path, shortened(key, 100))}: unknown key" + (f" (did you mean {near[0]}?)" if near else "")
    if missing := re.match(r"missing required field (\S+)", text):
        return f"{_join(path, missing[1])}: expected a value, got nothing"
    if own := re.match(r"([a-z_.]+): (.*)", text, re.DOTALL):  # raised by a __post_init__
        return f"{_join(path, own[1])}: {own[2]}"
    if unlisted := re.match(r"Invalid enum value (.*)", text, re.DOTALL):
        choices = " or ".join(repr(choice) for choice in _choices(config, path))
        return f"{path}: invalid value {shortened(unlisted[1], 100)}; expected {choices}"
    return f"{path or 'the file'}: {text[:1].lower()}{text[1:]}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _keys(config: Any, path: str) -> list[str]:
    """The keys that the table at `path` may have."""
    return [field.encode_name for one in _types(config, path) for field in getattr(one, "fields", ())]


def _choices(config: Any, path: str) -> list[Any]:
    """The values that are listed for the key at `path`."""
    return list(dict.fromkeys(value for one in _types(config, path) for value in getattr(one, "values", ())))


def _types(config: Any, path: str) -> list[Any]:
    """What may stand at `path`, as msgspec describes it: the members of unions one by one."""
    types = _members(msgspec.inspect.type_info(config))
    for part in path.split(".") if path else ():
        fields = [field for one in types for field in getattr(one, "fields", ()) if field.encode_name == part]
        types = [member for field in fields for member in _members(field.type)]
    return types


def _members(kind: Any) -> list[Any]:
    if isinstance(kind, msgspec.inspect.Metadata):
        return _members(kind.type)
    return list(kind.types) if isinstance(kind, msgspec.inspect.UnionType) else [kind]


# ----- Writing


def _write_table(table: Mapping[str, Any], name: str, lines: list[str]) -> None:
    if name:
        lines += ["", f"[{name}]"]
    # Values first: after a table's header, they would belong to that table.
    lines += [
        f"{_key(key)} = {toml_value(value)}" for key, value in table.items() if not isinstance(value, dict | None)
    ]
    for key, value in table.items():
        if isinstance(value, dict):
            _write_table(value, _join(name, key), lines)


def _key(name: str) -> str:
    """A key as TOML writes it: a pattern such as `encoder.*` in quotes."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_value(name)


def toml_value(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return repr(value)
