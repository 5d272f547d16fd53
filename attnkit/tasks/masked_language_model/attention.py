"""Everything that a masked language model looks at in one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnkit import _tensor, nn
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.tasks.shared.attention_kinds import self_attention

if TYPE_CHECKING:
    from attnkit.tasks.masked_language_model.filler import MaskFiller

TEXT = "text (read)"


def look(filler: MaskFiller, title: str, output: str, ids: Sequence[int], pieces: Sequence[str]) -> AttentionMaps:
    """The attention of a text: the ids that the model reads, the start token first, and what they are called."""
    model: Any = filler.model
    with _tensor.no_grad(), _tensor.precision(filler.precision), nn.watching(model) as seen:
        model.states(np.array(ids, np.int32), np.array([0, len(ids)], np.int32))
    return AttentionMaps(self_attention(seen, "encoder.", "encoder", pieces, TEXT), title, output)
