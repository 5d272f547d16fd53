"""What happened to some of many results, to be said in one line at the end."""

from __future__ import annotations

_NAMED = 5


class Noticed:
    """Counts, and keeps the first few names: a stream has no end."""

    def __init__(self) -> None:
        self.count = 0
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        self.count += 1
        if len(self._names) <= _NAMED:
            self._names[name] = None

    def describe(self, singular: str, plural: str) -> str:
        """`1 caption is`, `1,234 captions are`."""
        return f"1 {singular} is" if self.count == 1 else f"{self.count:,} {plural} are"

    def names(self) -> str:
        named = list(self._names)
        return ", ".join(named[:_NAMED]) + (", ..." if len(named) > _NAMED else "")
