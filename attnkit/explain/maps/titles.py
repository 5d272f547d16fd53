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
    "rollout": "Attention rollout (all layers, one after the other)",
    "memory": "Reads of the memory",
    "excitation": "Squeeze-and-excitation: how far each channel is open",
}


def title_of(kind: AttentionWeights) -> str:
    """Of a kind, and which of its layers and heads are there."""
    name = _TITLES.get(kind.kind, kind.kind)
    if kind.kind.startswith("gates."):
        name = f"{kind.kind.removeprefix('gates.')} gate".capitalize()
    return ", ".join([name, *_parts(kind)])


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
    if kind.heads > 1:
        parts.append(f"{kind.heads} heads")
    elif kind.head_names:
        parts.append(kind.head_name(0))
    return parts
