"""Classified documents in a terminal: words on shaded ground, a bar beside each sentence."""

from __future__ import annotations

from collections.abc import Sequence

from attnkit.explain.document.map import DocumentMap, readable
from attnkit.explain.drawing.pieces import labels
from attnkit.explain.sentence.terminal import display_width

# 256-colour grounds from pale to deep blue, each with the ink that reads on it.
_GROUNDS = (None, "48;5;153;38;5;16", "48;5;75;38;5;16", "48;5;33;38;5;231", "48;5;20;38;5;231")
_BARS = " ▁▂▃▄▅▆▇█"


def render_document(document: DocumentMap, colour: bool = True, width: int = 80) -> str:
    """The classes with their probabilities, then the text in lines of at most `width` columns, each ended by "\\n".

    The bar at the left of a sentence's first line is its weight; a document of one sentence has none. Words are shaded
    by `DocumentMap.word_strengths`; without `colour` the strong ones stand in brackets. A word wider than a line has a
    line of its own. Errors: ValueError for a width under 20.
    """
    if width < 20:
        raise ValueError(f"[render_document] expected a width of at least 20 columns, got {width}")
    lines = [labels([document.title])[0]] if document.title else []
    if document.classes:
        lines.append("  ".join(f"{labels([label])[0]} {100 * share:.1f} %" for label, share in document.classes))
    if not document.sentences:
        return "".join(f"{line}\n" for line in [*lines, "(no words)"])
    with_bars = len(document.sentences) > 1
    strengths = zip(document.sentences, document.word_strengths(), document.sentence_strengths(), strict=True)
    for tokens, words, sentence in strengths:
        bar = f"{_BARS[round(float(sentence) * (len(_BARS) - 1))]} " if with_bars else ""
        for number, line in enumerate(_wrapped(tokens, words.tolist(), colour, width - len(bar))):
            lines.append((bar if number == 0 else " " * len(bar)) + line)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _wrapped(tokens: Sequence[str], strengths: list[float], colour: bool, width: int) -> list[str]:
    """The sentence in lines. Between tokens without a gap there is no line end, unless one of them fills a line."""
    lines, used = [""], 0
    for word in _words(tokens, strengths, colour):
        columns = sum(display_width(plain) for plain, _ in word)
        if used and used + 1 + columns > width:
            lines.append("")
            used = 0
        lines[-1] += (" " if used else "") + "".join(painted for _, painted in word)
        used += bool(used) + columns
    return lines


def _words(tokens: Sequence[str], strengths: list[float], colour: bool) -> list[list[tuple[str, str]]]:
    """The tokens that belong together, as (plain, painted): a new word begins behind every space."""
    words: list[list[tuple[str, str]]] = []
    for (gap, token), strength in zip(readable(tokens), strengths, strict=True):
        if gap or token == " " or not words:
            words.append([])
        if token.strip():
            plain = token if colour or strength < 0.25 else f"[{token}]"
            words[-1].append((plain, _painted(plain, strength) if colour else plain))
    return [word for word in words if word]


def _painted(text: str, strength: float) -> str:
    ground = _GROUNDS[0 if strength < 0.1 else min(1 + int(strength * 4), 4)]
    return f"\x1b[{ground}m{text}\x1b[0m" if ground else text
