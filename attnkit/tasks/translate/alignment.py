"""How well a translator of words attends: its attention held against links that are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnkit.tasks.translate.translator import Translator
    from attnkit.text.alignment import AlignedPair
import numpy as np
import numpy.typing as npt


def alignment_error(translator: Translator, pairs: Sequence[AlignedPair], back: Translator | None = None) -> float:
    """The alignment error rate, in [0, 1], of a translator of words on pairs whose links are known.

    The reference is forced on the model, so that every sentence has the words that its links are between; each of its
    words is linked to the source word it attends to most. The end tokens take no part.

    A source word beside others that make one target word has no link then, however well the model attends. `back`, a
    translator from the target language to the source's, sees those: the weights of both directions are added up, and
    each source word without a link gets one to the target word of most weight. (Directions have been combined for this
    reason since Och & Ney 2003, section 3.4; adding up is a soft form of it.)
    """
    from attnkit.text.alignment import alignment_error_rate, hard_alignment

    weights = forced_attention(translator, pairs)
    if back is not None:
        behind = forced_attention(back, [pair.reversed() for pair in pairs])
        weights = [there + here.T for there, here in zip(weights, behind, strict=True)]
    links = [hard_alignment(each, every_source=back is not None) for each in weights]
    return alignment_error_rate(links, [pair.alignment for pair in pairs])


def forced_attention(translator: Translator, pairs: Sequence[AlignedPair]) -> list[npt.NDArray[np.float32]]:
    """The attention of each pair's target words on its source words, [target, source], the target forced."""
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    attention = []
    for pair, result in zip(pairs, translator.translate(sources, prefix=targets, attention=True, beam=1), strict=True):
        assert result.attention is not None  # it was asked for
        attention.append(result.attention[: len(pair.target.split()), : len(pair.source.split())])
    return attention
