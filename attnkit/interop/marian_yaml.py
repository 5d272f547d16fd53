"""YAML as Marian writes it: the configuration inside a model, decoder.yml, vocab.yml.

Parsed by PyYAML; what its events say is put together here. Keys stay text, so that a vocabulary may hold the pieces
`no`, `1` and `01`, which YAML takes for a truth and two equal numbers; anchors, aliases and tags, which Marian never
writes, are refused, and no bomb is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from attnkit.reading import MAX_FILE

_DEPTH = 32
_VALUES: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


def read_yaml(content: bytes, name: str) -> dict[str, Any]:
    """A mapping: of its values, plain ones are truths, numbers, None or text as in YAML's core schema.

    Raises ValueError, naming it, for what is no YAML, no mapping or deeper than 32, has a key twice, several documents,
    anchors, aliases or tags, or more than 32 MiB.
    """
    from yaml import YAMLError

    if len(content) > MAX_FILE:
        raise ValueError(f"[convert] {name}: expected at most {MAX_FILE:,} bytes of YAML, got {len(content):,}")
    try:
        value = _value(_events(content.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise ValueError(f"[convert] {name}: expected UTF-8, got another byte at {error.start}") from None
    except (YAMLError, _Unexpected) as error:
        raise ValueError(f"[convert] {name}: expected YAML ({_reason(error)})") from None
    if not isinstance(value, dict):
        raise ValueError(f"[convert] {name}: expected a mapping in YAML, got something else")
    return value


class _Unexpected(Exception):
    """YAML that Marian does not write. problem: what. problem_mark: where."""

    def __init__(self, problem: str, event: Any) -> None:
        super().__init__(problem)
        self.problem, self.problem_mark = problem, event.start_mark


def _events(text: str) -> Iterator[Any]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)  # the one in C where there is one
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


def _value(events: Iterator[Any]) -> Any:
    """What one document holds."""
    import yaml

    document = _Document()
    for event in events:
        match event:
            case yaml.ScalarEvent():
                document.add_scalar(event)
            case yaml.MappingStartEvent():
                document.open({}, event)
            case yaml.SequenceStartEvent():
                document.open([], event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                document.close()
            case yaml.AliasEvent():
                raise _Unexpected("an alias", event)
            case yaml.DocumentStartEvent() if document.root:
                raise _Unexpected("a second document", event)
    return document.root[0] if document.root else None


class _Document:
    """Put together without recursion. nodes: the mappings and lists around an event; keys: in each mapping the key that
    waits for its value."""

    def __init__(self) -> None:
        self.root: list[Any] = []
        self._nodes: list[dict[str, Any] | list[Any]] = [self.root]
        self._keys: list[str | None] = [None]

    def add_scalar(self, event: Any) -> None:
        _check_plain(event)
        if not self._wants_key():
            self._add(_scalar(event))
        elif event.value in self._nodes[-1]:
            raise _Unexpected("a key twice", event)
        else:
            self._keys[-1] = event.value

    def open(self, node: dict[str, Any] | list[Any], event: Any) -> None:
        _check_plain(event)
        if self._wants_key():
            raise _Unexpected("a key that is no text", event)
        if len(self._nodes) > _DEPTH:
            raise _Unexpected(f"nested deeper than {_DEPTH}", event)
        self._add(node)
        self._nodes.append(node)
        self._keys.append(None)

    def close(self) -> None:
        self._nodes.pop()
        self._keys.pop()

    def _wants_key(self) -> bool:
        return isinstance(self._nodes[-1], dict) and self._keys[-1] is None

    def _add(self, value: Any) -> None:
        node, key = self._nodes[-1], self._keys[-1]
        if isinstance(node, list):
            node.append(value)
        elif key is not None:
            node[key] = value
            self._keys[-1] = None


def _check_plain(event: Any) -> None:
    if event.anchor is not None or event.tag is not None:
        raise _Unexpected("an anchor or a tag", event)


def _scalar(event: Any) -> Any:
    text = event.value
    if not event.implicit[0]:  # it is quoted
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if text in _VALUES:
        return _VALUES[text]
    return float(text) if _FLOAT.fullmatch(text) else text


def _reason(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not readable"
    return f"line {mark.line + 1}: {problem}" if mark else " ".join(str(problem).split())
