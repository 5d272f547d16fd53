"""Decoding: one implementation of greedy search, beam search and sampling for every model that writes text."""

from attnkit.decoding.options import DecodingOptions
from attnkit.decoding.protocol import Projection, Source, State, StepOutput, TextModel
from attnkit.decoding.search import Hypothesis, decode
from attnkit.decoding.sources import Nothing, Packed, Regions

__all__ = [
    "DecodingOptions",
    "Hypothesis",
    "Nothing",
    "Packed",
    "Projection",
    "Regions",
    "Source",
    "State",
    "StepOutput",
    "TextModel",
    "decode",
]
