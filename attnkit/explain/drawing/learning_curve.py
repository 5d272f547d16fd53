"""The course of a training run as a picture: loss by step, and the figure of quality that the task has."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

from attnkit.explain.drawing.chart import BLUE, GREEN, ORANGE, Curve, CurvePanel, Points, draw_chart

# What validations measure beside the loss: the key of a row, the panel's title and the curve's name. The first that the
# rows have is drawn.
_QUALITY = (
    ("bleu", "BLEU (validation)", "BLEU"),
    ("accuracy", "Accuracy in percent (validation)", "accuracy"),
    ("validation_perplexity", "Perplexity (validation)", "perplexity"),
)


def draw_learning_curve(metrics_path: str | os.PathLike[str], png_path: str | os.PathLike[str]) -> None:
    """Draws `metrics.jsonl`: one JSON object a line, with `step` and any of `loss`, `validation_loss`, and `bleu`,
    `accuracy` or `validation_perplexity`.

    A row may lack a figure, or hold null or a figure that is not finite: the curve goes on at the next one. A last
    line that a killed run left cut off is passed over. Needs Pillow. Raises OSError, ValueError for a line that is
    no JSON object, with its number.
    """
    rows = _read(Path(metrics_path))
    loss = CurvePanel(
        "Loss",
        [
            Curve("training", _points(rows, "loss"), BLUE),
            Curve("validation", _points(rows, "validation_loss"), ORANGE, dots=True),
        ],
    )
    found = (quality for quality in _QUALITY if any(quality[0] in row for row in rows))
    key, title, name = next(found, _QUALITY[0])
    draw_chart(png_path, [loss, CurvePanel(title, [Curve(name, _points(rows, key), GREEN, dots=True)])])


def _read(path: Path) -> list[dict[str, object]]:
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:  # bad JSON and bad UTF-8 alike
            if number == len(lines):  # no line end: the run was killed as it wrote
                break
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"[draw_learning_curve] expected a JSON object on line {number} of {path}")
        rows.append(row)
    return rows


def _points(rows: Sequence[dict[str, object]], key: str) -> Points:
    """(step, figure) by rising step; of a step that was done twice (a resumed run) the later row counts."""
    points: dict[float, float] = {}
    for row in rows:
        step, value = row.get("step"), row.get(key)
        if _is_number(step) and _is_number(value):
            points[float(step)] = float(value)  # type: ignore[arg-type]
    return sorted(points.items())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
