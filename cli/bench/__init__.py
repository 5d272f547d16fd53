"""attnkit bench: a file a measurement."""

from .group import command

__all__ = ["command"]
