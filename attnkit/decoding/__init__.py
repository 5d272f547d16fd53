"""Decoding: one implementation of greedy search, beam search and sampling for every model that writes text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit._lazy import lazily

if TYPE_CHECKING:
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

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.decoding.options": ("DecodingOptions",),
            "attnkit.decoding.protocol": ("Projection", "Source", "State", "StepOutput", "TextModel"),
            "attnkit.decoding.search": ("Hypothesis", "decode"),
            "attnkit.decoding.sources": ("Nothing", "Packed", "Regions"),
        },
    )
