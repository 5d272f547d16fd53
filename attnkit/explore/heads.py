"""What the heads of a trained translator look at, in the encoder, in the decoder and at the source.

Nobody tells a head what to look at: its queries and keys are learned with the rest. In large models many end as
something with a name (Clark et al., 2019, section 3; Voita et al., 2019): the word before, the word behind, the word
itself, the end of the sentence, the words that a word translates. A row says how much of the head's attention falls on
each, the mean over all words of test sentences. In this small model the heads at the source find what a word
translates, some nearly alone; those of the encoder have no name of their own, and look at all of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from attnkit.explain.drawing.matrix import MatrixPanel
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.explore.laboratory import Laboratory, bleu, held_out
from attnkit.tasks.translate.translator import Translator
from attnkit.text.alignment import AlignedPair

FEW_STEPS = 345
# As the experiment on positions trains it: words alone say what attention learns.
_OVERRIDES = ["model.positions=sinusoidal", "training.guided_alignment.weight=0"]
_FLOOR = 40.0  # the BLEU below which heads have learned nothing
_MEASURED = 200  # sentences

Shares = dict[str, np.ndarray]
"""By what is looked at, the share of each head, [layers, heads]; with "elsewhere" they sum to one."""


def run(laboratory: Laboratory) -> list[Path]:
    """Trains a Transformer on words alone, and measures where the weight of each head falls."""
    pairs = held_out()
    translator = laboratory.train("sinusoidal", "en-it", _OVERRIDES)
    reached = bleu(translator, pairs)
    laboratory.expect(reached >= _FLOOR, f"a BLEU of {_FLOOR:.0f}, got {reached:.1f}")
    found = measure(translator, pairs[:_MEASURED])
    heads = {kind: {what: share.tolist() for what, share in shares.items()} for kind, shares in found.items()}
    numbers = laboratory.save({"bleu": reached, "heads": heads})
    return [_draw(laboratory, found), _draw_sentence(laboratory, translator, _longest(pairs, 9)), numbers]


def measure(translator: Translator, pairs: Sequence[AlignedPair]) -> dict[str, Shares]:
    """The shares of encoder, decoder and cross-attention, the mean over all words of the pairs."""
    sums: dict[str, list[Shares]] = {"encoder": [], "decoder": [], "cross": []}
    for pair in pairs:
        maps = translator.attention(pair.source, pair.target)
        sums["encoder"] += _rows(maps["encoder"], _places(len(maps["encoder"].keys)))
        sums["decoder"] += _rows(maps["decoder"], _places(len(maps["decoder"].keys), causal=True))
        sums["cross"] += _rows(maps["cross"], _links(pair, maps["cross"]))
    return {
        kind: {what: np.mean([each[what] for each in rows], axis=0) for what in rows[0]} for kind, rows in sums.items()
    }


def _places(count: int, causal: bool = False) -> list[Mapping[str, Iterable[int]]]:
    """For each word of a text that attends to itself, the keys that have a name; in a decoder none lies behind it."""
    ends = {"the start": [0]} if causal else {"the end": [count - 1]}
    named: list[Mapping[str, Iterable[int]]] = []
    # The end token's own row says nothing of words, and in a decoder the start token sees itself alone.
    for row in range(1, count) if causal else range(count - 1):
        places: dict[str, Iterable[int]] = {"itself": [row], "word before": [row - 1] if row else [], **ends}
        named.append(places if causal else {**places, "word behind": [row + 1]})
    return named


def _links(pair: AlignedPair, kind: AttentionWeights) -> list[Mapping[str, Iterable[int]]]:
    """For each word that is written, the source words that it translates, and those beside them."""
    end = len(kind.keys) - 1
    named: list[Mapping[str, Iterable[int]]] = []
    for word in range(len(pair.target.split())):
        of_word = {source for source, target in pair.alignment if target == word}
        beside = {near for source in of_word for near in (source - 1, source + 1)}
        places = {"its source": of_word, "beside that": beside, "the end": [end]}
        named.append(places)
    return named


def _rows(kind: AttentionWeights, named: Sequence[Mapping[str, Iterable[int]]]) -> list[Shares]:
    """Of each word the share of the weight on each name: a key with two names counts for the first."""
    first = 1 if kind.kind == "decoder" else 0
    found = []
    for row, places in enumerate(named, start=first):
        weights = kind.weights[:, :, row]
        taken: set[int] = set()
        shares: Shares = {}
        for what, keys in places.items():
            free = [key for key in keys if 0 <= key < weights.shape[-1] and key not in taken]
            taken.update(free)
            shares[what] = weights[:, :, free].sum(axis=-1)
        shares["elsewhere"] = 1.0 - np.sum(list(shares.values()), axis=0)
        found.append(shares)
    return found


def _draw(laboratory: Laboratory, found: Mapping[str, Shares]) -> Path:
    titles = {"encoder": "Encoder: a word", "decoder": "Decoder: a word", "cross": "Cross-attention: a new word"}
    panels = []
    for kind, shares in found.items():
        layers, heads = next(iter(shares.values())).shape
        values = np.stack([share.ravel() for share in shares.values()], axis=1)
        rows = [f"layer {layer + 1}, head {head + 1}" for layer in range(layers) for head in range(heads)]
        panels.append(MatrixPanel(f"{titles[kind]} looks at", values, rows, list(shares)))
    return laboratory.draw("heads.png", "On what the attention of each head falls, the mean over all words", [panels])


def _draw_sentence(laboratory: Laboratory, translator: Translator, pair: AlignedPair) -> Path:
    """All heads of the encoder on one sentence."""
    kind = translator.attention(pair.source, pair.target)["encoder"]
    rows = [
        [
            MatrixPanel(
                f"Layer {layer + 1}, head {head + 1}",
                kind.weights[layer, head],
                kind.keys if head == 0 else (),
                kind.keys if layer == 0 else (),
                numbers=False,
            )
            for head in range(kind.heads)
        ]
        for layer in range(kind.layers)
    ]
    title = f"“{pair.source}” (each row looks at the columns)"
    return laboratory.draw("one-sentence.png", title, rows, widths=[1.35, *[1.0] * (kind.heads - 1)])


def _longest(pairs: Sequence[AlignedPair], words: int) -> AlignedPair:
    """The longest sentence of at most so many words: what a slide has room for."""
    return max((pair for pair in pairs if len(pair.source.split()) <= words), key=lambda pair: len(pair.source))
