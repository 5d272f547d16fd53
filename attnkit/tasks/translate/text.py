"""What goes into a translator: a line, or a sentence of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from attnkit.tasks.translate.languages import Direction


class Text(NamedTuple):
    """Something to translate: a line or a sentence of one.

    prefix: what its translation starts with. place: the number of its line. direction: from which language to which, as
    far as the caller says so.
    """

    line: str
    prefix: str
    place: int
    direction: Direction

    def check(self) -> None:
        """Raises TypeError for what is no text."""
        for part in (self.line, self.prefix):
            if not isinstance(part, str):
                raise TypeError(f"[translate] expected text in line {self.place + 1}, got {type(part).__name__}")
