"""All attention as pictures: what stands on them, that they are right, and that SVG is safe and says it in text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import attnkit_run
from PIL import Image

import attnkit
from attnkit.explain import AttentionMap, DocumentMap, ImageMap, write, write_documents, write_images
from attnkit.explain.drawing.canvas import Canvas
from attnkit.explain.drawing.colours import ORANGE, Colour, shade, to_lab
from attnkit.explain.drawing.fonts import text_width, wrapped
from attnkit.explain.drawing.overlay import under_attention
from attnkit.explain.drawing.photos import QUERY
from attnkit.explain.drawing.scale import scale_top
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.explain.weights import Weights
from attnkit.text.tokenizers.vocabulary import BOS

MODELS = Path(__file__).parents[1] / "data" / "formats" / "1" / "models"
SVG = "{http://www.w3.org/2000/svg}"
WORDS = ["the", "animal", "was", "tired"]
HOSTILE = ["<script>alert(1)</script>", "\"'&amp;", "</text>", "\x1b[31m", "\ud800", "\ufffe", "{{x}}"]


def shares(*shape: int, seed: int = 0) -> Weights:
    return np.random.default_rng(seed).dirichlet(np.full(shape[-1], 0.3), shape[:-1]).astype(np.float32)


def kind(name: str = "encoder", layers: int = 1, heads: int = 1, **more: object) -> AttentionWeights:
    weights = shares(layers, heads, len(WORDS), len(WORDS))
    axes = {"query_axis": "source (read)", "key_axis": "source (read)"}
    return AttentionWeights(name, weights, WORDS, WORDS, **{**axes, **more})  # type: ignore[arg-type]


def drawn(folder: Path, *kinds: AttentionWeights, image: Image.Image | None = None) -> ElementTree.Element:
    """The SVG of one kind; that of the first, where there are several."""
    maps = AttentionMaps(kinds, "the animal was tired", "l'animale era stanco", image)
    return ElementTree.parse(maps.save(folder / "a.svg")[0]).getroot()


def texts(drawing: ElementTree.Element) -> list[str]:
    return ["".join(each.itertext()) for each in drawing.iter(f"{SVG}text")]


def fills(drawing: ElementTree.Element, tag: str = "rect") -> list[str]:
    return [each.get("fill", "") for each in drawing.iter(SVG + tag)]


def hexadecimal(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


# ----- The canvas


def test_one_description_gives_the_same_picture_in_both_forms(tmp_path: Path) -> None:
    canvas = Canvas(60, 40)
    canvas.rectangle(10, 10, 20, 20, (200, 0, 0))
    canvas.outline(35, 10, 20, 20, (0, 0, 200), 4)
    canvas.polygon([(0, 0), (8, 0), (0, 8)], (0, 150, 0))
    canvas.text(2, 36, "a < b", 6)
    canvas.picture(52, 32, 4, 4, Image.new("RGB", (2, 2), (9, 9, 9)), cells=True)
    canvas.save(tmp_path / "a.png")
    canvas.save(tmp_path / "a.svg")
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (120, 80)
        assert image.getpixel((40, 40)) == (200, 0, 0) and image.getpixel((90, 40)) == (255, 255, 255)
        assert image.getpixel((73, 40)) == (0, 0, 200) and image.getpixel((108, 68)) == (9, 9, 9)
    drawing = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert drawing.get("viewBox") == "0 0 60 40" and texts(drawing) == ["a < b"]
    assert fills(drawing)[1:] == ["#c80000", "none"] and fills(drawing, "polygon") == ["#009600"]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_long_lines_are_broken_at_spaces_and_cut_at_the_last(most: int) -> None:
    lines = wrapped("the animal was far too tired to go on " * 6, 12, 200, most)
    assert len(lines) == most and lines[-1].endswith("…") and all(text_width(line, 12) <= 200 for line in lines)
    assert all(not line.endswith("…") and line == line.strip() for line in lines[:-1])
    assert "".join(wrapped("猫" * 40, 12, 100, 99)) == "猫" * 40
    assert wrapped("short", 12, 200, most) == ["short"] and wrapped(" ", 12, 200, most) == []


# ----- What stands on every picture


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("heads", [1, 2])
def test_title_axes_words_layers_heads_and_legend_are_text(tmp_path: Path, layers: int, heads: int) -> None:
    found = texts(drawn(tmp_path, kind("cross", layers, heads, query_axis="translation (written)")))
    assert found[:3] == ["the animal was tired", "→", "l'animale era stanco"]
    assert found[3].startswith("Cross-attention")
    assert "key: source (read) →" in found and "← query: translation (written)" in found
    assert set(WORDS) <= set(found) and {"0", "0.5", "1", "share of a row's attention"} <= set(found)
    for name, count in (("layer", layers), ("head", heads)):
        named = {text for text in " · ".join(found).split(" · ") if re.fullmatch(rf"{name} \d", text)}
        assert named == ({f"{name} {number}" for number in range(1, count + 1)} if count > 1 else set())


def test_cells_have_the_colour_of_their_weight(tmp_path: Path) -> None:
    weights = kind(layers=2).weights.ravel()
    found = fills(drawn(tmp_path, kind(layers=2)))
    assert [found.count(hexadecimal(shade(weight))) > 0 for weight in weights.tolist()] == [True] * len(weights)


@pytest.mark.parametrize(("largest", "top"), [(1.0, 1.0), (0.51, 1.0), (0.5, 0.5), (0.24, 0.5), (0.03, 0.05), (0, 1)])
def test_a_scale_that_does_not_end_at_one_is_said_in_words(tmp_path: Path, largest: float, top: float) -> None:
    weights = np.full((1, 1, 4, 4), largest, np.float32)
    weights[..., 1:] /= 2
    assert scale_top(weights) == top
    drawing = drawn(tmp_path, AttentionWeights("encoder", weights, WORDS, WORDS))
    notes = [text for text in texts(drawing) if "not at 1" in text]
    assert notes == ([] if top == 1.0 else [f"The colours end at {top:g}, not at 1: no weight here is larger."])
    assert f"{top:g}" in texts(drawing) and hexadecimal(shade(largest / top)) in fills(drawing)
    write(tmp_path / "b.svg", [AttentionMap(WORDS, WORDS, weights[0, 0])])
    assert [text for text in texts(ElementTree.parse(tmp_path / "b.svg").getroot()) if "not at 1" in text] == notes


def test_svg_asks_for_nothing_and_tokens_stay_text(tmp_path: Path) -> None:
    weights = shares(1, 1, len(HOSTILE), len(HOSTILE))
    maps = AttentionMaps([AttentionWeights("encoder", weights, HOSTILE, HOSTILE)], HOSTILE[0], HOSTILE[2])
    [path] = maps.save(tmp_path / "a.svg")
    drawing = ElementTree.parse(path).getroot()
    assert {each.tag for each in drawing.iter()} == {f"{SVG}{name}" for name in ("svg", "rect", "text", "polyline")}
    assert {"<script>alert(1)</script>", "\"'&amp;", "</text>", "\ufffd[31m", "\ufffd"} <= set(texts(drawing))
    long = AttentionWeights("encoder", shares(1, 1, 90, 90), ["w"] * 90, ["w"] * 90)
    for file in (path, *AttentionMaps([long]).save(tmp_path / "b.svg")):
        source = file.read_text("utf-8")
        assert not re.findall(r"(?:href|src)=\"(?!data:image/png;base64,)", source) and "<style" not in source
        assert set(re.findall(r"https?://[^\s\"'<]*", source)) == {"http://www.w3.org/2000/svg"}  # a name, not a link


@pytest.mark.parametrize("suffix", [".png", ".svg"])
@pytest.mark.parametrize(
    "words", [[], ["one"], ["القطة", "على"], ["猫", "は"], [f"word{i}" for i in range(60)], ["w" * 300]]
)
@pytest.mark.parametrize("heads", [1, 8])
def test_sizes_are_sane_whatever_the_sentence(tmp_path: Path, suffix: str, words: list[str], heads: int) -> None:
    weights = shares(1, heads, len(words), len(words)) if words else np.zeros((1, heads, 0, 0), np.float32)
    maps = AttentionMaps([AttentionWeights("encoder", weights, words, words)], " ".join(words))
    [path] = maps.save(tmp_path / f"a{suffix}")
    if suffix == ".png":
        with Image.open(path) as image:
            width, height = image.width / 2, image.height / 2
    else:
        drawing = ElementTree.parse(path).getroot()
        width, height = float(drawing.get("width", "")), float(drawing.get("height", ""))
        assert ("(no words)" in texts(drawing)) == (not words)
    assert 100 < width < 1500 and 60 < height < 1500 and path.stat().st_size < 1_000_000


def test_a_grid_of_heads_fits_a_slide(tmp_path: Path) -> None:
    weights = shares(6, 8, 30, 30)
    drawing = drawn(tmp_path, AttentionWeights("encoder", weights, ["word"] * 30, ["word"] * 30))
    width, height = float(drawing.get("width", "")), float(drawing.get("height", ""))
    assert len(list(drawing.iter(f"{SVG}image"))) == 48 and 1.2 < width / height < 2 and height < 900


# ----- One word, gates, channels


def test_a_word_has_a_row_for_each_head_and_their_mean(tmp_path: Path) -> None:
    whole = AttentionMaps([kind(layers=2, heads=3)], "the animal was tired")
    chosen = whole.select(word="was")
    drawing = ElementTree.parse(chosen.save(tmp_path / "a.svg")[0]).getroot()
    found = texts(drawing)
    assert "Self-attention of the encoder, 2 layers, 3 heads: what “was” looks at" in found
    assert {f"layer {layer} · head {head}" for layer in (1, 2) for head in (1, 2, 3)} <= set(found)
    mean = whole["encoder"].weights[:, :, 2].mean((0, 1))
    assert {f"{weight:.2f}" for weight in mean} <= set(found) and "mean" in found
    many = AttentionMaps([kind(layers=6, heads=8)]).select(word="was")
    drawing = ElementTree.parse(many.save(tmp_path / "b.svg")[0]).getroot()
    assert float(drawing.get("height", "")) < 1000 and texts(drawing).count("mean") >= 1 and "layer 6" in texts(drawing)


def test_a_row_over_a_long_text_is_the_text(tmp_path: Path) -> None:
    words = [f"word{index}" for index in range(200)]
    weights = np.zeros((1, 1, 1, 200), np.float32)
    weights[..., 7] = 1.0
    drawing = drawn(tmp_path, AttentionWeights("pooling", weights, ["text"], words))
    assert set(words) <= set(texts(drawing))
    assert hexadecimal(shade(1.0)) in fills(drawing) and float(drawing.get("height", "")) < 900


def test_centres_of_windows_are_marked_in_their_row(tmp_path: Path) -> None:
    centres = np.array([0, 1.5, 2, 3], np.float32)
    drawing = drawn(tmp_path, kind("cross", centres=centres))
    wedges = [
        each.get("points", "") for each in drawing.iter(f"{SVG}polygon") if each.get("fill") == hexadecimal(ORANGE)
    ]
    tips = [float(points.split()[-1].split(",")[0]) for points in wedges[:8:2]]
    steps = np.diff(tips)
    np.testing.assert_allclose(steps / steps[0], np.diff(centres) / 1.5, atol=1e-2)
    assert "the centre of the window" in texts(drawing)
    hard = kind("cross", centres=centres)
    sampled = AttentionWeights("cross", np.eye(4, dtype=np.float32)[None, None], WORDS, WORDS, centres=hard.centres)
    assert "the position that was read" in texts(drawn(tmp_path, sampled))


@pytest.mark.parametrize("turned", [False, True])
def test_gates_are_units_by_words_with_their_mean(tmp_path: Path, turned: bool) -> None:
    units = [f"unit {number}" for number in range(1, 7)]
    gates = np.random.default_rng(0).random((1, 1, 6, 4)).astype(np.float32) / 4  # never larger than a half
    forget = AttentionWeights("gates.forget", gates, units, WORDS, "gate", "unit", "source (read)")
    if turned:
        turn = gates.swapaxes(2, 3)
        forget = AttentionWeights("gates.forget", turn, WORDS, units, "gate", "source (read)", "unit")
    drawing = drawn(tmp_path, forget)
    found = texts(drawing)
    assert "Forget gate" in found and set(units) | set(WORDS) | {"mean", "← unit", "source (read) →"} <= set(found)
    for mean in gates[0, 0].mean(axis=0):
        assert f"{mean:.2f}" in found and hexadecimal(shade(float(mean))) in fills(drawing)
    assert "gate, 0: closed, 1: open" in found and not any("not at 1" in text for text in found)


def test_channels_are_bars_of_each_layer(tmp_path: Path) -> None:
    weights = np.zeros((2, 1, 1, 6), np.float32)
    weights[0, 0, 0, :3], weights[1, 0, 0] = [0.25, 1.0, 0.5], 0.75
    gates = AttentionWeights("excitation", weights, ["image"], list("abcdef"), "gate", sizes=[3, 6])
    drawing = drawn(tmp_path, gates)
    bars = [each.get("points", "").split() for each in drawing.iter(f"{SVG}polygon")]
    assert [len(points) for points in bars] == [3 * 4 + 2, 6 * 4 + 2]
    heights = [float(point.split(",")[1]) for point in bars[0]]
    tall = heights[0] - np.array(heights[2:-1:4])
    np.testing.assert_allclose(tall / tall[1], [0.25, 1.0, 0.5], atol=1e-2)
    assert {"layer 1", "layer 2", "3", "6", "0", "0.5", "1"} <= set(texts(drawing))


# ----- Images


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """In OKLab, where 0.02 is a difference that can just be seen and 1 that of black and white."""
    return float(np.linalg.norm(to_lab(tuple(one.tolist())) - to_lab(tuple(other.tolist()))))  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0, 20, 128, 235, 255])
@pytest.mark.parametrize("top", [1.0, 0.5])
def test_attention_shows_on_dark_and_on_bright(level: int, top: float) -> None:
    weights = np.array([[0.9, 0.02], [0.02, 0.02]], np.float32) * top
    shown = np.asarray(under_attention(Image.new("RGB", (200, 200), (level,) * 3), weights, top))
    assert distance(shown[20, 20], shown[180, 180]) > 0.1
    line = shown[10]  # along the upper edge, over the boundary
    assert (line == 255).all(axis=1).any() and (line < 50).all(axis=1).any()  # bright beside dark


def test_one_region_is_drawn_sharp_and_a_soft_look_is_smooth() -> None:
    picture = Image.new("RGB", (240, 240), (10, 10, 10))
    hard = np.zeros((4, 4), np.float32)
    hard[1, 2] = 1.0
    sharp = np.asarray(under_attention(picture, hard, 1.0)).astype(int)
    assert (sharp[60:120, 120:180] == 10).all()  # the region as it is, up to its edges
    outside = np.delete(sharp.reshape(-1, 3), np.flatnonzero(np.all(sharp == 10, axis=2)), axis=0)
    assert len(outside) == 240 * 240 - 60 * 60 and np.ptp(outside) == 0
    soft = hard * 0.9 + 0.1 / 16
    row = np.asarray(under_attention(picture, soft, 1.0)).astype(int)[90, :, 0]
    assert len(set(row.tolist())) > 20


def test_a_hard_caption_has_framed_squares_and_a_soft_one_has_not(tmp_path: Path) -> None:
    weights = np.zeros((2, 4, 4), np.float32)
    weights[0, 1, 2] = weights[1, 3, 0] = 1.0
    picture = Image.new("RGB", (64, 64), "black")

    def frames(weights: Weights) -> list[tuple[float, ...]]:
        write_images(tmp_path / "a.svg", [ImageMap(picture, ["a", "dog"], weights, "a.png", "a dog")])
        drawing = ElementTree.parse(tmp_path / "a.svg").getroot()
        photos = [float(each.get("x", "")) for each in drawing.iter(f"{SVG}image")]
        rects = [each for each in drawing.iter(f"{SVG}rect") if each.get("stroke") == "#ff7800"]
        assert ("the one region that was looked at" in texts(drawing)) == bool(rects)
        side = float(next(drawing.iter(f"{SVG}image")).get("width", ""))
        places = [(float(each.get("x", "")) + 2, float(each.get("width", "")) - 4) for each in rects[:-1]]
        return [
            (round((x - left) / side, 3), round(width / side, 3))
            for left, (x, width) in zip(photos[1:], places, strict=False)
        ]

    assert frames(weights) == [(0.5, 0.25), (0.0, 0.25)]
    assert frames(weights * 0.5 + 0.5 / 16) == []


def test_captions_have_the_gate_of_each_word(tmp_path: Path) -> None:
    words = ["A", "woman"]
    cross = AttentionWeights("cross", shares(1, 1, 2, 16), words, [str(i) for i in range(16)], key_grid=(4, 4))
    beta = AttentionWeights("gates.beta", np.array([[[[0.98, 0.54]]]], np.float32), ["β"], words, "gate")
    drawing = drawn(tmp_path, cross, beta, image=Image.new("RGB", (64, 64)))
    assert {"A(0.98)", "woman(0.54)", "l'animale era stanco"} <= set(texts(drawing))
    assert {f"at most {share:.2f}" for share in cross.weights[0, 0].max(axis=1)} <= set(texts(drawing))


def test_the_patch_that_looks_is_outlined(tmp_path: Path) -> None:
    tokens = ["[class]", *(f"row {i // 2 + 1}, column {i % 2 + 1}" for i in range(4))]
    weights = shares(2, 3, 5, 5)
    maps = AttentionMaps(
        [AttentionWeights("encoder", weights, tokens, tokens, query_grid=(2, 2), key_grid=(2, 2))],
        "a.png",
        "cat",
        Image.new("RGB", (64, 64)),
    )
    whole = ElementTree.parse(maps.save(tmp_path / "a.svg")[0]).getroot()
    assert len(list(whole.iter(f"{SVG}image"))) == 6 and not blue(whole)
    assert any("what [class] looks at" in text for text in texts(whole))
    assert f"{weights[0, 0, 0, 0]:.2f} to [class]" in texts(whole)
    patch = ElementTree.parse(maps.select(word="row 2, column 1").save(tmp_path / "b.svg")[0]).getroot()
    assert len(blue(patch)) == 6 + 1 and "the patch that looks" in texts(patch)  # and one in the legend
    photo = next(patch.iter(f"{SVG}image"))
    side, frame = float(photo.get("width", "")), blue(patch)[0]
    assert float(frame.get("x", "")) + 2 == pytest.approx(float(photo.get("x", "")), abs=0.1)
    assert float(frame.get("y", "")) + 2 == pytest.approx(float(photo.get("y", "")) + side / 2, abs=0.1)


def blue(drawing: ElementTree.Element) -> list[ElementTree.Element]:
    return [each for each in drawing.iter(f"{SVG}rect") if each.get("stroke") == hexadecimal(QUERY)]


def test_a_class_is_not_written_twice(tmp_path: Path) -> None:
    image = ImageMap(Image.new("RGB", (64, 64)), ["cat 93.1 %"], shares(1, 4).reshape(1, 2, 2), "a.png", "cat 93.1 %")
    write_images(tmp_path / "a.svg", [image])
    found = texts(ElementTree.parse(tmp_path / "a.svg").getroot())
    assert found.count("cat 93.1 %") == 1 and "attention" in found


# ----- Documents


def test_only_a_document_of_sentences_has_bars_and_the_legend_says_what_counts(tmp_path: Path) -> None:
    one = DocumentMap([["<s>", "a", "film"]], [np.array([0.2, 0.1, 0.7])], np.ones(1), [("pos", 0.9)], "review")
    two = DocumentMap([["a"], ["fine", "film"]], [np.ones(1), np.array([0.2, 0.8])], np.array([0.3, 0.7]))
    write_documents(tmp_path / "a.svg", [one, two])
    single, several = (ElementTree.parse(tmp_path / f"a-{number}.svg").getroot() for number in (1, 2))
    bar = "bar: weight of the sentence; full: the largest, 0.70"
    assert bar not in texts(single) and hexadecimal(ORANGE) not in fills(single)
    assert bar in texts(several) and fills(several).count(hexadecimal(ORANGE)) == 2  # a bar, and one in the legend
    assert "<s>: marks of the model's own, no words" in texts(single)
    assert "word above an even share; 1: the strongest, 0.70 of the attention" in texts(single)


# ----- Files


def test_files_are_named_by_kind_and_numbered_by_input(tmp_path: Path) -> None:
    from attnkit.explain.maps.write import write_maps

    one, two = AttentionMaps([kind(), kind("cross")]), AttentionMaps([kind("cross")])
    assert [path.name for path in one.save(tmp_path / "it.png")] == ["it-encoder.png", "it-cross.png"]
    assert [path.name for path in two.save(tmp_path / "it.png")] == ["it.png"]
    both = write_maps(tmp_path / "b.svg", [one, two])
    assert [path.name for path in both] == ["b-1-encoder.svg", "b-1-cross.svg", "b-2.svg"]
    assert all(path.is_file() for path in both) and write_maps(tmp_path / "c.png", []) == []


def test_a_real_translator_is_drawn_from_the_command_line(tmp_path: Path) -> None:
    text = "the cat is on the table"
    done = attnkit_run("attention", MODELS / "translate", text, "-o", tmp_path / "it.svg")
    assert done.returncode == 0 and done.stderr.decode().endswith("it-encoder.svg to it-cross.svg\n")
    found = texts(ElementTree.parse(tmp_path / "it-cross.svg").getroot())
    assert found[0] == text and attnkit.load(MODELS / "translate").translate([text])[0].text in found
    done = attnkit_run(
        "translate", MODELS / "translate", "--attention", tmp_path / "a.svg", text=f"{text}\nthe dog  sleeps\n"
    )
    assert done.returncode == 0 and done.stderr.decode().count("attention of 2 lines: ") == 1
    titles = [texts(ElementTree.parse(tmp_path / f"a-{number}.svg").getroot())[0] for number in (1, 2)]
    assert titles == [text, "the dog sleeps"]


def test_a_generated_token_is_the_query_of_its_own_row(tmp_path: Path) -> None:
    model = MODELS / "language-model"
    done = attnkit_run("generate", model, "--prompt", "the cat", "--attention", tmp_path / "a.json")
    assert done.returncode == 0, done.stderr.decode()
    [drawn] = json.loads((tmp_path / "a.json").read_text())["maps"]
    tokens, weights = drawn["target_tokens"], np.array(drawn["weights"])
    assert tokens == drawn["source_tokens"] and tokens[:3] == ["<s>", "the", "cat"]
    # The row of "cat" is what the model sees when it reads that far, whatever comes after.
    generator = attnkit.load(model)
    ids = np.array([BOS, *generator.tokenizer.encode("the cat")], np.int32)
    np.testing.assert_allclose(weights[2, :3], generator.model.attention(ids)[2], atol=1e-5)
    assert weights[0, 0] == 1.0 and drawn["title"].startswith("the cat")


# ----- Real models


@pytest.mark.parametrize(
    ("model", "text", "expected"),
    [
        ("translate-recurrent", "the cat is on the table", {"gates.update": "Update gate, forward and backward"}),
        ("translate-recurrent", "the cat", {"gates.decoder.reset": "Reset gate of the decoder"}),
        ("classify-text", "a good film . it was bad", {"words": "sentence 2", "sentences": "sentence 1"}),
        ("classify-text-transformer", "a good film", {"pooling": "key: text (read) →", "rollout": "query"}),
        ("language-model", "the cat sees", {"decoder": "← query: text (read)"}),
    ],
)
def test_every_kind_of_a_text_model_is_drawn(tmp_path: Path, model: str, text: str, expected: dict[str, str]) -> None:
    maps = attnkit.load(MODELS / model).attention(text)  # type: ignore[union-attr]
    written = dict(zip(maps, maps.save(tmp_path / "a.svg"), strict=True))
    for kind, words in expected.items():
        found = texts(ElementTree.parse(written[kind]).getroot())
        assert found[0] == text and any(words in text for text in found)


@pytest.mark.parametrize("model", ["caption", "classify-images", "classify-images-cnn"])
def test_every_kind_of_an_image_model_is_drawn(tmp_path: Path, model: str) -> None:
    Image.new("RGB", (40, 40), (20, 10, 10)).save(tmp_path / "dark.png")
    maps = attnkit.load(MODELS / model).attention(tmp_path / "dark.png")  # type: ignore[union-attr]
    for path in maps.save(tmp_path / "a.svg"):
        found = texts(ElementTree.parse(path).getroot())
        assert found[0] == maps.output and found[1].startswith("dark.png · ")
    if model == "classify-images":
        region = maps.select("encoder", word="1,2").save(tmp_path / "b.svg")[0]
        assert "what region 1,2 looks at" in texts(ElementTree.parse(region).getroot())[1]
