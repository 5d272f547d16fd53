"""Public model formats, converted into model directories."""

from attnkit.interop.marian import Converted, convert_marian

__all__ = ["Converted", "convert_marian"]
