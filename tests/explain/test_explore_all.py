"""All experiments on one page: what it holds, what is kept, and what becomes of one that fails."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from browser import BROWSER, run_in_page
from tiny_experiments import make_tiny

from attnkit.explain.drawing.chart import BarPanel
from attnkit.explore import EXPERIMENTS, explore_all


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every experiment in two steps, but for one that fails: the folder, the page, notes, failures, panels drawn."""
    patch = pytest.MonkeyPatch()
    folder, notes, panels = tmp_path_factory.mktemp("all"), list[str](), dict[str, list[Any]]()
    try:
        _shorten(patch, panels)
        page, failures = explore_all(folder, notes.append, steps=2)
        again: list[str] = []
        kept, _ = explore_all(folder, again.append, steps=2)
    finally:
        patch.undo()
    assert kept == page
    return {"folder": folder, "page": page, "notes": notes, "again": again, "failures": failures, "panels": panels}


def _shorten(patch: pytest.MonkeyPatch, panels: dict[str, list[Any]]) -> None:
    from attnkit.explore import (
        alignment,
        data,
        distance,
        failures,
        glimpse,
        hard_soft,
        laboratory,
        local,
        scores,
        soft_hard,
        speed,
    )

    make_tiny(patch)
    patch.setattr(scores, "VARIANTS", [("general", "softmax"), ("general", "hard")])
    patch.setattr(alignment, "VARIANTS", {"dot": ["model.score=dot"]})
    patch.setattr(hard_soft, "_BATCHES", 2)
    patch.setattr(data, "AMOUNTS", (30, 60))
    patch.setattr(glimpse, "GLIMPSES", (1, 2))
    for each in (glimpse, soft_hard, failures):
        patch.setattr(each, "_TESTED", 60)
    patch.setattr(distance, "DISTANCES", (2, 4))
    patch.setattr(local, "LENGTHS", (30, 60))

    def fail(laboratory: Any) -> list[Path]:
        raise RuntimeError("the <clock> has stopped")

    patch.setattr(speed, "run", fail)
    draw = laboratory.draw_slide

    def remember(path: Path, title: str, rows: Any, **options: Any) -> None:
        panels[path.name] = [panel for row in rows for panel in row]
        draw(path, title, rows, **options)

    patch.setattr(laboratory, "draw_slide", remember)


def test_every_experiment_but_the_one_that_fails_is_done(done: dict[str, Any]) -> None:
    assert done["failures"] == {"speed": "the <clock> has stopped"}
    assert "speed: failed: the <clock> has stopped" in done["notes"]
    for name in EXPERIMENTS.keys() - {"speed"}:
        record = json.loads((done["folder"] / name / "experiment.json").read_text())
        assert record["files"][-1] == "numbers.json" and record["seconds"] > 0
        assert len(record["files"]) > 1 and all((done["folder"] / name / file).is_file() for file in record["files"])


def test_what_is_finished_is_kept(done: dict[str, Any]) -> None:
    assert sorted(note.split(":")[0] for note in done["again"] if ": kept, " in note) == sorted(
        EXPERIMENTS.keys() - {"speed"}
    )
    assert not [note for note in done["again"] if note.startswith("training")]


def test_experiments_share_their_trainings(done: dict[str, Any]) -> None:
    runs = {file.parent.relative_to(done["folder"]).as_posix() for file in done["folder"].glob("*/runs/*/config.json")}
    assert {"recency/runs/forwards", "recency/runs/backwards", "context/runs/first-state"} <= runs
    assert not {"context/runs/attention", "context/runs/every-step"} & runs  # as `recency` trained them
    assert "reversal/runs/backwards" in runs and "reversal/runs/forwards" not in runs  # as `context` trained it
    assert {"soft-hard/runs/captioner-hard", "soft-hard/runs/captioner-soft"} <= runs  # its translators: `hard-soft`
    assert not {"soft-hard/runs/soft", "soft-hard/runs/hard-reinforce", "failures/runs/captioner-soft"} & runs
    assert "local/runs/general-hard" not in runs and "local/runs/general-local-m" in runs


def test_one_colour_a_model_and_one_scale_where_bars_are_compared(done: dict[str, Any]) -> None:
    panels = done["panels"]
    assert {panel.full for panel in panels["positions.png"]} == {100.0}
    assert len({panel.full for panel in panels["alignment.png"]}) == 1 and panels["alignment.png"][0].full > 0
    curves, bars = panels["fixed-context.png"]
    assert dict(zip((name for name, _ in bars.rows), bars.colours, strict=True)) == {
        curve.name: curve.colour for curve in curves.curves
    }
    for name, drawn in panels.items():  # a row has the same colour in every panel of a figure
        rows = [panel for panel in drawn if isinstance(panel, BarPanel)]
        assert len({tuple(panel.colours) for panel in rows}) <= 1, name


def test_the_page_has_every_figure_and_asks_for_nothing(done: dict[str, Any]) -> None:
    page = done["page"].read_text()
    figures = list(done["folder"].glob("*/*.png"))
    assert len(figures) >= len(EXPERIMENTS) - 1 and page.count("<img ") == len(figures)
    assert page.count('src="data:image/png;base64,') == len(figures)
    assert not re.search(r"<(script|link|iframe)|https?:|url\(", page)
    assert "default-src 'none'" in page and "img-src data:" in page
    for name in EXPERIMENTS:
        assert f'<section id="{name}">' in page and f'<a href="#{name}">' in page
    assert "This experiment failed: the &lt;clock&gt; has stopped" in page
    assert "attnkit explore memory --steps 2" in page
    assert "This shows nothing yet: expected" in unescape(page)


@pytest.mark.skipif(BROWSER is None, reason="no browser")
def test_the_page_in_a_browser(done: dict[str, Any], tmp_path: Path) -> None:
    copy = tmp_path / "page.html"
    copy.write_bytes(done["page"].read_bytes())
    seen = run_in_page(
        copy,
        "return {drawn: $$('img').filter((image) => image.complete && image.naturalWidth === 2240).length,"
        " tables: $$('table').length, wide: document.documentElement.scrollWidth, loaded:"
        " performance.getEntriesByType('resource').filter((entry) => !entry.name.startsWith('data:')).length}",
    )
    assert seen["drawn"] == len(list(done["folder"].glob("*/*.png")))
    assert seen["tables"] >= len(EXPERIMENTS) - 1 and seen["wide"] <= 1200 and seen["loaded"] == 0
