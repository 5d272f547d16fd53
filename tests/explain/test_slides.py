"""Pictures for a lecture: their shape, their scales, their colours, and the words that say when they show nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attnkit.explain.drawing.chart import BLUE, ORANGE, BarPanel, Curve, CurvePanel
from attnkit.explain.drawing.colours import INK, PAPER, RED_INK, Colour, signed_shade
from attnkit.explain.drawing.matrix import MatrixPanel
from attnkit.explain.drawing.slide import draw_slide
from attnkit.explain.drawing.ticks import log_ticks


def drawn(path: Path, rows: list[list[Any]], **options: Any) -> np.ndarray:
    """The picture [height, width, 3]."""
    draw_slide(path / "slide.png", "A title", rows, **options)
    return np.asarray(Image.open(path / "slide.png").convert("RGB")).astype(int)


def places(picture: np.ndarray, colour: Colour, off: int = 3) -> np.ndarray:
    """[N, 2]: rows and columns of the pixels of this colour."""
    return np.argwhere(np.abs(picture - np.array(colour)).max(axis=2) <= off)


@pytest.mark.parametrize(
    "rows",
    [
        [[BarPanel("one", [("a", 1.0)])]],
        [[BarPanel(str(i), [(str(j), 1.0) for j in range(12)]) for i in range(3)]],
        [[CurvePanel("c", [Curve("a", [(0.0, 1.0), (1.0, 2.0)])])], [MatrixPanel("m", np.eye(3))]],
        [[CurvePanel("nothing", [])], [CurvePanel("one point", [Curve("a", [(3.0, 3.0)])])]],
    ],
)
def test_every_slide_is_16_to_9(tmp_path: Path, rows: list[list[Any]]) -> None:
    assert drawn(tmp_path, rows).shape == (1260, 2240, 3)


def test_bars_on_one_scale_are_as_long_as_their_figures_in_every_panel(tmp_path: Path) -> None:
    panels = [
        BarPanel("first", [("a", 50.0)], colour=BLUE, full=100.0),
        BarPanel("second", [("a", 25.0)], colour=ORANGE, full=100.0),
    ]
    picture = drawn(tmp_path, [[panel] for panel in panels])
    blue, orange = (np.ptp(places(picture, colour)[:, 1]) + 1 for colour in (BLUE, ORANGE))
    assert blue == pytest.approx(2 * orange, rel=0.02) and blue > 600


def test_each_row_has_its_colour(tmp_path: Path) -> None:
    picture = drawn(tmp_path, [[BarPanel("two", [("a", 1.0), ("b", 1.0)], colours=(BLUE, ORANGE))]])
    assert places(picture, BLUE)[:, 0].max() < places(picture, ORANGE)[:, 0].min()


def test_an_axis_that_does_not_begin_at_zero_wastes_no_room(tmp_path: Path) -> None:
    curve = Curve("a", [(40.0, 1.0), (50.0, 2.0), (60.0, 1.5)], BLUE, dots=True)
    whole, near = (
        places(drawn(tmp_path, [[CurvePanel("c", [curve], from_zero=from_zero)]]), BLUE)[:, 1].min()
        for from_zero in (True, False)
    )
    assert whole > 2240 / 2 and near < 2240 / 6


def test_points_without_a_place_on_an_axis_of_ratios_are_left_out(tmp_path: Path) -> None:
    curve = Curve("a", [(0.0, 5.0), (1.0, 0.0), (10.0, 1.0), (1000.0, 100.0)], BLUE, dots=True)
    picture = drawn(tmp_path, [[CurvePanel("c", [curve], log_x=True, log_y=True)]])
    rows, columns = places(picture, BLUE).T
    assert np.ptp(columns) > 1500 and np.ptp(rows) > 700  # two points, from corner to corner


def test_signed_numbers_have_two_hues_around_paper(tmp_path: Path) -> None:
    assert signed_shade(0.0) == PAPER
    assert signed_shade(1.0) == signed_shade(7.0) == INK and signed_shade(-1.0) == signed_shade(-7.0) == RED_INK
    weak, strong = signed_shade(-0.2), signed_shade(-0.8)
    assert weak[0] - weak[2] < strong[0] - strong[2]  # the further from 0, the redder
    panel = MatrixPanel("m", np.array([[-1.0, 0.0, 1.0]]), signed=True, scale=False, numbers=False)
    picture = drawn(tmp_path, [[panel]])
    means = [places(picture, colour)[:, 1].mean() for colour in (RED_INK, PAPER, INK)]
    assert means == sorted(means)


def test_a_matrix_of_weights_is_blue_and_shows_its_numbers_where_they_fit(tmp_path: Path) -> None:
    weights = np.array([[0.75, 0.25], [0.0, 1.0]])
    with_numbers, without = (
        drawn(tmp_path, [[MatrixPanel("m", weights, ["a", "b"], ["c", "d"], numbers=numbers)]])
        for numbers in (True, False)
    )
    assert len(places(without, INK)) > 1000 and len(places(without, RED_INK)) == 0
    assert (with_numbers != without).any()


def test_a_slide_that_shows_nothing_says_so(tmp_path: Path) -> None:
    rows = [[BarPanel("one", [("a", 1.0)])]]
    strip = (255, 240, 220)
    assert len(places(drawn(tmp_path, rows), strip, off=1)) == 0
    warned = places(drawn(tmp_path, rows, warning="This shows nothing yet: " + "expected more, " * 20), strip, off=1)
    assert np.ptp(warned[:, 1]) > 2000 and np.ptp(warned[:, 0]) > 80  # two lines


def test_ticks_of_an_axis_of_ratios() -> None:
    assert log_ticks(0.3, 1200.0) == pytest.approx([0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0])
    assert log_ticks(3.0, 40.0) == pytest.approx([2.0, 5.0, 10.0, 20.0, 50.0])
    assert log_ticks(10.0, 10.0) == pytest.approx([10.0, 20.0])
