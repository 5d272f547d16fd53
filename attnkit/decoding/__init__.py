"""Decoding: one implementation of greedy search, beam search and sampling for every model that writes text."""

from attnkit.decoding.options import DecodingOptions
from attnkit.decoding.protocol import Projection, State, StepOutput, TextModel
from attnkit.decoding.search import Hypothesis, decode

__all__ = ["DecodingOptions", "Hypothesis", "Projection", "State", "StepOutput", "TextModel", "decode"]
