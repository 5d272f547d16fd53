"""Soft and hard attention are sensitive to different things: their maps side by side, for a sentence and a picture.

A soft map is a weighted mean over all places: it has shades, and spreads over what a word needs. A hard map is one
place for each word: sharp, and right or wrong (Xu et al., 2015, figures 2 and 3). Both translators are made to write
the same translation, both captioners the same caption, so that each word has a map of either kind. Behind a caption's
words stands β, how far each lets in what it looks at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.explain.drawing.matrix import MatrixPanel
from attnkit.explore.hard_soft import VARIANTS, run_name
from attnkit.explore.laboratory import Laboratory, bleu, held_out
from attnkit.explore.soft_hard_drawing import draw_rows
from attnkit.metrics import text as text_metrics
from attnkit.tasks.caption.captioner import Caption, Captioner
from attnkit.tasks.translate.alignment import alignment_error, forced_attention
from attnkit.text.alignment import AlignedPair
from attnkit.vision import shapes

TRANSLATORS = {"soft": "soft", "hard": "hard, REINFORCE"}  # of the experiment hard-soft, which trains them alike
PRESET = "shapes"
FEW_STEPS = 345
_SENTENCE = 2  # of the test pairs: one whose adjective and noun change places
_TESTED = 300  # scenes
_BLEU_FLOOR, _EXACT_FLOOR, _POINTING_FLOOR = 40.0, 10.0, 80.0  # the maps are of words that the models can write

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Looked:
    """Where a captioner looked for each word, [words, rows, columns], and the gates β [words], if it has some."""

    maps: npt.NDArray[np.float32]
    gates: npt.NDArray[np.float32] | None


def run(laboratory: Laboratory) -> list[Path]:
    """Trains two translators and two captioners, and draws what each looks at in the same sentence and picture."""
    sentence, pair = _sentence(laboratory)
    picture, scene, looked = _picture(laboratory)
    least = min(figures["bleu"] for figures in sentence.values())
    exact, pointing = (min(figures[what] for figures in picture.values()) for what in ("exact", "pointing"))
    laboratory.expect(
        least >= _BLEU_FLOOR and exact >= _EXACT_FLOOR and pointing >= _POINTING_FLOOR,
        f"with both a BLEU of {_BLEU_FLOOR:.0f}, {_EXACT_FLOOR:.0f} % of the captions right and {_POINTING_FLOOR:.0f} "
        f"% of their words on what they name, got {least:.1f}, {exact:.0f} % and {pointing:.0f} %",
    )
    files = [_draw_sentence(laboratory, sentence, pair), draw_rows(laboratory, scene, looked, picture)]
    return [*files, laboratory.save({"sentence": sentence, "picture": picture})]


def train_captioner(laboratory: Laboratory, attention: str) -> Captioner:
    """The captioner of the built-in scenes with "soft" or "hard" attention; other experiments take its runs."""
    changes = ["model.decoder.attention=hard", laboratory.soft_batches("model.decoder")] if attention == "hard" else []
    return laboratory.train_captioner(f"captioner-{attention}", PRESET, changes)


def describe(captioner: Captioner, scenes: Sequence[shapes.Scene]) -> list[Caption]:
    """Their captions, word by word the likeliest, with attention."""
    return captioner.caption([shapes.draw(scene) for scene in scenes], beam=1, attention=True)


def quality(scenes: Sequence[shapes.Scene], captions: Sequence[Caption]) -> Numbers:
    """Captions that are exactly right, BLEU and pointing, all in percent."""
    right, written = [scene.caption().text for scene in scenes], [caption.text for caption in captions]
    pointing = shapes.measure_pointing(scenes, captions)
    return {
        "exact": 100.0 * sum(one == other for one, other in zip(right, written, strict=True)) / len(scenes),
        "bleu": text_metrics.bleu(written, right, "none").score,
        "pointing": pointing.accuracy,
        "mass_on_the_thing": pointing.mass,
        "by_chance": pointing.chance,
    }


def look(captioner: Captioner, scene: shapes.Scene) -> Looked:
    """Where it looks while it is made to write the scene's right caption."""
    maps = captioner.attention(shapes.draw(scene), scene.caption().text)
    cross, beta = maps["cross"], maps.get("gates.beta")
    assert cross.key_grid is not None
    words = len(cross.queries) - 1  # the last row is the end's
    return Looked(
        cross.weights[0, 0, :words].reshape(words, *cross.key_grid),
        None if beta is None else beta.weights[0, 0, 0, :words],
    )


def _sentence(laboratory: Laboratory) -> tuple[Numbers, AlignedPair]:
    pairs = held_out()
    numbers: Numbers = {}
    for kind, variant in TRANSLATORS.items():
        changes = ["model.dropout=0.0", laboratory.soft_batches(), *VARIANTS[variant]]
        translator = laboratory.train(run_name(variant), "en-it-recurrent", changes)
        numbers[kind] = {
            "bleu": bleu(translator, pairs),
            "alignment_error_rate": alignment_error(translator, pairs),
            "map": forced_attention(translator, pairs[_SENTENCE : _SENTENCE + 1])[0].tolist(),
        }
    return numbers, pairs[_SENTENCE]


def _picture(laboratory: Laboratory) -> tuple[Numbers, shapes.Scene, dict[str, Looked]]:
    """The figures of both captioners, the scene that is drawn, and where they looked in it."""
    scenes = shapes.scenes("test", _TESTED)
    numbers: Numbers = {}
    captioners, right = {}, np.ones(len(scenes), bool)
    for kind in ("soft", "hard"):
        captioners[kind] = train_captioner(laboratory, kind)
        captions = describe(captioners[kind], scenes)
        numbers[kind] = quality(scenes, captions)
        right &= [one.text == scene.caption().text for one, scene in zip(captions, scenes, strict=True)]
    scene = scenes[int(right.argmax())]  # the first one that both describe rightly, if there is one
    looked = {kind: look(captioner, scene) for kind, captioner in captioners.items()}
    for kind, each in looked.items():
        gates = None if each.gates is None else each.gates.tolist()
        numbers[kind] |= {"words": list(scene.caption().words), "map": each.maps.tolist(), "gates": gates}
    return numbers, scene, looked


def _draw_sentence(laboratory: Laboratory, numbers: Mapping[str, Any], pair: AlignedPair) -> Path:
    titles = {"soft": "Soft: a weighted mean", "hard": "Hard: one position"}
    panels = [
        MatrixPanel(
            f"{title} (BLEU {numbers[kind]['bleu']:.1f})",
            np.array(numbers[kind]["map"], np.float32),
            pair.target.split(),
            pair.source.split(),
        )
        for kind, title in titles.items()
    ]
    title = "What each word of the translation (rows) looks at in the sentence (columns)"
    return laboratory.draw("sentence.png", title, [panels])
