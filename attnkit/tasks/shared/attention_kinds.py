"""From what the layers of a model gave (`nn.watching`) to kinds of attention, of one text or image at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from attnkit import _tensor
from attnkit._tensor import Precision
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.explain.maps.weights import AttentionWeights, Grid
from attnkit.nn.attention import CrossAttention, SelfAttention
from attnkit.nn.attention.rollout import attention_rollout
from attnkit.nn.squeeze_excitation import SqueezeExcitation
from attnkit.nn.watch import Seen, head_weights, watching
from attnkit.printable import quoted

IMAGE, TEXT = "image (read)", "text (read)"


def self_attention(
    seen: Sequence[Seen], part: str, kind: str, tokens: Sequence[str], axis: str, **more: Any
) -> list[AttentionWeights]:
    """The self-attention of the layers whose name begins with `part`, [layers, heads, n, n]; none where it has none.

    tokens: what the layers read; axis: what that is.
    """
    found = [_heads(each, each.args[1], each.args[1]) for each in _of(seen, SelfAttention, part)]
    if not found:
        return []
    return [AttentionWeights(kind, np.stack(found), tokens, tokens, query_axis=axis, key_axis=axis, **more)]


def look_at_text(
    model: Any,
    precision: Precision,
    part: str,
    kind: str,
    title: str,
    output: str,
    ids: Sequence[int],
    pieces: Sequence[str],
) -> AttentionMaps:
    """The self-attention of a model that reads one text: its ids, the start token first, and what they are called."""
    with _tensor.no_grad(), _tensor.precision(precision), watching(model) as seen:
        model.states(np.array(ids, np.int32), np.array([0, len(ids)], np.int32))
    return AttentionMaps(self_attention(seen, part, kind, pieces, TEXT), title, output)


def cross_attention(
    seen: Sequence[Seen], part: str, queries: Sequence[str], keys: Sequence[str], axes: tuple[str, str], **more: Any
) -> list[AttentionWeights]:
    """The same of cross-attention, [layers, heads, n, m]; axes: what queries and keys are."""
    found = [_heads(each, each.args[1], each.args[3]) for each in _of(seen, CrossAttention, part)]
    if not found:
        return []
    return [AttentionWeights("cross", np.stack(found), queries, keys, query_axis=axes[0], key_axis=axes[1], **more)]


def rollout(encoder: Sequence[AttentionWeights]) -> list[AttentionWeights]:
    """All layers of a self-attention together, [1, 1, n, n] (`attention_rollout`); none of none."""
    return [
        replace(
            each, kind="rollout", weights=attention_rollout(list(each.weights))[None, None], layer_names=["all layers"]
        )
        for each in encoder
    ]


def excitation(seen: Sequence[Seen], part: str = "") -> list[AttentionWeights]:
    """The gates of squeeze-and-excitation of one image by layer and channel, [layers, 1, 1, channels]; those of layers
    with fewer channels end with zeros (`sizes`). None where there are none."""
    found = [each for each in seen if isinstance(each.module, SqueezeExcitation) and each.name.startswith(part)]
    if not found:
        return []
    gates = [each.weights.numpy(writable=False).reshape(-1) for each in found]
    sizes = [len(each) for each in gates]
    weights = np.zeros((len(gates), 1, 1, max(sizes)), np.float32)
    for layer, each in enumerate(gates):
        weights[layer, 0, 0, : len(each)] = each
    channels = [str(number + 1) for number in range(max(sizes))]
    names = [_block_name(each.name.removeprefix(part)) for each in found]
    return [
        AttentionWeights(
            "excitation", weights, ["image"], channels, scale="gate", query_axis=IMAGE, key_axis="channel (scaled)",
            layer_names=names, sizes=sizes,
        )
    ]  # fmt: skip


def region_names(grid: Grid, before: Sequence[str] = ()) -> list[str]:
    """The regions of an image row by row, "row,column" from 1, behind the tokens that stand in front of them."""
    places = [f"{row + 1},{column + 1}" for row in range(grid[0]) for column in range(grid[1])]
    return [*before, *places]


def token_names(model: Any) -> list[str]:
    """What stands in front of the regions in the states of an image encoder; most have nothing there."""
    return list(getattr(model, "token_names", ()))


def image_self_attention(seen: Sequence[Seen], part: str, grid: Grid, model: Any) -> list[AttentionWeights]:
    """`self_attention` of an image encoder, `model`: among its regions, and the tokens before them where it has some,
    such as a class token."""
    names = region_names(grid, token_names(model))
    return self_attention(seen, part, "encoder", names, IMAGE, query_grid=grid, key_grid=grid)


def check_no_target(target: str | None) -> None:
    """Raises ValueError for one, of a model that writes nothing."""
    if target is not None:
        raise ValueError(f"[attention] expected no target: a classifier writes no text, got {quoted(target)}")


def image_title(image: Any) -> str:
    """The name of a file; nothing of an image that has none."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else ""


def class_name(label: str, probability: float) -> str:
    """What a classifier made of its input, as people read it."""
    return f"{label} {100 * probability:.1f} %"


def _block_name(name: str) -> str:
    """ "stages.0.1.gate" as people count: stage 1, block 2."""
    numbers = [int(part) + 1 for part in name.split(".") if part.isdigit()]
    return f"stage {numbers[0]}, block {numbers[1]}" if name.startswith("stages.") and len(numbers) == 2 else name


def _of(seen: Sequence[Seen], layer: type, part: str) -> list[Seen]:
    return [each for each in seen if isinstance(each.module, layer) and each.name.startswith(part)]


def _heads(seen: Seen, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    [weights] = head_weights(seen.weights, seen.module.heads, np.asarray(queries), np.asarray(keys))
    return weights
