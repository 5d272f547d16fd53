"""Public model formats, converted into model directories."""

from attnkit.interop.convert import convert
from attnkit.interop.converted import Converted
from attnkit.interop.marian import convert_marian
from attnkit.interop.marian_native import convert_native

__all__ = ["Converted", "convert", "convert_marian", "convert_native"]
