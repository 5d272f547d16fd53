"""Drawing of attention: the map, words from pieces, the terminal, the page, the picture, JSON, the learning curve."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attnkit.explain import (
    AttentionMap,
    draw_learning_curve,
    merge_pieces,
    render_terminal,
    write,
    write_html,
    write_json,
    write_png,
)
from attnkit.explain.drawing.colours import INK, PAPER, is_dark, shade
from attnkit.explain.drawing.fonts import has_glyph, shorten, text_width
from attnkit.explain.drawing.pieces import labels, word_spans
from attnkit.explain.drawing.ticks import format_tick, nice_ticks
from attnkit.explain.sentence.terminal import display_width
from attnkit.explain.weights import Weights

HOSTILE = [
    "<script>alert(1)</script>", "</script><!--", "</script ", "\"'&amp;", "\x1b[31m", "{{data}}", "\u202eturned",
    "a\nb", "\ud800",
]  # fmt: skip


def soft(scores: Weights) -> Weights:
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def random_map(source: list[str], target: list[str], *lead: int, seed: int = 0, title: str = "") -> AttentionMap:
    scores = 2 * np.random.default_rng(seed).normal(size=(*lead, len(target), len(source)))
    return AttentionMap(source, target, soft(scores), title)


@pytest.fixture
def cat() -> AttentionMap:
    """The cat is on the table, aligned by hand: 0.9 to its word, the rest evenly."""
    source, target = ["the", "cat", "is", "on", "the", "table"], ["il", "gatto", "è", "sul", "tavolo"]
    weights = np.full((5, 6), 0.02)
    weights[np.arange(5), [0, 1, 2, 3, 5]] = 0.9
    return AttentionMap(source, target, weights, "the cat")


# ---- the map ----


def test_views_are_means_over_what_is_left_open() -> None:
    attention = random_map(["a", "b", "c"], ["x", "y"], 2, 4)
    weights = attention.weights
    assert (attention.layers, attention.heads) == (2, 4)
    np.testing.assert_array_equal(attention.view(1, 3), weights[1, 3])
    np.testing.assert_allclose(attention.view(layer=1), weights[1].mean(0), rtol=1e-6)
    np.testing.assert_allclose(attention.view(head=2), weights[:, 2].mean(0), rtol=1e-6)
    np.testing.assert_allclose(attention.view(), weights.mean((0, 1)), rtol=1e-6)
    flat = AttentionMap(["a"], ["x"], np.ones((1, 1)))
    assert (flat.layers, flat.heads, flat.view().shape) == (1, 1, (1, 1))


@pytest.mark.parametrize("shape", [(2, 3), (3,), (0, 3, 2), (1, 1, 1, 3, 2)])
def test_weights_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[attention_map\] expected weights of shape \[3, 2\]"):
        AttentionMap(["a", "b"], ["x", "y", "z"], np.zeros(shape))


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_weights_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        AttentionMap(["a"], ["x"], np.full((1, 1), value))


def test_a_head_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError, match=r"expected a head from 0 to 3, got 4"):
        random_map(["a"], ["x"], 4).view(head=4)
    with pytest.raises(IndexError, match=r"expected a layer from 0 to 0, got -1"):
        random_map(["a"], ["x"], 4).view(layer=-1)


# ---- pieces ----


def test_pieces_merge_into_words() -> None:
    weights = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.1, 0.1, 0.3], [0.0, 0.0, 0.25, 0.75]], dtype=np.float32)
    merged = merge_pieces(AttentionMap(["▁the", "▁ta", "ble", "</s>"], ["▁ta", "volo", "</s>"], weights, "t"))
    assert merged.source_tokens == ("the", "table", "</s>") and merged.target_tokens == ("tavolo", "</s>")
    np.testing.assert_allclose(merged.weights, [[0.3, 0.35, 0.35], [0.0, 0.25, 0.75]], rtol=1e-6)
    assert merged.title == "t"


def test_only_the_side_asked_for_is_merged() -> None:
    attention = random_map(["▁a", "b"], ["▁x", "y"], 3)
    assert merge_pieces(attention, target=False).weights.shape == (3, 2, 1)
    assert merge_pieces(attention, source=False).weights.shape == (3, 1, 2)


def test_words_without_marks_stay_as_they_are(cat: AttentionMap) -> None:
    merged = merge_pieces(cat)
    assert merged.target_tokens == cat.target_tokens
    np.testing.assert_array_equal(merged.weights, cat.weights)


@given(
    st.lists(st.sampled_from(["▁a", "b", "▁", "</s>", "ç"]), min_size=1, max_size=12),
    st.lists(st.sampled_from(["▁a", "b", "▁", "</s>", "ç"]), min_size=1, max_size=12),
)
def test_merged_rows_still_sum_to_one(source: list[str], target: list[str]) -> None:
    merged = merge_pieces(random_map(source, target, 2))
    np.testing.assert_allclose(merged.weights.sum(-1), 1.0, atol=4 * len(source) * float(np.finfo(np.float32).eps))
    assert [end for _, end in word_spans(source)][-1] == len(source)


def test_labels_are_for_people() -> None:
    assert labels(["▁the", "▁ta", "ble", "</s>", "▁"]) == ["the", "ta", "·ble", "</s>", "␣"]
    assert labels(["the", "table"]) == ["the", "table"]
    assert labels(["a\x1b[0m", "\u202eb", "\ud800", ""]) == ["a\ufffd[0m", "\ufffdb", "\ufffd", "␣"]


@given(st.lists(st.text(max_size=8), max_size=6))
def test_no_label_can_move_the_cursor_or_break_the_encoding(tokens: list[str]) -> None:
    text = "".join(labels(tokens))
    text.encode()
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", text)


# ---- the terminal ----

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def test_terminal_draws_each_alignment_in_its_column(cat: AttentionMap) -> None:
    lines = render_terminal(cat, colour=False, width=80).splitlines()
    assert lines[0] == "the cat"
    staircase, rows = lines[1:7], lines[7:]
    columns = [line.index("┌") for line in staircase]
    assert [line.split("┌ ")[1] for line in staircase] == list(cat.source_tokens)
    for row, word, best in zip(rows, cat.target_tokens, [0, 1, 2, 3, 5], strict=True):
        assert row.split()[0] == word and row.endswith(f"{cat.source_tokens[best]} 0.90")
        assert [row[column] for column in columns] == ["█" if i == best else "·" for i in range(6)]


def test_colour_adds_only_colour(cat: AttentionMap) -> None:
    coloured, plain = render_terminal(cat, True, 80), render_terminal(cat, False, 80)
    assert "\x1b[38;5;" in coloured and "\x1b" not in plain
    assert [line.rstrip() for line in ANSI.sub("", coloured).splitlines()] == plain.splitlines()


@given(
    st.lists(st.text("abcè猫가\u0301▁", min_size=1, max_size=24), max_size=50),
    st.lists(st.text("abcè猫가\u0301▁", min_size=1, max_size=24), max_size=6),
    st.integers(20, 120),
    st.booleans(),
)
def test_terminal_lines_fit_the_width(source: list[str], target: list[str], width: int, colour: bool) -> None:
    text = render_terminal(random_map(source, target, title="t" * 200), colour, width)
    assert text.endswith("\n")
    assert max(display_width(ANSI.sub("", line)) for line in text.splitlines()) <= width


def test_a_long_sentence_becomes_a_list() -> None:
    source = [f"word{i}" for i in range(40)]
    weights = np.zeros((1, 40))
    weights[0, 7], weights[0, 9], weights[0, 11] = 0.6, 0.3, 0.01
    line = render_terminal(AttentionMap(source, ["x"], weights), False, 80)
    assert line == "x  ████▊    word7 0.60  word9 0.30\n"


def test_terminal_without_words() -> None:
    assert render_terminal(AttentionMap([], [], np.zeros((0, 0))), False, 80) == "(no words)\n"


def test_a_terminal_too_narrow_is_refused(cat: AttentionMap) -> None:
    with pytest.raises(ValueError, match="at least 20 columns, got 19"):
        render_terminal(cat, False, 19)


def test_wide_characters_take_two_columns() -> None:
    assert [display_width(text) for text in ("ab", "猫", "e\u0301", "가a")] == [2, 2, 1, 3]


# ---- JSON ----


def test_json_holds_everything(tmp_path: Path) -> None:
    one = random_map(["▁a", "è"], ["x"], 2, 3, title="t")
    write_json(tmp_path / "a.json", [one, random_map(HOSTILE, ["y"])])
    text = (tmp_path / "a.json").read_bytes().decode()
    document = json.loads(text)
    assert (document["format"], document["version"]) == ("attnkit.attention", 1)
    first, second = document["maps"]
    assert (first["title"], first["source_tokens"], first["target_tokens"]) == ("t", ["▁a", "è"], ["x"])
    np.testing.assert_allclose(np.array(first["weights"]), one.weights, atol=5.1e-8)
    assert second["source_tokens"] == HOSTILE and "è" in text


# ---- the page ----


class Page(HTMLParser):
    """What a browser would see: the elements by tag, and the text inside <title> and <script>."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {"title": [], "script": []}
        self._open: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag in self.text:
            self.text[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open in self.text:
            self.text[self._open][-1] += data


def page_of(path: Path, maps: list[AttentionMap], **options: Any) -> tuple[str, Page, list[Any]]:
    write_html(path, maps, **options)
    html = path.read_bytes().decode()
    page = Page(html)
    return html, page, json.loads(page.text["script"][0])


def test_page_stands_alone(tmp_path: Path, cat: AttentionMap) -> None:
    html, page, _ = page_of(tmp_path / "a.html", [cat, cat])
    assert not {"link", "img", "iframe", "base", "object"} & {tag for tag, _ in page.tags}
    assert not any(name in attributes for _, attributes in page.tags for name in ("src", "href", "srcset"))
    assert "@import" not in html and "url(" not in html
    assert not set(re.findall(r"https?://[^\s\"'<]*", html)) - {"http://www.w3.org/2000/svg"}  # a name, not a link
    policy = next(attributes["content"] for tag, attributes in page.tags if attributes.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none';")


def test_page_data_is_the_map(tmp_path: Path) -> None:
    attention = random_map(["▁a", "è"], ["x", "y", "z"], 2, 3, title="t")
    _, _, data = page_of(tmp_path / "a.html", [attention])
    (only,) = data
    (kind,) = only["kinds"]
    assert (only["title"], only["text"]) == ("t", "aè")
    assert (kind["keys"]["tokens"], kind["queries"]["tokens"]) == (["a", "·è"], ["x", "y", "z"])
    codes = np.frombuffer(base64.b64decode(kind["data"]), "<u2").reshape(2, 3, 3, 2)
    step = kind["top"] / 65535
    np.testing.assert_allclose(codes * step, attention.weights, atol=0.51 * step)


def test_hostile_tokens_stay_text(tmp_path: Path) -> None:
    _, plain, _ = page_of(tmp_path / "a.html", [random_map(["a"] * len(HOSTILE), ["y"], title="t")], title="t")
    _, page, data = page_of(
        tmp_path / "b.html", [random_map(HOSTILE, ["y"], title=HOSTILE[1])], title=HOSTILE[0] + "{{data}}"
    )
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]  # not one element more
    assert data[0]["kinds"][0]["keys"]["tokens"] == labels(HOSTILE)
    assert "<" not in page.text["script"][0]  # a browser ends a script at "</script ", which this parser lets pass
    assert page.text["script"][1] == plain.text["script"][1]
    assert page.text["title"] == [HOSTILE[0] + "{{data}}"]


@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_any_token_survives_the_page(tmp_path_factory: pytest.TempPathFactory, tokens: list[str]) -> None:
    _, page, data = page_of(tmp_path_factory.mktemp("page") / "a.html", [random_map(tokens, ["y"], title="t")])
    assert data[0]["kinds"][0]["keys"]["tokens"] == labels(tokens) and len(page.text["script"]) == 2


def test_page_knows_the_writing_direction(tmp_path: Path) -> None:
    _, _, data = page_of(tmp_path / "a.html", [random_map(["القطة", "."], ["cat", "."])])
    (kind,) = data[0]["kinds"]
    assert (kind["keys"]["direction"], kind["queries"]["direction"]) == ("rtl", "ltr")


# ---- the picture ----


def colours_of(image: Image.Image) -> dict[tuple[int, ...], int]:
    counted = image.convert("RGB").getcolors(maxcolors=image.width * image.height) or []
    return {colour: count for count, colour in counted}  # type: ignore[misc]


def test_picture_has_a_cell_of_the_right_colour_for_each_weight(tmp_path: Path) -> None:
    weights = np.array([[1.0, 0.0], [0.25, 0.75]])
    write_png(tmp_path / "a.png", AttentionMap(["a", "b"], ["x", "y"], weights))
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        found = colours_of(image)
    cell = 42 * 30 * 4  # units less the gap, two pixels a unit; corners and figures take some
    for weight in (1.0, 0.0, 0.25, 0.75):
        assert 0.75 * cell < found[shade(weight)] < 1.25 * cell, weight


def test_picture_of_a_head_is_not_the_mean(tmp_path: Path) -> None:
    attention = random_map(["a", "b", "c"], ["x", "y"], 2, 4)
    pictures = []
    for name, layer, head in (("mean", None, None), ("head", 1, 2), ("layer", 1, None)):
        write_png(tmp_path / f"{name}.png", attention, layer=layer, head=head)
        pictures.append((tmp_path / f"{name}.png").read_bytes())
    assert len(set(pictures)) == 3
    with pytest.raises(IndexError):
        write_png(tmp_path / "none.png", attention, head=4)


@pytest.mark.parametrize("tokens", [HOSTILE, ["猫", "は"], ["القطة"], ["w" * 300], [], ["a"] * 300])
def test_picture_of_any_sentence(tmp_path: Path, tokens: list[str]) -> None:
    write_png(tmp_path / "a.png", random_map(tokens, ["x", "y"] if tokens else [], title="t" * 400))
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert 100 < image.width < 6000 and 100 < image.height < 6000


def test_the_font_that_comes_along_has_the_letters_of_europe() -> None:
    for character in "èéàùìòüäößñçåøæœğışłžčřőűθДя·␣…→אע":
        assert has_glyph("DejaVuSans.ttf", character), character
    assert not has_glyph("DejaVuSans.ttf", "猫")


def test_text_is_shortened_to_fit() -> None:
    assert shorten("short", 12, 200) == "short"
    cut = shorten("far too long for this" * 5, 12, 100)
    assert cut.endswith("…") and 85 < text_width(cut, 12) <= 100


def test_colours_run_evenly_from_paper_to_ink() -> None:
    assert (shade(-1), shade(2)) == (PAPER, INK)
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in map(shade, np.linspace(0, 1, 21))]
    steps = -np.diff(light)
    assert steps.min() > 0 and steps.max() < 2 * steps.min()
    assert is_dark(INK) and not is_dark(PAPER)


