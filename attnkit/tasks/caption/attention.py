"""Everything that a captioner looks at, for one image and its caption, made or given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnkit import _tensor, nn
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.tasks.shared.attention_kinds import (
    IMAGE,
    cross_attention,
    excitation,
    image_self_attention,
    region_names,
    self_attention,
    token_names,
)
from attnkit.tasks.shared.recurrent_kinds import gates, one_head_attention

if TYPE_CHECKING:
    from PIL.Image import Image

    from attnkit.models.caption_lstm import Decoded
    from attnkit.tasks.caption.captioner import Captioner
    from attnkit.text.forced import Forced

WRITTEN, HISTORY = "caption (written)", "caption so far (read)"


def look(captioner: Captioner, title: str, picture: Image, caption: Forced) -> AttentionMaps:
    """The attention of a picture and a whole caption in one pass."""
    model: Any = captioner.model
    prepare = captioner.preprocessing
    images = prepare.array(prepare.fitted(picture))[None]
    inputs = [model.bos_id, *caption.ids]
    offsets = np.array([0, len(inputs)], np.int32)
    with _tensor.no_grad(), _tensor.precision(captioner.precision), nn.watching(model) as seen:
        regions = model.encode(images)
        decoded = model.decoder(regions.memory, regions.offsets, np.array(inputs, np.int32), offsets)
    first, last = (captioner.tokenizer.pieces([each]) for each in (model.bos_id, model.eos_id))
    pieces = caption.pieces(caption.ids, captioner.tokenizer)
    history, written = [*first, *pieces], [*pieces, *last]
    # Without attention the image is what the LSTM reads first.
    told = history if getattr(model.decoder, "attends", True) else ["image", *history]
    before = token_names(model.encoder)[: regions.before]
    names, axes = region_names(regions.grid, before), (WRITTEN, IMAGE)
    kinds = [
        *image_self_attention(seen, "encoder.", regions.grid, model.encoder),
        *excitation(seen, "encoder."),
        *self_attention(seen, "decoder.", "decoder", history, HISTORY),
        *cross_attention(seen, "decoder.", written, names, axes, key_grid=regions.grid),
        *one_head_attention(seen, "decoder.", written, names, axes, key_grid=regions.grid),
        *gates(seen, "decoder.", told, HISTORY, "gates.decoder"),
        *_beta(decoded, written),
    ]
    return AttentionMaps(kinds, title, caption.text, prepare.shown(picture))


def _beta(decoded: Decoded, written: Sequence[str]) -> list[AttentionWeights]:
    """How far each word lets the image in: the gate β of show, attend and tell (Xu et al., 2015, section 4.2.1)."""
    if decoded.gates is None:
        return []
    weights = decoded.gates.numpy()[None, None, None]
    return [
        AttentionWeights(
            "gates.beta", weights, ["β"], written, scale="gate", query_axis="gate of the image", key_axis=WRITTEN
        )
    ]
