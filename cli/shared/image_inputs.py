"""The images that a command is given: files, patterns, folders, and lists of them on standard input.

One that cannot be read is one line on stderr, and the others are still done; the command then ends with status 1.
"""

from __future__ import annotations

import collections
import glob
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import errors

if TYPE_CHECKING:
    from PIL.Image import Image

    from attnkit.data.arrivals import Paused

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


class ImageInputs:
    """Gives the pictures one after the other, and keeps each one's name, and what is drawn of it, until its result
    arrives."""

    def __init__(
        self, inputs: tuple[str, ...], read: Callable[[str], Image], drawn: Callable[[Image], Image] | None
    ) -> None:
        """`read` is the model's own; it raises OSError or ValueError for a file that is no image. `drawn` makes of a
        picture what people look at; None where nobody will. Whole pictures are not kept: a batch may be gigabytes."""
        self._inputs, self._read, self._drawn = inputs, read, drawn
        self._waiting: collections.deque[tuple[str, Image | None]] = collections.deque()
        self.failures = 0

    def __iter__(self) -> Iterator[Image | Paused]:
        from attnkit.data.arrivals import PAUSE

        for name in self._inputs:
            for path in self._expanded(name):
                if path is PAUSE:
                    yield PAUSE
                    continue
                try:
                    picture = self._read(path)
                except (OSError, ValueError) as error:
                    self._fail(error)
                    continue
                self._waiting.append((path, None if self._drawn is None else self._drawn(picture)))
                yield picture

    def take(self) -> tuple[str, Image | None]:
        """The name of the next result's image, and what is drawn of it."""
        return self._waiting.popleft()

    def finish(self) -> None:
        """Ends the command with status 1 where an image could not be read."""
        if self.failures:
            raise click.exceptions.Exit(errors.FAILURE)

    def _expanded(self, name: str) -> Iterator[str | Paused]:
        """The files that an argument, or a line of a list, stands for. A list may have NUL for line ends, as
        `find -print0` writes it."""
        from attnkit.data.arrivals import PAUSE, arriving
        from attnkit.data.lines import MAX_LINE

        if name == "-":
            for line in arriving(sys.stdin.buffer, MAX_LINE, (b"\0", b"\n")):
                if line is PAUSE:
                    yield PAUSE
                elif path := line.removesuffix(b"\0") if line.endswith(b"\0") else line.rstrip(b"\r\n"):
                    # As the system has it: a file's name need not be text.
                    yield from self._found(path.decode(sys.getfilesystemencoding(), "surrogateescape"))
        else:
            yield from self._found(name)

    def _found(self, name: str) -> list[str]:
        from attnkit.vision.folders import images_below

        try:
            if _URL.match(name):
                raise ValueError(f"{name}: expected a file, got a URL; download it first")
            if Path(name).is_dir():
                if not (inside := images_below(Path(name))):
                    raise ValueError(f"{name}: expected a folder with images, got one without")
                return [str(path) for path in inside]
            if glob.has_magic(name) and not Path(name).exists():
                if not (matching := sorted(path for path in glob.glob(name, recursive=True) if Path(path).is_file())):
                    raise ValueError(f"{name}: expected files that match, got none")
                return matching
        except (OSError, ValueError) as error:
            self._fail(error)
            return []
        return [name]

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        errors.say(errors.describe(error))
