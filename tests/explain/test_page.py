"""The page of all attention: how weights are packed, and how it answers in a real browser."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import BROWSER, DARK, complaints, run_in_page
from pictures import gradient

from attnkit.explain.maps.maps import AttentionMaps
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.explain.page.packing import grouped, packed
from attnkit.explain.weights import Weights

SOURCE, TARGET = ["▁the", "▁ani", "mal", "▁sleeps"], ["▁das", "▁Tier", "▁schläft"]


def rows(*shape: int, seed: int = 0, sharp: float = 2.0) -> Weights:
    """Random weights whose rows sum to one."""
    scores = np.exp(sharp * np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))
    return np.asarray(scores / scores.sum(axis=-1, keepdims=True))


def translation() -> AttentionMaps:
    """Encoder and cross of two layers and three heads; in layer 2, head 3 each target word looks at one source word."""
    cross = rows(2, 3, 3, 4)
    cross[1, 2] = [[0.9, 0.1, 0, 0], [0, 0.3, 0.5, 0.2], [0, 0, 0.25, 0.75]]
    axes = {"query_axis": "translation (written)", "key_axis": "source (read)"}
    return AttentionMaps(
        [
            AttentionWeights("encoder", rows(2, 3, 4, 4, seed=1), SOURCE, SOURCE),
            AttentionWeights("cross", cross, TARGET, SOURCE, **axes),
        ],
        "the animal sleeps",
        "das Tier schläft",
    )


def gates() -> AttentionMaps:
    words, units = ["a", "b", "c"], [f"unit {number}" for number in range(1, 9)]
    gate = np.broadcast_to(np.array([0.2, 0.5, 0.9], np.float32)[:, None], (1, 2, 3, 8))
    channels = np.zeros((2, 1, 1, 6), np.float32)
    channels[0, 0, 0, :4], channels[1, 0, 0] = [0.1, 0.4, 0.6, 0.9], 0.5
    more = {"scale": "gate", "layer_names": ["stage 1", "stage 2"], "sizes": [4, 6]}
    return AttentionMaps(
        [
            AttentionWeights("gates.forget", gate, words, units, scale="gate", head_names=["forward", "backward"]),
            AttentionWeights("excitation", channels, ["picture"], [f"channel {n}" for n in range(1, 7)], **more),
        ],
        "a b c",
    )


# ---- how weights are packed ----


def numbers(stream: bytes) -> list[int]:
    """The numbers of a stream of bytes in which 255 goes on."""
    found, value = [], 0
    for byte in stream:
        value += byte
        if byte < 255:
            found.append(value)
            value = 0
    return found


def test_few_weights_are_kept_to_the_digit() -> None:
    weights = rows(2, 3, 20, 30)
    pack = packed(weights, "share", 10**6)
    codes = np.frombuffer(base64.b64decode(pack["data"]), "<u2").reshape(weights.shape)
    assert pack["form"] == "16" and pack["note"] == f"Each weight is exact to {pack['top'] / 131070:.6f}."
    np.testing.assert_allclose(codes * (pack["top"] / 65535), weights, atol=pack["top"] / 131070 * 1.01)


def test_one_byte_a_weight_has_small_steps_for_small_weights() -> None:
    weights = rows(2, 3, 20, 30)
    pack = packed(weights, "share", weights.size)
    codes = np.frombuffer(base64.b64decode(pack["data"]), np.uint8).reshape(weights.shape)
    got = pack["top"] * (codes / 255.0) ** 2
    assert pack["form"] == "8" and np.abs(got - weights).max() <= pack["top"] / 255
    small = weights < 0.01
    assert np.abs(got - weights)[small].max() <= np.sqrt(0.01 * pack["top"]) / 255 + 1e-5


@pytest.mark.parametrize("keys", [40, 700])
def test_of_many_weights_the_strongest_are_kept_with_their_means_and_the_note_says_their_share(keys: int) -> None:
    weights = rows(2, 3, 20, keys, sharp=3.0)
    pack = packed(weights, "share", weights.size // 4)
    data = base64.b64decode(pack["data"])
    assert pack["form"] == "sparse" and len(data) <= weights.size // 4
    lines, kept = 3 * 4 * 20, np.zeros((3 * 4 * 20, keys))
    stream = numbers(data)  # values of 255 apart, all three streams read alike: cut where the counts say
    counts = stream[:lines]
    steps, values = stream[lines : lines + sum(counts)], data[-sum(counts) :]
    at = 0
    for line, count in enumerate(counts):
        places = np.cumsum(steps[at : at + count])
        kept[line, places] = pack["top"] * (np.frombuffer(values, np.uint8)[at : at + count] / 255.0) ** 2
        at += count
    kept = kept.reshape(3, 4, 20, keys)
    own = kept[:2, :3]
    held = own > 0
    assert np.abs(own - weights)[held].max() <= pack["top"] / 255
    assert (held.sum(axis=-1) > 0).all()  # no row is left empty
    least = np.where(held, weights, np.inf).min(axis=-1)
    assert (np.where(held, 0, weights).max(axis=-1) <= least + pack["top"] / 255).all()  # the strongest of each row
    assert f"{100 * weights[held].sum() / weights.sum():.1f} %" in pack["note"]
    for mean, of in ((kept[:2, 3], weights.mean(axis=1)), (kept[2, 3], weights.mean(axis=(0, 1)))):
        assert np.abs(mean - of)[mean > 0].max() <= pack["top"] / 255


def test_many_gates_become_means_of_neighbours() -> None:
    gate = rows(1, 1, 4, 10)
    np.testing.assert_allclose(grouped(gate, 4)[..., 2], gate[..., 8:].mean(axis=-1), rtol=1e-6)
    pack = packed(gate, "gate", 14)
    assert (pack["group"], pack["form"]) == (3, "8") and "mean of 3 neighbours" in pack["note"]


# ---- in a browser ----

browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

HELPERS = """
const text = (node) => node.textContent, readout = () => text($("#readout"));
const queries = () => $$("#queries .token"), keys = () => $$("#keys .token");
const values = (side) => $$(`#${side} .value`).map(text);
"""


def in_page(folder: Path, maps: AttentionMaps, script: str, *flags: str) -> Any:
    """What `script`, the body of a function run in the page, returns."""
    maps.save(folder / "page.html")
    return run_in_page(folder / "page.html", script, HELPERS, flags)


@browser
def test_menus_and_thumbnails_open_a_head(tmp_path: Path) -> None:
    menus, thumbs, opened, chosen, mean = in_page(
        tmp_path,
        translation(),
        """
        const menus = ["#kind", "#layer", "#head"].map((id) => $$(id + " option").map(text));
        choose("#kind", 1);
        const thumbs = $$(".thumb").map((thumb) => [thumb.getAttribute("aria-label"), thumb.firstChild.width]);
        $(".thumb").focus();
        for (const key of ["ArrowDown", "End", "Enter"]) press(key);
        point(queries()[1]);
        const opened = [$("#layer").value, $("#head").value, values("keys")];
        const chosen = $$(".thumb").map((thumb) => thumb.getAttribute("aria-pressed"));
        press("Enter");
        return [menus, thumbs, opened, chosen, [$("#layer").value, $("#head").value]];
        """,
    )
    assert menus == [
        ["encoder (1 of 2)", "cross (2 of 2)"],
        ["all 2 (mean)", "layer 1 (1 of 2)", "layer 2 (2 of 2)"],
        ["all 3 (mean)", "head 1 (1 of 3)", "head 2 (2 of 3)", "head 3 (3 of 3)"],
    ]
    assert len(thumbs) == 6 and thumbs[5] == ["layer 2, head 3", 4]
    assert opened == ["1", "2", ["", "0.30", "0.50", "0.20"]]
    assert chosen == ["false"] * 5 + ["true"] and mean == ["-1", "-1"]


@browser
def test_the_mean_is_that_of_all_heads(tmp_path: Path) -> None:
    maps = translation()
    shown = in_page(tmp_path, maps, "choose('#kind', 1); point(queries()[2]); return values('keys').map(Number);")
    np.testing.assert_allclose(shown, maps["cross"].view()[2], atol=0.0051)


@browser
def test_pieces_are_joined_to_words_as_in_the_library(tmp_path: Path) -> None:
    maps = translation()
    pieces, words, shown = in_page(
        tmp_path,
        maps,
        """
        choose("#kind", 1);
        const pieces = $$("#keys .word").map(text);
        $("#joined").click();
        point(queries()[1]);
        return [pieces, $$("#keys .word").map(text), values("keys").map(Number)];
        """,
    )
    assert pieces == ["the", "ani", "·mal", "sleeps"] and words == ["the", "animal", "sleeps"]
    np.testing.assert_allclose(shown, maps["cross"].by_word().view()[1], atol=0.0051)


@browser
def test_a_word_that_is_held_stays_until_escape(tmp_path: Path) -> None:
    held, pressed, other, freed = in_page(
        tmp_path,
        translation(),
        """
        choose("#kind", 1); choose("#layer", 1); choose("#head", 2);
        queries()[0].focus();
        press("Enter");
        const held = readout(), pressed = $$('[aria-pressed="true"].token').map(text);
        point(queries()[2]);
        const other = readout();
        press("Escape");
        return [held, pressed, other, readout()];
        """,
    )
    assert held == other == "das looks at the 0.90, ani 0.10 (held; Esc lets go)"
    assert pressed[0].startswith("das") and freed.startswith("Nothing is chosen")


@browser
def test_gates_are_averaged_over_units_and_channels_are_bars(tmp_path: Path) -> None:
    means, line, thumb, hidden, bars, channel = in_page(
        tmp_path,
        gates(),
        """
        const means = values("queries");
        point(queries()[2]);
        const seen = [means, readout(), $$(".thumb").map((thumb) => thumb.getAttribute("aria-label"))];
        choose("#kind", 1);
        const hidden = ["#pair", "#map-card", "#legend"].every((id) => $(id).hidden);
        const bars = $$("figcaption").map(text);
        $("#bars canvas").focus();
        press("End");
        return [...seen, hidden, bars, readout()];
        """,
    )
    assert means == ["0.20", "0.50", "0.90"] and line == "c: mean gate 0.90, from 0.90 to 0.90"
    assert thumb == ["layer 1, forward", "layer 1, backward"]
    assert hidden and bars == ["stage 1: 4 channels, mean gate 0.50", "stage 2: 6 channels, mean gate 0.50"]
    assert channel == "stage 1, channel 4 of 4: 0.90"


@browser
def test_patches_of_a_picture_look_and_are_looked_at(tmp_path: Path) -> None:
    patches = ["[class]", *(f"row {place // 2 + 1}, column {place % 2 + 1}" for place in range(4))]
    weights = np.full((1, 1, 5, 5), 0.05, np.float32) + 0.75 * np.roll(np.eye(5, dtype=np.float32), 1, axis=1)
    kind = AttentionWeights("encoder", weights, patches, patches, query_grid=(2, 2), key_grid=(2, 2))
    patch, word, key = in_page(
        tmp_path,
        AttentionMaps([kind], "photo.jpg", "cat", gradient()),
        """
        at($("#query-picture"), 0.75, 0.25);
        const patch = readout();
        $("#query-picture").dispatchEvent(new MouseEvent("mouseleave"));
        point(queries()[0]);
        const word = readout();
        $("#queries").dispatchEvent(new MouseEvent("mouseleave"));
        point(keys()[0]);
        return [patch, word, readout()];
        """,
    )
    assert patch.startswith("row 1 of 2, column 2 of 2 looks at row 2 of 2, column 1 of 2: 0.80;")
    assert word.startswith("[class] looks at row 1 of 2, column 1 of 2: 0.80;")
    assert key.startswith("[class] is looked at by row 2 of 2, column 2 of 2: 0.80;")


@browser
def test_nothing_is_asked_of_the_network_or_complained_of(tmp_path: Path) -> None:
    for maps in (translation(), gates()):
        maps.save(tmp_path / "page.html")
        assert "default-src 'none'; img-src data:;" in (tmp_path / "page.html").read_text()
        assert complaints(tmp_path / "page.html") == []
    script = "return performance.getEntriesByType('resource').map((each) => each.name);"
    loaded = in_page(tmp_path, translation(), script)
    assert loaded == []


@browser
def test_dark_pages_are_dark_and_print_light(tmp_path: Path) -> None:
    script = """
        const body = () => getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)[0];
        const map = $("#map");
        choose("#kind", 1); choose("#layer", 1); choose("#head", 2);
        const blank = () => map.getContext("2d").getImageData(map.width - 44, map.height - 86, 1, 1).data[0];
        const screen = [body(), blank()];
        window.dispatchEvent(new Event("beforeprint"));
        const paper = [body(), blank()];
        window.dispatchEvent(new Event("afterprint"));
        const rules = [...document.styleSheets[0].cssRules].filter((rule) => rule.conditionText === "print");
        return [screen, paper, [body(), blank()], rules.map((rule) => rule.cssText).join()];
    """
    screen, paper, after, rules = in_page(tmp_path, translation(), script, DARK)
    assert max(screen) < 60 and min(paper) > 230 and after == screen
    assert ".hint" in rules and "print-color-adjust: exact" in rules
    light, *_ = in_page(tmp_path, translation(), script)
    assert min(light) > 230


@browser
def test_a_long_text_of_twelve_layers_and_heads_is_small_and_answers_at_once(tmp_path: Path) -> None:
    words = [f"▁w{place % 97}" for place in range(512)]
    scores = np.random.default_rng(0).standard_normal((12, 12, 512, 512), dtype=np.float32)
    np.exp(3 * scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    AttentionMaps([AttentionWeights("encoder", scores, words, words)], " ".join(words)).save(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 5_000_000
    script = """
        const times = [];
        for (let i = 0; i < 41; i++) {
          const node = (i % 2 ? keys() : queries())[(37 * i) % 512], start = performance.now();
          point(node);
          document.body.getBoundingClientRect();  // and lays it out
          times.push(performance.now() - start);
        }
        return [times.sort((a, b) => a - b)[20], readout(), text($("#note")), queries().length];
    """
    time, line, note, count = run_in_page(tmp_path / "page.html", script, HELPERS)
    assert time <= 100
    assert "looks at" in line and count == 512
    assert "% of all weight" in note and "left out is drawn as 0" in note