# ---- by suffix ----


def test_suffix_decides(tmp_path: Path, cat: AttentionMap) -> None:
    for name, start in (
        ("a.html", b"<!DOCTYPE html>"),
        ("a.PNG", b"\x89PNG"),
        ("a.svg", b"<svg"),
        ("a.json", b'{"format"'),
    ):
        assert write(tmp_path / name, [cat]) == [tmp_path / name]
        assert (tmp_path / name).read_bytes().startswith(start)


def test_several_pictures_are_numbered(tmp_path: Path, cat: AttentionMap) -> None:
    paths = write(tmp_path / "a.png", [cat] * 10)
    assert [path.name for path in paths] == [f"a-{number:02}.png" for number in range(1, 11)]
    assert sorted(tmp_path.iterdir()) == paths


def test_no_map_at_all(tmp_path: Path) -> None:
    assert write(tmp_path / "a.png", []) == []
    write(tmp_path / "a.html", [])
    write(tmp_path / "a.json", [])
    assert json.loads((tmp_path / "a.json").read_text())["maps"] == []


@pytest.mark.parametrize("name", ["a.pdf", "a", ".png", "a.png.gz"])
def test_another_suffix_names_the_four(tmp_path: Path, cat: AttentionMap, name: str) -> None:
    with pytest.raises(ValueError, match=r"expected a file ending in \.html, \.png, \.svg or \.json"):
        write(tmp_path / name, [cat])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path, cat: AttentionMap) -> None:
    for name in ("a.html", "a.png", "a.json"):
        with pytest.raises(FileNotFoundError):
            write(tmp_path / "missing" / name, [cat])


