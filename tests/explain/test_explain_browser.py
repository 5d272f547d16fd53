"""The attention page in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import BROWSER, complaints, dump, run_in_page

from attnkit.explain import AttentionMap, write_html

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

HELPERS = """
const text = (node) => node.textContent;
const ids = {source: "#keys", target: "#queries"};
const tokens = (side) => $$(`${ids[side]} .token`);
const here = () => {
  const side = document.activeElement.closest("#keys") ? "source" : "target";
  return [side, text(document.activeElement.querySelector(".word"))];
};
const values = (side) => $$(`${ids[side]} .value`).map(text);
// Points at a cell of the heat map, whose cells fill its lower right corner.
const cell = (row, column) => {
  const rows = tokens("target").length, columns = tokens("source").length, map = $("#map");
  const {width, height} = map.getBoundingClientRect(), side = Math.min(46, width), tall = 30;
  at(map, (width - 2 - side * (columns - column - 0.5)) / width, (height - 2 - tall * (rows - row - 0.5)) / height);
};
// For each source word, whether a line ends at it.
const linked = () => {
  const box = $("#links").getBoundingClientRect(), pen = $("#links").getContext("2d");
  return $$("#keys .word").map((word) => {
    const {left, top, height} = word.getBoundingClientRect();
    const x = Math.round(left - box.left - 5), y = Math.round(top - box.top + height / 2);
    return pen.getImageData(x, y - 1, 1, 3).data.some((value) => value > 0);
  });
};
"""


def weights(rows: int, columns: int, peaks: list[tuple[int, int]], *lead: int) -> np.ndarray:
    """0.8 at the peaks, 0.2 over the other words of the row."""
    result = np.full((*lead, rows, columns), 0.2 / (columns - 1))
    for row, column in peaks:
        result[..., row, column] = 0.8
    return result


def sentences() -> list[AttentionMap]:
    heads = weights(2, 3, [(0, 0), (1, 2)], 2)
    heads[1] = weights(2, 3, [(0, 1), (1, 2)])
    one = weights(3, 3, [(0, 0), (1, 1), (2, 2)])
    hostile = ["<script>document.title='owned'</script>"], ["<img src=x onerror=document.title='owned'>"]
    return [
        AttentionMap(["the", "cat", "sleeps"], ["il", "gatto", "dorme"], one, "one"),
        AttentionMap(["a", "b", "c"], ["x", "y"], heads, "two heads"),
        AttentionMap(["القطة", "على", "الطاولة"], ["the", "cat"], weights(2, 3, [(0, 0), (1, 2)]), "right to left"),
        AttentionMap(*hostile, np.ones((1, 1)), "</script>"),
        AttentionMap([], [], np.zeros((0, 0))),
        AttentionMap([f"s{i}" for i in range(60)], [f"t{i}" for i in range(50)], np.full((50, 60), 1 / 60), "long"),
    ]  # fmt: skip


def in_browser(folder: Path, maps: list[AttentionMap], script: str) -> Any:
    """What `script`, the body of a function run in the page, returns."""
    write_html(folder / "page.html", maps, title="Test")
    return run_in_page(folder / "page.html", script, HELPERS)


def test_the_page_runs_under_its_own_policy(tmp_path: Path) -> None:
    write_html(tmp_path / "a.html", sentences(), title="Test")
    dom = dump(tmp_path / "a.html")
    assert dom.count('role="option"') == 6 and dom.count('class="token"') == 6
    assert 'aria-label="Heat map of 3 rows and 3 columns.' in dom
    assert complaints(tmp_path / "a.html") == []


def test_pointing_at_a_target_word_shows_its_source_words(tmp_path: Path) -> None:
    maps = sentences()
    maps[0].weights[1] = [0.2, 0.8, 0.0]  # gatto does not look at sleeps
    before, lit, shown, readout, links, after = in_browser(
        tmp_path,
        maps,
        """
        const before = values("source");
        point(tokens("target")[1]);
        const lit = tokens("source").map((token) => Number(token.style.getPropertyValue("--weight")));
        const seen = [before, lit, values("source"), text($("#readout")), linked()];
        $("#queries").dispatchEvent(new MouseEvent("mouseleave"));
        return [...seen, [values("source"), text($("#readout")), linked()]];
        """,
    )
    assert before == ["", "", ""] and shown == ["0.20", "0.80", ""]
    assert lit == pytest.approx([0.2, 0.8, 0.0])
    assert readout == "gatto looks at cat 0.80, the 0.20" and links == [True, True, False]
    assert after == [["", "", ""], "Nothing is chosen: all strong weights are drawn.", [True, True, True]]


def test_pointing_at_a_source_word_and_at_a_cell(tmp_path: Path) -> None:
    shown, readout, cell_readout, row = in_browser(
        tmp_path,
        sentences(),
        """
        point(tokens("source")[2]);
        const seen = [values("target"), text($("#readout"))];
        $("#keys").dispatchEvent(new MouseEvent("mouseleave"));
        cell(1, 0);
        return [...seen, text($("#readout")), [$("#map-row").hidden, text($("#map-readout"))]];
        """,
    )
    assert shown == ["0.10", "0.10", "0.80"]
    assert readout == "sleeps is looked at by dorme 0.80, il 0.10, gatto 0.10"
    assert cell_readout == "gatto looks at the with 0.10" and row == [False, cell_readout]


def test_arrow_keys_walk_the_words(tmp_path: Path) -> None:
    places, values, stops = in_browser(
        tmp_path,
        sentences(),
        """
        tokens("target")[0].focus();
        const places = [here()];
        for (const key of "Down Down Down Right Up Right Left Home End".split(" ")) {
          press(["Home", "End"].includes(key) ? key : "Arrow" + key);
          places.push(here());
        }
        const stops = ["source", "target"].map((side) => $$(`${ids[side]} [tabindex="0"]`).length);
        return [places, values("source"), stops];
        """,
    )
    assert places == [
        ["target", "il"], ["target", "gatto"], ["target", "dorme"], ["target", "dorme"],
        ["source", "sleeps"], ["source", "cat"], ["source", "cat"], ["target", "gatto"],
        ["target", "il"], ["target", "dorme"],
    ]  # fmt: skip
    assert values == ["0.10", "0.10", "0.80"] and stops == [1, 1]


def test_arrow_keys_walk_the_heatmap_and_escape_clears(tmp_path: Path) -> None:
    cells, cleared, outline, live = in_browser(
        tmp_path,
        sentences(),
        """
        $("#map").focus();
        const cells = [text($("#readout"))];
        for (const key of ["ArrowDown", "ArrowRight", "ArrowUp", "ArrowUp", "End", "Home"]) {
          press(key);
          cells.push(text($("#readout")));
        }
        press("End", {ctrlKey: true});
        cells.push(text($("#readout")));
        const outline = getComputedStyle(document.activeElement).outlineStyle;
        press("Escape");
        const cleared = $("#map-row").hidden && $("#map-column").hidden;
        return [cells, cleared, outline, $("#readout").getAttribute("aria-live")];
        """,
    )
    assert cells == [
        "il looks at the with 0.80", "gatto looks at the with 0.10", "gatto looks at cat with 0.80",
        "il looks at cat with 0.10", "il looks at cat with 0.10", "il looks at sleeps with 0.10",
        "il looks at the with 0.80", "dorme looks at sleeps with 0.80",
    ]  # fmt: skip
    assert cleared and live == "polite"
    assert outline == "solid"  # the focus can be seen


def test_list_and_heads_choose_what_is_shown(tmp_path: Path) -> None:
    listed, first, sentence, selected, mean, head, menus = in_browser(
        tmp_path,
        sentences(),
        """
        const menus = () => ["#kind", "#layer", "#head"].map((id) => $$(id + " option").map(text));
        const first = menus();
        $("#list li").focus();
        press("ArrowDown");
        const row = () => { point(tokens("target")[0]); return values("source"); };
        const selected = $$("#list li").map((item) => item.getAttribute("aria-selected") === "true").indexOf(true);
        const listed = $$("#list .text").map(text);
        const seen = [listed, first, text($("#input-title")), selected, row()];
        choose("#head", "1");
        return [...seen, row(), menus()];
        """,
    )
    assert listed[:2] == ["the cat sleeps", "a b c"] and listed[4] == "(no words)"
    assert first == [["cross (1 of 1)"], ["layer 1 (1 of 1)"], ["head 1 (1 of 1)"]]
    assert menus == [["cross (1 of 1)"], ["layer 1 (1 of 1)"], ["all 2 (mean)", "head 1 (1 of 2)", "head 2 (2 of 2)"]]
    assert (sentence, selected) == ("two heads", 1)
    assert mean == ["0.45", "0.45", "0.10"] and head == ["0.10", "0.80", "0.10"]


def test_right_to_left_turns_the_heat_map(tmp_path: Path) -> None:
    direction, first, left = in_browser(
        tmp_path,
        sentences(),
        """
        $$("#list li")[2].click();
        cell(0, 2);
        const first = text($("#readout"));
        $("#map").dispatchEvent(new MouseEvent("mouseleave"));
        $("#map").focus();
        press("ArrowLeft");
        return [$("#keys").dir, first, text($("#readout"))];
        """,
    )
    assert direction == "rtl"
    assert first == "the looks at القطة with 0.80"  # the first word stands at the right
    assert left == "the looks at على with 0.10"


def test_hostile_tokens_are_only_text(tmp_path: Path) -> None:
    title, word, images = in_browser(
        tmp_path,
        sentences(),
        """
        $$("#list li")[3].click();
        point(tokens("target")[0]);
        return [document.title, text($("#keys .word")), $$("img").length];
        """,
    )
    assert (title, word, images) == ("Test", "<script>document.title='owned'</script>", 0)


def test_empty_and_long_sentences(tmp_path: Path) -> None:
    empty, page_fits, columns, thin = in_browser(
        tmp_path,
        sentences(),
        """
        $$("#list li")[4].click();
        const empty = [text($("#input-title")), $("#map-card").hidden && $("#pair").hidden, $$(".token").length];
        $$("#list li")[5].click();
        const pageFits = document.documentElement.scrollWidth <= innerWidth;
        const tops = new Set(tokens("source").map((token) => token.getBoundingClientRect().top));
        return [empty, pageFits, tops.size, text($("#scale-top"))];
        """,
    )
    assert empty == ["(no words)", True, 0]
    assert page_fits and columns < 20  # many words flow as a text
    assert thin == "0.017, the largest weight shown"  # a scale of its own, and the page says so


def test_the_filter_finds_sentences_by_their_words(tmp_path: Path) -> None:
    shown = in_browser(
        tmp_path,
        sentences() * 2,
        """
        $("#filter").value = "GATTO";
        $("#filter").dispatchEvent(new Event("input"));
        return [$("#filter").hidden, $$("#list li").filter((item) => !item.hidden).length];
        """,
    )
    assert shown == [False, 2]


def test_a_page_without_sentences(tmp_path: Path) -> None:
    assert in_browser(tmp_path, [], "return [text($('#input-title')), $('#inputs').hidden];") == [
        "There is no input on this page.",
        True,
    ]
