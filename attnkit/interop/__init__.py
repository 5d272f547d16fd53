"""Public model formats, converted into model directories."""

from attnkit.interop.convert import convert
from attnkit.interop.converted import Converted
from attnkit.interop.m2m import convert_m2m
from attnkit.interop.marian import convert_marian
from attnkit.interop.marian_native import convert_native

__all__ = ["Converted", "convert", "convert_m2m", "convert_marian", "convert_native"]
