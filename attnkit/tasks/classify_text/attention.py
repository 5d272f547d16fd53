"""Everything that a classifier looks at in one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attnkit import nn
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.tasks.shared.attention_kinds import class_name, rollout, self_attention
from attnkit.tasks.shared.recurrent_kinds import gates

if TYPE_CHECKING:
    from attnkit.tasks.classify_text.classifier import Classification, DocumentAttention

TEXT, SENTENCES, CLASS = "text (read)", "sentence (read)", "class (given)"


def look(title: str, result: Classification, seen: Sequence[nn.Seen], by_sentence: bool) -> AttentionMaps:
    """The attention of a text: its result, with attention, and what the layers gave; by_sentence: of a model that reads
    sentences one by one."""
    assert result.attention is not None
    tokens = [token for sentence in result.sentences for token in sentence]
    if by_sentence:
        names = [f"sentence {number + 1}" for number in range(len(result.sentences))]
        kinds = [
            *_of_sentences(result.attention, tokens, result.label),
            *gates(seen, "words.", tokens, TEXT, "gates.words"),
            *gates(seen, "sentences.", names, SENTENCES, "gates.sentences"),
        ]
    else:
        encoder = self_attention(seen, "encoder.", "encoder", tokens, TEXT)
        weights = np.concatenate(result.attention.words)[None, None, None]
        pooling = AttentionWeights("pooling", weights, [result.label], tokens, query_axis=CLASS, key_axis=TEXT)
        kinds = [*encoder, pooling, *rollout(encoder)]
    return AttentionMaps(kinds, title, class_name(result.label, result.probability))


def _of_sentences(attention: DocumentAttention, tokens: list[str], label: str) -> list[AttentionWeights]:
    """Each sentence's attention to its words, 0 for those of the others, and the text's to its sentences."""
    weights, begin = np.zeros((1, 1, len(attention.words), len(tokens)), np.float32), 0
    for row, words in enumerate(attention.words):
        weights[0, 0, row, begin : begin + len(words)] = words
        begin += len(words)
    names = [f"sentence {number + 1}" for number in range(len(attention.words))]
    return [
        AttentionWeights("words", weights, names, tokens, query_axis=SENTENCES, key_axis=TEXT),
        AttentionWeights(
            "sentences", attention.sentences[None, None, None], [label], names, query_axis=CLASS, key_axis=SENTENCES
        ),
    ]
