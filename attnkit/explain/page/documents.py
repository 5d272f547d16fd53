"""Classified documents on the page: text whose words and sentences are shaded by their weight, without any script."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence

from attnkit.explain.document.map import DocumentMap, readable
from attnkit.explain.drawing.pieces import labels
from attnkit.explain.drawing.standalone import standalone_page
from attnkit.files import atomic_write

# Shades that the style sheet has a class for: the page's policy allows no style of an element's own.
_STEPS = 20


def write_documents_html(
    path: str | os.PathLike[str], documents: Sequence[DocumentMap], *, title: str = "What decided"
) -> None:
    """Writes one page that holds every document. Tokens are shown through `attnkit.explain.drawing.pieces.labels`.

    Raises OSError.
    """
    with atomic_write(path) as file:
        file.write(_page(documents, title).encode("utf-8", "replace"))


def _page(documents: Sequence[DocumentMap], title: str) -> str:
    steps = "".join(f".s{step} {{ --share: {step / _STEPS:g}; }}\n" for step in range(_STEPS + 1))
    articles = "\n".join(map(_article, documents))
    return standalone_page(__package__, title, body="documents.html", style=steps, documents=articles)


def _article(document: DocumentMap) -> str:
    title = f'<h2 dir="auto">{_escape(document.title)}</h2>' if document.title else ""
    classes = "".join(f"<li>{_escape(label)} {100 * share:.1f} %</li>" for label, share in document.classes)
    strengths = zip(
        document.sentences, document.words, document.word_strengths(), document.sentence_strengths(), strict=True
    )
    sentences = [
        _sentence(tokens, weights.tolist(), shades.tolist(), float(weight), float(shade))
        for (tokens, weights, shades, shade), weight in zip(strengths, document.sentence_weights, strict=True)
    ]
    text = "\n".join(sentences) or '<p class="empty">(no words)</p>'
    return f'<article>\n<header>{title}<ul class="classes">{classes}</ul></header>\n{text}\n</article>'


def _sentence(tokens: Sequence[str], weights: list[float], shades: list[float], weight: float, shade: float) -> str:
    words = []
    for (gap, token), own, strength in zip(readable(tokens), weights, shades, strict=True):
        step = round(strength * _STEPS)
        strong = " strong" if strength > 0.55 else ""
        text = html.escape(token)
        marked = f'<mark class="s{step}{strong}" title="{own:.3f}">{text}</mark>' if step and token.strip() else text
        words.append(gap + marked)
    bar = f'<span class="bar s{round(shade * _STEPS)}" title="{weight:.3f}"></span>'
    return f'<div class="sentence">{bar}<p>{"".join(words)}</p></div>'


def _escape(text: str) -> str:
    return html.escape(labels([text])[0]) if text else ""
