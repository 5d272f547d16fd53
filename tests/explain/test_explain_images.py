"""Attention to images made visible: maps, strips, data, and the page, which runs in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import BROWSER, complaints, run_in_page
from pictures import gradient
from PIL import Image

from attnkit.explain import ImageMap, write_image_png, write_images, write_images_html


def one(words: int = 3, rows: int = 2, columns: int = 4, **options: str) -> ImageMap:
    """Word i looks at region i."""
    weights = np.zeros((words, rows * columns), np.float32)
    weights[np.arange(words), np.arange(words)] = 1.0
    tokens = [f"word{index}" for index in range(words)]
    return ImageMap(gradient(80, 80), tokens, weights.reshape(words, rows, columns), **options)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros((2, 3, 3)), r"expected weights of shape \[3, rows, columns\], got \[2, 3, 3\]"),
        (np.zeros((3, 9)), "expected weights of shape"),
        (np.zeros((3, 0, 3)), "expected weights of shape"),
        (np.full((3, 2, 2), -1.0), "finite and not negative"),
        (np.full((3, 2, 2), np.nan), "finite and not negative"),
    ],
)
def test_weights_that_are_none(weights: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageMap(gradient(), ["a", "b", "c"], weights)


def test_what_is_not_looked_at_is_veiled() -> None:
    image = ImageMap(Image.new("RGB", (80, 80), (200, 40, 40)), ["a", "b"], [[[0.6, 0.2], [0.2, 0]], [[0, 0], [0, 0]]])
    lit, veiled = np.asarray(image.lit(0)).astype(int), np.asarray(image.lit(1)).astype(int)
    assert lit.shape == (80, 80, 3)
    reds = lit[:, :, 0] - lit[:, :, 2]  # the red of the picture and of the glow, which the grey veil takes away
    assert reds[5, 5] > 130 and reds[75, 75] == 0 and 30 < reds[40, 20] < reds[5, 5]
    assert (veiled == veiled[0, 0]).all() and len(set(veiled[0, 0])) == 1  # no attention anywhere


@pytest.mark.parametrize("words", [0, 1, 3, 12])
def test_a_strip_has_a_panel_for_each_word(tmp_path: Path, words: int) -> None:
    image = one(words, 4, 4, title="photo.jpg", caption="some words")
    write_images(tmp_path / "a.svg", [image])
    drawing = ElementTree.parse(tmp_path / "a.svg").getroot()
    panels = [each for each in drawing.iter("{http://www.w3.org/2000/svg}image")]
    corners = [(float(each.get("x", "")), float(each.get("y", ""))) for each in panels]
    assert len(set(corners)) == len(corners) == words + 1 and corners == sorted(corners, key=lambda at: (at[1], at[0]))
    texts = ["".join(each.itertext()) for each in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[:2] == ["some words", "photo.jpg"] and texts[2:3] == ["image"]
    assert [text for text in texts if text.startswith("word")] == list(image.tokens)


def test_the_image_itself_comes_first(tmp_path: Path) -> None:
    image = one(2, 4, 4)
    write_image_png(tmp_path / "a.png", image)
    with Image.open(tmp_path / "a.png") as strip:
        pixels = np.asarray(strip.convert("RGB")).astype(int)
    panel = np.asarray(image.image.resize((440, 440), Image.Resampling.BICUBIC)).astype(int)
    inside = (slice(4, 436), slice(4, 436))  # less its edge
    assert np.abs(pixels[48:488, 48:488][inside] - panel[inside]).max() <= 2


def test_files_by_their_suffix(tmp_path: Path) -> None:
    images = [one(title="a.png", caption="word0 word1 word2"), one(1, title="b\udcff.png")]
    assert write_images(tmp_path / "a.json", images) == [tmp_path / "a.json"]
    document = json.loads((tmp_path / "a.json").read_text("utf-8", "surrogateescape"))
    assert document["format"] == "attnkit.image-attention" and document["version"] == 1
    first = document["images"][0]
    assert (first["title"], first["tokens"]) == ("a.png", ["word0", "word1", "word2"])
    assert np.array(first["weights"]).shape == (3, 2, 4) and first["weights"][1][0] == [0.0, 1.0, 0.0, 0.0]
    assert [path.name for path in write_images(tmp_path / "a.png", images)] == ["a-1.png", "a-2.png"]
    assert [path.name for path in write_images(tmp_path / "b.png", images[:1])] == ["b.png"]
    assert write_images(tmp_path / "c.png", []) == []
    assert write_images(tmp_path / "a.html", images) == [tmp_path / "a.html"]
    with pytest.raises(ValueError, match=r"\.html, \.png, \.svg or \.json"):
        write_images(tmp_path / "a.gif", images)


def test_the_page_asks_for_nothing_outside(tmp_path: Path) -> None:
    write_images_html(tmp_path / "a.html", [one(title="</script><script>alert(1)</script>")])
    page = (tmp_path / "a.html").read_text("utf-8")
    assert "default-src 'none'" in page and "http" not in page.replace("http-equiv", "") and "alert(1)</" not in page
    assert page.count("<script") == 2 and "data:image/" in page


# ----- In the browser

browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

HELPERS = """
const words = () => $$("#queries .token"), seen = $("#key-picture");
const active = () => words().map((word, i) => word.classList.contains("active") ? i : -1).filter((i) => i >= 0);
const pixel = (x, y) => [...seen.querySelector("canvas").getContext("2d").getImageData(640 * x, 640 * y, 1, 1).data];
const veil = (x, y) => pixel(x, y)[3];
const readout = () => $("#readout").textContent;
"""


def in_page(folder: Path, images: list[ImageMap], script: str) -> Any:
    """What `script`, the body of a function run in the page, returns."""
    write_images_html(folder / "page.html", images, title="Test")
    return run_in_page(folder / "page.html", script, HELPERS)


@browser
def test_the_page_runs_under_its_own_policy(tmp_path: Path) -> None:
    write_images_html(tmp_path / "a.html", [one(title="photo.jpg"), one(1)])
    assert complaints(tmp_path / "a.html") == []
    listed, title, picture = in_page(
        tmp_path,
        [one(title="photo.jpg"), one(1, caption="a red ball")],
        """
        const title = $("#input-title").textContent, listed = $$("#list .text").map((text) => text.textContent);
        return [listed, title, $("img").naturalWidth];
        """,
    )
    assert listed == ["photo.jpg", "a red ball"] and title == "photo.jpg" and picture == 80


@browser
def test_pointing_at_a_word_shows_its_map_and_leaving_shows_the_image(tmp_path: Path) -> None:
    soft = ImageMap(gradient(80, 80), ["soft"], [[[0, 0.9, 0.1, 0], [0, 0, 0, 0]]])
    before, hard, active, readout, after, smooth = in_page(
        tmp_path,
        [one(), soft],
        """
        const before = [veil(0.375, 0.25), readout()];
        point(words()[1]);
        const hard = [veil(0.375, 0.25), veil(0.875, 0.75), veil(0.27, 0.25), veil(0.23, 0.25)];
        const shown = [before, hard, active(), readout()];
        $("#queries").dispatchEvent(new MouseEvent("mouseleave"));
        const after = [veil(0.875, 0.75), active().length];
        $$("#list li")[1].click();
        return [...shown, after, [veil(0.375, 0.25), veil(0.27, 0.25), veil(0.23, 0.25), veil(0.875, 0.75)]];
        """,
    )
    assert before == [0, "Nothing is chosen: point at a word or a region."] and after == [0, 0]
    # One region alone, of 2 rows and 4 columns: a square with sharp edges, in a veil that hides the rest.
    assert hard[0] == 0 and hard[1] >= 200 and hard[2] == 0 and hard[3] >= 200
    assert active == [1] and readout == "word1 looks at row 1 of 2, column 2 of 4: 1.00"
    # Soft attention changes smoothly; a lone word is shown at once.
    assert smooth[0] <= 45 and 45 < smooth[1] < smooth[2] < 200 <= smooth[3]


@browser
def test_the_veil_shows_on_dark_and_on_bright_pictures(tmp_path: Path) -> None:
    for colour in ("black", "white", (128, 128, 128)):
        image = ImageMap(Image.new("RGB", (80, 80), colour), ["a", "b"], [[[1, 0], [0, 0]], [[0.3, 0.7], [0, 0]]])
        veil, alpha = in_page(tmp_path, [image], "point(words()[0]); return [pixel(0.75, 0.75), veil(0.25, 0.25)];")
        pixel = np.asarray(Image.new("RGB", (1, 1), colour)).reshape(3).astype(float)
        covered = pixel + (np.array(veil[:3]) - pixel) * veil[3] / 255
        assert alpha == 0 and np.abs(covered - pixel).sum() > 60


@browser
def test_the_keyboard_walks_the_words_and_escape_clears(tmp_path: Path) -> None:
    places, stops, readout, cleared, crossed = in_page(
        tmp_path,
        [one()],
        """
        words()[0].focus();
        const places = [active()];
        for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp", "Home", "End"]) {
          press(key);
          places.push(active());
        }
        const stops = $$('#queries [tabindex="0"]').map((word) => word.textContent), text = readout();
        press("Escape");
        const cleared = [veil(0.9, 0.9), active().length];
        press("ArrowRight");
        const crossed = [document.activeElement.id, readout()];
        press("ArrowDown");
        return [places, stops, text, cleared, [...crossed, readout()]];
        """,
    )
    assert places == [[0], [1], [2], [2], [1], [0], [2]] and stops == ["word2"]
    assert readout == "word2 looks at row 1 of 2, column 3 of 4: 1.00" and cleared == [0, 0]
    assert crossed == [
        "key-picture",
        "row 1 of 2, column 3 of 4 is looked at by word2 1.00",
        "row 2 of 2, column 3 of 4 is looked at by nothing",
    ]


@browser
def test_pointing_at_a_region_shows_the_words_that_look_at_it(tmp_path: Path) -> None:
    lit, readout, outlined, held, freed = in_page(
        tmp_path,
        [one()],
        """
        at(seen, 0.375, 0.25);
        const weights = () => words().map((word) => Number(word.style.getPropertyValue("--weight")));
        const shown = [weights(), readout(), veil(0.2565, 0.25) > 0];
        at(seen, 0.375, 0.25, "click");
        seen.dispatchEvent(new MouseEvent("mouseleave"));
        const held = weights();
        press("Escape");
        return [...shown, held, weights()];
        """,
    )
    assert lit == [0, 1, 0] and readout == "row 1 of 2, column 2 of 4 is looked at by word1 1.00" and outlined
    assert held == [0, 1, 0] and freed == [0, 0, 0]


@browser
def test_hostile_words_are_only_text_and_an_empty_page_says_so(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=document.title='owned'>"
    image = ImageMap(gradient(), [hostile], np.ones((1, 1, 1)), title=hostile, caption=hostile)
    title, word, images = in_page(
        tmp_path, [image], "return [document.title, words()[0].textContent, $$('img').length];"
    )
    assert (title, word, images) == ("Test", hostile, 1)
    assert in_page(tmp_path, [], "return $('#input-title').textContent;") == "There is no input on this page."
