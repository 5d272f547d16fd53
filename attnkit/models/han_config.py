"""The configuration of the hierarchical attention network."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from attnkit.models.config import Positive, Rate
from attnkit.text.layout import Layout


class HanConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="han"):
    """The hierarchical attention network for documents (Yang et al., 2016).

    It reads a document sentence by sentence; the defaults are the sizes of the paper's experiments.
    """

    embedding: Annotated[Positive, Meta(description="Width of the word vectors.")] = 200

    word_hidden: Annotated[
        Positive, Meta(description="Width of the GRU over the words of a sentence, for each of its two directions.")
    ] = 50

    sentence_hidden: Annotated[
        Positive, Meta(description="Width of the GRU over the sentences of a document, for each of its two directions.")
    ] = 50

    dropout: Annotated[
        Rate, Meta(description="Of word vectors, sentence vectors and the document vector; in training only.")
    ] = 0.2

    max_length: Annotated[
        Positive,
        Meta(description="Longest document in tokens; what is longer is cut at its end, and counted in the log."),
    ] = 512

    max_sentence_length: Annotated[
        Positive, Meta(description="Longest sentence in tokens; a longer one goes on as a further sentence.")
    ] = 64

    @property
    def layout(self) -> Layout:
        """How a document is read."""
        return Layout(max_length=self.max_length, max_sentence_length=self.max_sentence_length)
