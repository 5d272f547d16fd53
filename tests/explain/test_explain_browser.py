"""The attention page in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import BROWSER, dump, run_in_page

from attnkit.explain import AttentionMap, write_html

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

HELPERS = """
const text = (node) => node.textContent;
const here = () => [document.activeElement.closest(".row").id, text(document.activeElement.querySelector(".word"))];
const values = (side) => $$(`#${side} .value`).map(text);
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
    assert dom.count('role="option"') == 6 and dom.count('role="gridcell"') == 9
    assert 'aria-label="gatto to cat: 0.80"' in dom


def test_pointing_at_a_target_word_shows_its_source_words(tmp_path: Path) -> None:
    before, lit, shown, readout, links, after = in_browser(
        tmp_path,
        sentences(),
        """
        const before = values("source");
        point($$("#target .token")[1]);
        const lit = $$("#source .token").map((token) => Number(token.style.getPropertyValue("--weight")));
        const seen = [before, lit, values("source"), text($("#readout")), $$("#links path").length];
        $("#words").dispatchEvent(new MouseEvent("mouseleave"));
        return [...seen, [values("source"), text($("#readout")), $$("#links path").length]];
        """,
    )
    assert before == ["", "", ""] and shown == ["0.10", "0.80", "0.10"]
    assert lit == pytest.approx([0.1, 0.8, 0.1])
    assert readout == "gatto attends to cat 0.80, the 0.10, sleeps 0.10" and links == 3
    assert after == [["", "", ""], "", 9]


def test_pointing_at_a_source_word_and_at_a_cell(tmp_path: Path) -> None:
    shown, readout, cell_readout = in_browser(
        tmp_path,
        sentences(),
        """
        point($$("#source .token")[2]);
        const seen = [values("target"), text($("#readout"))];
        point($$("#map tbody td")[3]);
        return [...seen, text($("#readout"))];
        """,
    )
    assert shown == ["0.10", "0.10", "0.80"]
    assert readout == "sleeps is attended by dorme 0.80, il 0.10, gatto 0.10"
    assert cell_readout == "gatto attends to the with 0.10"


def test_arrow_keys_walk_the_words(tmp_path: Path) -> None:
    places, values, stops = in_browser(
        tmp_path,
        sentences(),
        """
        $("#target .token").focus();
        const places = [here()];
        for (const key of "Right Right Right Up Left Up Down Home End".split(" ")) {
          press(["Home", "End"].includes(key) ? key : "Arrow" + key);
          places.push(here());
        }
        const stops = ["source", "target"].map((side) => $$(`#${side} [tabindex="0"]`).length);
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
    cells, readout, cleared, outline = in_browser(
        tmp_path,
        sentences(),
        """
        $("#map tbody td").focus();
        const name = () => document.activeElement.getAttribute("aria-label");
        const cells = [name()];
        for (const key of ["ArrowDown", "ArrowRight", "ArrowUp", "ArrowUp", "End", "Home"]) {
          press(key);
          cells.push(name());
        }
        press("End", {ctrlKey: true});
        cells.push(name());
        const readout = text($("#readout"));
        const outline = getComputedStyle(document.activeElement).outlineStyle;
        press("Escape");
        return [cells, readout, text($("#readout")), outline];
        """,
    )
    assert cells == [
        "il to the: 0.80", "gatto to the: 0.10", "gatto to cat: 0.80", "il to cat: 0.10", "il to cat: 0.10",
        "il to sleeps: 0.10", "il to the: 0.80", "dorme to sleeps: 0.80",
    ]  # fmt: skip
    assert readout == "dorme attends to sleeps with 0.80" and cleared == ""
    assert outline == "solid"  # the focus can be seen


def test_list_and_heads_choose_what_is_shown(tmp_path: Path) -> None:
    listed, hidden_first, sentence, selected, mean, head, layers_hidden = in_browser(
        tmp_path,
        sentences(),
        """
        const hiddenFirst = $("#controls").hidden;
        $("#list li").focus();
        press("ArrowDown");
        const cells = () => $$("#map tbody tr:first-child td").map(text);
        const selected = $$("#list li").map((item) => item.getAttribute("aria-selected") === "true").indexOf(true);
        const listed = $$("#list .text").map(text);
        const seen = [listed, hiddenFirst, text($("#sentence-title")), selected, cells()];
        $("#head").value = "1";
        $("#head").dispatchEvent(new Event("change"));
        return [...seen, cells(), $("#layer-label").hidden];
        """,
    )
    assert listed[:2] == ["the cat sleeps", "a b c"] and listed[4] == "(no words)"
    assert hidden_first and layers_hidden
    assert (sentence, selected) == ("two heads", 1)
    assert mean == ["0.45", "0.45", "0.10"] and head == ["0.10", "0.80", "0.10"]


def test_right_to_left_turns_the_words_and_the_keys(tmp_path: Path) -> None:
    direction, decreasing, place, cell = in_browser(
        tmp_path,
        sentences(),
        """
        $$("#list li")[2].click();
        const tokens = $$("#source .token"), left = tokens.map((token) => token.getBoundingClientRect().left);
        tokens[0].focus();
        press("ArrowLeft");
        const place = here();
        $("#map tbody td").focus();
        press("ArrowLeft");
        const cell = document.activeElement.getAttribute("aria-label");
        return [$("#map").dir, left[0] > left[1] && left[1] > left[2], place, cell];
        """,
    )
    assert direction == "rtl" and decreasing
    assert place == ["source", "على"] and cell == "the to على: 0.10"


def test_hostile_tokens_are_only_text(tmp_path: Path) -> None:
    title, word, images = in_browser(
        tmp_path,
        sentences(),
        """
        $$("#list li")[3].click();
        point($("#target .token"));
        return [document.title, text($("#source .word")), $$("img").length];
        """,
    )
    assert (title, word, images) == ("Test", "<script>document.title='owned'</script>", 0)


def test_empty_and_long_sentences(tmp_path: Path) -> None:
    empty, page_fits, scrolls, thin = in_browser(
        tmp_path,
        sentences(),
        """
        $$("#list li")[4].click();
        const empty = [text($("#sentence-title")), $("#map").closest("section").hidden, $$(".token").length];
        $$("#list li")[5].click();
        const scroll = $("#words").parentNode;
        const pageFits = document.documentElement.scrollWidth <= innerWidth;
        return [empty, pageFits, scroll.scrollWidth > scroll.clientWidth, text($("#scale-top"))];
        """,
    )
    assert empty == ["(no words)", True, 0]
    assert page_fits and scrolls
    assert thin == "0.02"  # attention this thin gets a scale of its own


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
    assert in_browser(tmp_path, [], "return [text($('#sentence-title')), $('#sentences').hidden];") == [
        "There is no sentence on this page.",
        True,
    ]
