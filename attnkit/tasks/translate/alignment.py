"""Word alignments from the attention of translators: made, and held against links that are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnkit.tasks.translate.translator import Translator
    from attnkit.text.alignment import AlignedPair, Link
    from attnkit.text.corpus import ParallelCorpus
import numpy as np
import numpy.typing as npt


def alignment_error(
    translator: Translator,
    pairs: Sequence[AlignedPair],
    back: Translator | None = None,
    threshold: float | None = None,
) -> float:
    """The alignment error rate, in [0, 1], of the links that `align` finds in pairs whose links are known."""
    from attnkit.text.alignment import alignment_error_rate

    links = align(translator, pairs, back, threshold)
    return alignment_error_rate(links, [pair.alignment for pair in pairs])


def align(
    translator: Translator,
    pairs: Sequence[AlignedPair],
    back: Translator | None = None,
    threshold: float | None = None,
) -> list[list[Link]]:
    """The links (source word, target word) that a model finds in each pair, words being what white space separates.

    The target is forced on the model, and each of its words is linked to the source word it attends to most.

    A source word beside others that make one target word has no link then, however well the model attends. `back`, a
    translator from the target language to the source's, sees those: the weights of both directions are added up, and
    each source word without a link gets one to the target word of most weight. (Directions have been combined for this
    reason since Och & Ney 2003, section 3.4; adding up is a soft form of it.) With a `threshold`, each other weight
    that is as large is a link too: for attention that learnt from links, where a target word may have several.
    """
    from attnkit.text.alignment import hard_alignment

    weights = forced_attention(translator, pairs)
    if back is not None:
        behind = forced_attention(back, [pair.reversed() for pair in pairs])
        weights = [there + here.T for there, here in zip(weights, behind, strict=True)]
    return [hard_alignment(each, back is not None, threshold) for each in weights]


def forced_attention(translator: Translator, pairs: Sequence[AlignedPair]) -> list[npt.NDArray[np.float32]]:
    """The attention of each pair's target words on its source words, [target, source], the target forced."""
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    results = translator.translate(sources, prefix=targets, attention=True, beam=1)
    found = []
    for pair, result in zip(pairs, results, strict=True):
        weights = np.zeros((len(pair.target.split()), len(pair.source.split())), np.float32)
        words = result.word_attention()[: len(weights), : weights.shape[1]]
        weights[: words.shape[0], : words.shape[1]] = words  # a pair that the model cannot read whole
        found.append(weights)
    return found


def made_alignments(
    models: Sequence[str], text: ParallelCorpus, tagged: bool, note: Callable[[str], None]
) -> list[list[Link]]:
    """The links of a corpus by the attention of a model, or of one for each direction, from their directories. `tagged`
    sources begin with the tag of a language, which is no word."""
    from attnkit.tasks.load import load
    from attnkit.text.alignment import AlignedPair

    translators = [load(path, task="translate") for path in models]
    note(f"aligning {len(text):,} sentence pairs with {' and '.join(models)}")
    pairs = [AlignedPair(source, target, ()) for source, target in text]
    links = align(translators[0], pairs, translators[1] if len(translators) > 1 else None)
    return [[(source - 1, target) for source, target in each if source] for each in links] if tagged else links
