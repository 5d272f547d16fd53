"""What tests of models by name know of the cache."""

from __future__ import annotations

from pathlib import Path


class Here:
    """The cache, what was said, and how long was waited for a server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.said: list[str] = []
        self.waited: list[float] = []

    def files(self, part: str) -> list[Path]:
        """The files below a folder of the cache, but for locks."""
        return sorted(path for path in (self.root / part).rglob("*") if path.is_file())