def test_importing_explain_does_not_import_pillow() -> None:
    code = "import sys, attnkit.explain; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


# ---- the learning curve ----


def metrics(path: Path, rows: list[dict[str, Any]], tail: str = "") -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail, encoding="utf-8")
    return path


RUN: list[dict[str, Any]] = [
    *({"step": step, "loss": 8.0 / step, "learning_rate": 1e-3} for step in range(10, 500, 10)),
    *({"step": step, "validation_loss": 9.0 / step, "bleu": step / 20} for step in range(100, 500, 100)),
]


def test_learning_curve_draws_three_curves(tmp_path: Path) -> None:
    draw_learning_curve(metrics(tmp_path / "m.jsonl", RUN), tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as image:
        found = colours_of(image)
        assert image.width > 1500
    for colour in ((31, 95, 208), (214, 102, 20), (20, 130, 100)):
        assert found.get(colour, 0) > 200, colour


@pytest.mark.parametrize("key", ["accuracy", "validation_perplexity"])
def test_learning_curve_draws_what_the_task_measures(tmp_path: Path, key: str) -> None:
    rows = [{key if name == "bleu" else name: value for name, value in row.items()} for row in RUN]
    pictures = []
    for name, run in (("bleu", RUN), (key, rows)):
        draw_learning_curve(metrics(tmp_path / "m.jsonl", run), tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            assert colours_of(image).get((20, 130, 100), 0) > 100
            pictures.append(image.tobytes())
    assert pictures[0] != pictures[1]  # by the title alone


def test_learning_curve_passes_over_what_is_no_figure(tmp_path: Path) -> None:
    draw_learning_curve(metrics(tmp_path / "clean.jsonl", RUN), tmp_path / "clean.png")
    noise: list[dict[str, Any]] = [
        {"step": 77, "loss": None},
        {"step": 78, "loss": "x", "bleu": True},
        {"note": "no step"},
    ]
    path = metrics(tmp_path / "m.jsonl", RUN + noise, '{"step": 79, "loss": NaN}\n\n{"step": 80, "lo')
    draw_learning_curve(path, tmp_path / "m.png")
    assert (tmp_path / "m.png").read_bytes() == (tmp_path / "clean.png").read_bytes()


@pytest.mark.parametrize("rows", [[], [{"step": 0, "loss": 3.0}], [{"step": 5, "bleu": 0.0}, {"step": 6, "bleu": 0.0}]])
def test_learning_curve_of_next_to_nothing(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    draw_learning_curve(metrics(tmp_path / "m.jsonl", rows), tmp_path / "m.png")
    assert (tmp_path / "m.png").stat().st_size > 1000


def test_learning_curve_names_the_bad_line(tmp_path: Path) -> None:
    for bad in ("nonsense", "[1]"):
        path = metrics(tmp_path / "m.jsonl", RUN[:2], bad + '\n{"step": 1}\n')
        with pytest.raises(ValueError, match="expected a JSON object on line 3 of"):
            draw_learning_curve(path, tmp_path / "m.png")
    with pytest.raises(FileNotFoundError):
        draw_learning_curve(tmp_path / "none.jsonl", tmp_path / "m.png")


@given(
    st.floats(-1e6, 1e6).map(lambda x: round(x, 4)),
    st.floats(1e-3, 1e6).map(lambda x: round(x, 4)),
)
def test_ticks_are_round_and_cover(low: float, spread: float) -> None:
    ticks = nice_ticks(low, low + spread)
    step = ticks[1] - ticks[0]
    slack = 1e-6 * (abs(low) + spread)
    assert ticks[0] <= low + slack and ticks[-1] >= low + spread - slack and 3 <= len(ticks) <= 8
    mantissa = step / 10 ** np.floor(np.log10(step) + 1e-6)
    assert min(abs(mantissa - nice) for nice in (1, 2, 5)) < 1e-3
    assert len({format_tick(tick, step) for tick in ticks}) == len(ticks)


def test_ticks_in_words() -> None:
    assert [format_tick(value, 2000) for value in (0, 2000, 12000)] == ["0", "2,000", "12,000"]
    assert format_tick(0.25, 0.05) == "0.25"
    assert nice_ticks(0, 8000) == [0, 2000, 4000, 6000, 8000]
