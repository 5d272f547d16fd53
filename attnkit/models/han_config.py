"""The configuration of the hierarchical attention network."""

from __future__ import annotations

import msgspec

from attnkit.models.config import Positive, Rate
from attnkit.text.documents import Layout


class HanConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="han"):
    """The hierarchical attention network for documents (Yang et al., 2016).

    It reads a document sentence by sentence; the defaults are the sizes of the paper's experiments.
    """

    embedding: Positive = 200
    """Width of the word vectors."""

    word_hidden: Positive = 50
    """Width of the GRU over the words of a sentence, for each of its two directions."""

    sentence_hidden: Positive = 50
    """Width of the GRU over the sentences of a document, for each of its two directions."""

    dropout: Rate = 0.2
    """Of word vectors, sentence vectors and the document vector; in training only."""

    max_length: Positive = 512
    """Longest document in tokens; what is longer is cut at its end, and counted in the log."""

    max_sentence_length: Positive = 64
    """Longest sentence in tokens; a longer one goes on as a further sentence."""

    @property
    def layout(self) -> Layout:
        """How a document is read."""
        return Layout(max_length=self.max_length, max_sentence_length=self.max_sentence_length)
