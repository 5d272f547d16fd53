"""Public model formats, converted into model directories."""

from attnkit.interop.argos import convert_argos
from attnkit.interop.convert import convert
from attnkit.interop.converted import Converted
from attnkit.interop.ctranslate2 import convert_ctranslate2
from attnkit.interop.m2m import convert_m2m
from attnkit.interop.marian import convert_marian
from attnkit.interop.marian_native import convert_native

__all__ = [
    "Converted",
    "convert",
    "convert_argos",
    "convert_ctranslate2",
    "convert_m2m",
    "convert_marian",
    "convert_native",
]
