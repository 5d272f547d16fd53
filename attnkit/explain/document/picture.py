"""A classified document as a picture: running text, words and sentences shaded by their weight."""

from __future__ import annotations

import os

from attnkit.explain.document.map import DocumentMap, readable
from attnkit.explain.drawing.colours import ORANGE
from attnkit.explain.drawing.legend import Legend, Mark
from attnkit.explain.drawing.pieces import SPECIAL, labels
from attnkit.explain.drawing.running_text import Passage, RunningText
from attnkit.explain.drawing.sheet import Header, Note, save_sheet


def write_document_png(path: str | os.PathLike[str], document: DocumentMap) -> None:
    """Draws the title, the classes and the text, wrapped: SVG where the path ends in .svg, otherwise PNG. Needs Pillow.
    Raises OSError."""
    classes = " · ".join(f"{labels([label])[0]} {100 * share:.1f} %" for label, share in document.classes)
    header = Header(document.title, name=classes)
    if not document.sentences:
        save_sheet(path, header, Note())
        return
    several = len(document.sentences) > 1
    bars = document.sentence_strengths().tolist() if several else [None]
    passages = [
        Passage(readable(tokens), strengths.tolist(), bar)
        for tokens, strengths, bar in zip(document.sentences, document.word_strengths(), bars, strict=True)
    ]
    body = RunningText(passages)
    save_sheet(path, header, body, _legend(document, several), smooth=2 if body.lines < 60 else 1)


def _legend(document: DocumentMap, several: bool) -> Legend:
    """The colours are relative, and it says to what."""
    weights = [float(weights.max(initial=0.0)) for weights in document.words]
    if several:
        words = "√sentence · word above an even share; 1: the strongest here"
    else:
        words = f"word above an even share; 1: the strongest, {max(weights, default=0.0):.2f} of the attention"
    marks = []
    if several:
        largest = float(document.sentence_weights.max(initial=0.0))
        marks.append(Mark("box", ORANGE, f"bar: weight of the sentence; full: the largest, {largest:.2f}"))
    special = dict.fromkeys(token for tokens in document.sentences for token in tokens if token in SPECIAL)
    if special:
        marks.append(Mark("box", (225, 229, 235), f"{' '.join(special)}: marks of the model's own, no words"))
    return Legend(words=words, marks=marks)
