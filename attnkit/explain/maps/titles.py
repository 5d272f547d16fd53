"""What the kinds of attention are called on a picture."""

from __future__ import annotations

from attnkit.explain.maps.weights import AttentionWeights

_TITLES = {
    "encoder": "Self-attention of the encoder",
    "decoder": "Self-attention of the decoder",
    "cross": "Cross-attention",
    "pooling": "Attention pooling",
    "words": "Attention to words",
    "sentences": "Attention to sentences",
    "rollout": "Attention rollout",
    "memory": "Reads of the memory",
    "excitation": "Squeeze-and-excitation: how far each channel is open",
}


def title_of(kind: AttentionWeights) -> str:
    """Of a kind, and which of its layers and heads are there."""
    return ", ".join([_name(kind.kind), *_parts(kind)])


def _name(kind: str) -> str:
    """gates.decoder.forget is the forget gate of the decoder, attention.2 that to the second stage of a CNN."""
    first, _, rest = kind.partition(".")
    if kind in _TITLES or not rest:
        return _TITLES.get(kind, kind)
    if first == "gates":
        part, _, gate = rest.rpartition(".")
        return f"{gate.capitalize()} gate of the {part}" if part else f"{gate.capitalize()} gate"
    if first == "attention":
        return f"Trained attention to stage {rest}"
    return f"{_name(rest)} ({first})"  # of one of two models


def place(kind: AttentionWeights, layer: int, head: int) -> str:
    """The name of a layer and head, from 0: what is needed to tell it from the others."""
    parts = [kind.layer_name(layer)] if kind.layers > 1 else []
    return " · ".join([*parts, kind.head_name(head)] if kind.heads > 1 else parts)


def _parts(kind: AttentionWeights) -> list[str]:
    parts = []
    if kind.layers > 1:
        parts.append(f"{kind.layers} layers")
    elif kind.layer_names:
        parts.append(kind.layer_name(0))
    if kind.head_names:
        parts.append(" and ".join(kind.head_names) if kind.heads <= 2 else f"{kind.heads} heads")
    elif kind.heads > 1:
        parts.append(f"{kind.heads} heads")
    return parts
