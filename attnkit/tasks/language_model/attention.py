"""Everything that a language model looks at in one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnkit import _tensor, nn
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.tasks.shared.attention_kinds import self_attention

if TYPE_CHECKING:
    from attnkit.tasks.language_model.generator import Generator

TEXT = "text (read)"


def look(generator: Generator, title: str, output: str, ids: Sequence[int], pieces: Sequence[str]) -> AttentionMaps:
    """The attention of a text: its ids and pieces, the start token first."""
    model: Any = generator.model
    with _tensor.no_grad(), _tensor.precision(generator.precision), nn.watching(model) as seen:
        model.states(np.array(ids, np.int32), np.array([0, len(ids)], np.int32))
    return AttentionMaps(self_attention(seen, "layers.", "decoder", pieces, TEXT), title, output)
