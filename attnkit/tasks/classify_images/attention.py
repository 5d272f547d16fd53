"""Everything that a classifier looks at in one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnkit import _tensor, nn
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.nn.feature_attention import FeatureAttention
from attnkit.tasks.shared.attention_kinds import (
    IMAGE,
    class_name,
    cross_attention,
    excitation,
    image_self_attention,
    region_names,
    rollout,
)

if TYPE_CHECKING:
    from PIL.Image import Image

    from attnkit.tasks.classify_images.classifier import ImageClassification, ImageClassifier
    from attnkit.tasks.classify_images.zero_shot import ZeroShotClassifier


def look(classifier: ImageClassifier, title: str, picture: Image, result: ImageClassification | None) -> AttentionMaps:
    """The attention of a picture and its result, of an encoder without one."""
    model: Any = classifier.model
    prepare = classifier.preprocessing
    images = prepare.array(prepare.fitted(picture))[None]
    with _tensor.no_grad(), _tensor.precision(classifier.precision), nn.watching(model) as seen:
        model(images) if result is not None else model.encode(images)
    encoder = image_self_attention(seen, "", model.grid(images.shape), model) if hasattr(model, "grid") else []
    glimpses = _glimpses(model, images) if hasattr(model, "attention_by_glimpse") else []
    label, output = ("", "") if result is None else (result.label, class_name(result.label, result.probability))
    kinds = [*encoder, *rollout(encoder), *excitation(seen), *_of_features(seen, label), *glimpses]
    kinds += _of_a_probe(seen, model.grid(images.shape)) if encoder else []
    return AttentionMaps(kinds, title, output, prepare.shown(picture))


def look_at_encoder(classifier: ZeroShotClassifier, title: str, picture: Image) -> AttentionMaps:
    """The attention of a picture alone, whatever labels there may be."""
    model, prepare = classifier.model.image, classifier.preprocessing
    images = prepare.array(prepare.fitted(picture))[None]
    with _tensor.no_grad(), _tensor.precision(classifier.precision), nn.watching(model) as seen:
        model.vectors(images)
    encoder = image_self_attention(seen, "encoder.", model.grid(images.shape), model)
    kinds = [*encoder, *rollout(encoder), *_of_a_probe(seen, model.grid(images.shape))]
    return AttentionMaps(kinds, title, "", prepare.shown(picture))


def _of_a_probe(seen: Sequence[nn.Seen], grid: tuple[int, int]) -> list[AttentionWeights]:
    """What the trained query looks at that makes one vector of the patches (SigLIP), [1, heads, 1, patches]: the kind
    "pooling"; none where there is none."""
    found = cross_attention(seen, "", ["probe"], region_names(grid), ("probe (looks)", IMAGE), key_grid=grid)
    return [replace(each, kind="pooling") for each in found]


def _glimpses(model: Any, images: np.ndarray) -> list[AttentionWeights]:
    """Of a network that sees crops: the pixels of each, in the order in which it looked, [1, 1, glimpses, pixels]."""
    [maps] = model.attention_by_glimpse(images)
    count, *grid = maps.shape
    queries = [f"glimpse {number + 1}" for number in range(count)]
    names, weights = region_names((grid[0], grid[1])), maps.reshape(1, 1, count, -1)
    return [
        AttentionWeights(
            "glimpses", weights, queries, names, query_axis="glimpse (looks)", key_axis=IMAGE,
            key_grid=(grid[0], grid[1]),
        )
    ]  # fmt: skip


def _of_features(seen: Sequence[nn.Seen], label: str) -> list[AttentionWeights]:
    """The trained attention to the places of each attended stage, a kind each, since their grids differ:
    "attention.1", "attention.2"."""
    kinds: list[AttentionWeights] = []
    for each in seen:
        if isinstance(each.module, FeatureAttention):
            grid = (each.weights.shape[1], each.weights.shape[2])
            weights = each.weights.numpy().reshape(1, 1, 1, -1)
            kinds.append(
                AttentionWeights(
                    f"attention.{len(kinds) + 1}", weights, [label], region_names(grid), query_axis="class (given)",
                    key_axis=IMAGE, key_grid=grid,
                )
            )  # fmt: skip
    return kinds
