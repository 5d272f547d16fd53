"""What `attnkit evaluate` prints of a classifier: accuracy, a line for each class, and what is taken for what."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from attnkit.printable import shortened

from .measured import report, timed

if TYPE_CHECKING:
    from attnkit.tasks.shared.answers import ClassFigures, ClassificationReport

_MATRIX = 12  # classes of which a matrix fits on a screen
_LINES = 20  # classes that are listed where there are more
_MISTAKES = 10
_CORNER = "taken for"
_NAME = 24  # characters of a class's name


def report_classes(found: ClassificationReport, what: str, seconds: float, as_json: bool) -> None:
    """what: the examples, in the plural."""
    rates = {"seconds": seconds, f"{what}_per_second": found.examples / seconds}
    figures: dict[str, Any] = {what: found.examples, **dataclasses.asdict(found), **rates}
    del figures["examples"]
    report(figures, [*_lines(found, what), "", _counted(found, what, seconds)], as_json)


def _lines(found: ClassificationReport, what: str) -> Iterator[str]:
    top = "" if found.top5 is None else f"   top-5 {found.top5:.2f} %"
    yield f"accuracy {found.accuracy:.2f} %{top}   macro F1 {found.macro_f1:.2f}   loss {found.loss:.4f}"
    yield ""
    shown = found.classes
    if len(shown) > _LINES:
        shown = sorted(shown, key=lambda each: each.f1)[:_LINES]
        yield f"the {_LINES} classes of the lowest F1, of {len(found.classes):,}:"
    names = [_short(each.label) for each in shown]
    width = max(map(len, names))
    yield f"{'':{width}}  precision  recall      F1  {what:>8}"
    for name, each in zip(names, shown, strict=True):
        yield f"{name:{width}}  {_scores(each)}  {each.examples:8,}"
    yield from _matrix(found, names, width) if len(found.classes) <= _MATRIX else _mistakes(found)


def _scores(each: ClassFigures) -> str:
    precision, recall = ("-" if score is None else f"{score:.2f}" for score in (each.precision, each.recall))
    return f"{precision:>9}  {recall:>6}  {each.f1:6.2f}"


def _matrix(found: ClassificationReport, names: list[str], width: int) -> Iterator[str]:
    """A line for each class, a column for each that is taken for it."""
    width = max(width, len(_CORNER))
    labels = [each.label for each in found.classes]
    rows = [[found.confusion.get(is_one, {}).get(taken_for, 0) for taken_for in labels] for is_one in labels]
    columns = [max(len(name), *(len(f"{row[n]:,}") for row in rows)) for n, name in enumerate(names)]
    yield ""
    yield f"{_CORNER:{width}}  " + "  ".join(f"{name:>{n}}" for name, n in zip(names, columns, strict=True))
    for name, row in zip(names, rows, strict=True):
        yield f"{name:{width}}  " + "  ".join(f"{count:{n},}" for count, n in zip(row, columns, strict=True))


def _mistakes(found: ClassificationReport) -> Iterator[str]:
    """The most frequent ones."""
    counts = [
        (count, is_one, taken_for)
        for is_one, row in found.confusion.items()
        for taken_for, count in row.items()
        if is_one != taken_for
    ]
    counts.sort(key=lambda each: -each[0])
    if counts:
        yield ""
        yield "most often taken for another:"
    for count, is_one, taken_for in counts[:_MISTAKES]:
        yield f"{count:6,}  {_short(is_one)} for {_short(taken_for)}"


def _counted(found: ClassificationReport, what: str, seconds: float) -> str:
    empty = f", {found.empty:,} without a word left out" if found.empty else ""
    cut = f", {found.truncated:,} cut" if found.truncated else ""
    return timed(found.examples, f"{what}{empty}{cut}", seconds)


def _short(label: str) -> str:
    return shortened(" ".join(label.split()), _NAME)
