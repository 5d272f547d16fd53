"""Attention in a terminal: a grid of shaded blocks where it fits, else a list of what each word looks at."""

from __future__ import annotations

import unicodedata

from attnkit.explain.drawing.pieces import labels
from attnkit.explain.drawing.scale import scale_top
from attnkit.explain.sentence.map import AttentionMap
from attnkit.explain.weights import Weights

SHADES = " ░▒▓█"
_BAR = " ▏▎▍▌▋▊▉█"
_BAR_WIDTH = 8
# 256-colour blues that stand out on a dark background and on a light one; density of the block carries the weight too.
_BLUES = (0, 67, 68, 33, 27)
_LABEL_WIDTH = 18
_GRID_COLUMNS = 24  # beyond this many source words the staircase of labels is harder to read than a list


def render_terminal(attention: AttentionMap, colour: bool = True, width: int = 80) -> str:
    """The mean over heads and layers as lines of at most `width` columns, each ended by "\\n".

    A row is a target word; it ends with the source word that it attends to most and that weight. Where the source has
    too many words for a grid, each row lists its strongest source words with bars. `colour` uses ANSI's 256 colours;
    without it the same drawing has Unicode blocks alone. Wide characters (CJK) count as two columns. Errors: ValueError
    for a width under 20.
    """
    if width < 20:
        raise ValueError(f"[render_terminal] expected a width of at least 20 columns, got {width}")
    source, target = labels(attention.source_tokens), labels(attention.target_tokens)
    lines = [fit(labels([attention.title])[0], width)] if attention.title else []
    if not source or not target:
        return "".join(line + "\n" for line in [*lines, "(no words)"])
    weights = attention.view()
    label_width = min(max(map(display_width, target)), _LABEL_WIDTH, width // 3)
    cell = next((cell for cell in (3, 2) if _grid_width(source, label_width, cell) <= width), 0)
    if cell and len(source) <= _GRID_COLUMNS:
        lines += _grid(source, target, weights, label_width, cell, Painter(colour))
    else:
        lines += _list(source, target, weights, label_width, width, Painter(colour))
    return "".join(line.rstrip() + "\n" for line in lines)


class Painter:
    """Puts colours around text, or leaves it as it is."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def block(self, text: str, strength: float) -> str:
        return self._ansi(f"38;5;{_BLUES[level(strength)]}", text) if text.strip() else text

    def quiet(self, text: str) -> str:
        return self._ansi("2", text)

    def strong(self, text: str) -> str:
        return self._ansi("1", text)

    def _ansi(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


def _grid_width(source: list[str], label_width: int, cell: int) -> int:
    widest = min(max(map(display_width, source)), _LABEL_WIDTH)
    return label_width + 1 + cell * len(source) + max(widest, 2 + widest + 5)


def _grid(
    source: list[str], target: list[str], weights: Weights, label_width: int, cell: int, paint: Painter
) -> list[str]:
    lines = []
    for column, label in enumerate(source):  # a staircase: each label stands on a line of its own above its column
        stairs = "│".ljust(cell) * column + "┌ "
        lines.append(" " * (label_width + 1) + paint.quiet(stairs) + fit(label, _LABEL_WIDTH))
    top = scale_top(weights)
    for label, row in zip(target, weights, strict=True):
        best = int(row.argmax())
        cells = "".join(_cell(float(weight) / top, cell, paint) for weight in row)
        strongest = f" {paint.strong(fit(source[best], _LABEL_WIDTH))} {row[best]:.2f}"
        lines.append(f"{_pad_left(label, label_width)} {cells}{strongest}")
    return lines


def _cell(strength: float, cell: int, paint: Painter) -> str:
    shade = level(strength)
    if shade == 0:
        return paint.quiet("·") + " " * (cell - 1)
    return paint.block(SHADES[shade] * (cell - 1), strength) + " "


def level(strength: float) -> int:
    """0 for next to nothing, then four steps."""
    return 0 if strength < 0.08 else min(1 + int(strength * 4), 4)


def _list(
    source: list[str], target: list[str], weights: Weights, label_width: int, width: int, paint: Painter
) -> list[str]:
    room = width - label_width
    widest = min(max(map(display_width, source)), _LABEL_WIDTH)
    with_bars = room >= 2 + _BAR_WIDTH + 1 + widest + 5  # in every row or in none
    return [
        _pad_left(label, label_width) + _strongest(source, row, room, with_bars, paint)
        for label, row in zip(target, weights, strict=True)
    ]


def _strongest(source: list[str], row: Weights, room: int, with_bars: bool, paint: Painter) -> str:
    """The source words of one row by weight, as many as `room` columns hold; the first always."""
    line = ""
    for rank, column in enumerate(sorted(range(len(source)), key=lambda i: -float(row[i]))):
        weight = float(row[column])
        label = fit(source[column], max(1, min(_LABEL_WIDTH, room - 7)))
        bar = _bar(weight) if rank == 0 and with_bars else ""
        needed = 2 + display_width(label) + 5 + (1 + _BAR_WIDTH if bar else 0)
        if rank and (weight < 0.05 or needed > room):
            break
        entry = f"{paint.strong(label) if rank == 0 else label} {weight:.2f}"
        line += "  " + (f"{paint.block(bar, weight)} {entry}" if bar else entry)
        room -= needed
    return line


def _bar(weight: float) -> str:
    eighths = round(min(weight, 1.0) * _BAR_WIDTH * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_BAR[rest] if rest else "")).ljust(_BAR_WIDTH)


def display_width(text: str) -> int:
    """How many columns a terminal gives `text`: two for wide characters, none for combining marks and joiners."""
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _pad_left(text: str, width: int) -> str:
    text = fit(text, width)
    return " " * (width - display_width(text)) + text


def fit(text: str, width: int) -> str:
    """`text`, cut with an ellipsis where it takes more than `width` columns."""
    if display_width(text) <= width:
        return text
    kept, used = "", 1
    for character in text:
        used += _character_width(character)
        if used > width:
            break
        kept += character
    return kept + "…"
