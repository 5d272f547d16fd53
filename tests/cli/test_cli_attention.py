"""`attnkit attention`, and what other commands take beside `--attention FILE`, as their users run them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import attnkit_run, complaint, on_a_terminal, output
from pictures import gradient

import attnkit

MODELS = Path(__file__).parents[1] / "data" / "formats" / "1" / "models"
TRANSLATOR = MODELS / "translate"
LINE = "the cat is on the table"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    gradient().save(folder / "a.png")
    gradient().transpose(1).save(folder / "b.png")
    return folder


def inputs(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_text("utf-8"))
    assert found["format"] == "attnkit.attention-maps"
    return list(found["inputs"])


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


# ----- In the terminal


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("translate", ["encoder", "decoder", "cross"]),
        ("classify-text", ["words", "sentences"]),
        ("classify-text-transformer", ["encoder", "pooling", "rollout"]),
        ("language-model", ["decoder"]),
    ],
)
def test_a_text_has_a_table_of_kinds_and_the_first_of_them(model: str, kinds: list[str]) -> None:
    shown = output("attention", MODELS / model, LINE).splitlines()
    assert shown[0] == LINE
    table = next(place for place, line in enumerate(shown) if line.startswith("kind "))
    found = [line.split()[0] for line in shown[table + 1 : shown.index("", table)]]
    assert [kind for kind in found if not kind.startswith("gates.")] == kinds
    assert any(line.startswith(f"{found[0]}, layer") for line in shown[table:])
    assert max(map(len, shown)) <= 80
    assert "--kind, --layer, --head and --word choose" in shown[-2]


def test_a_kind_layer_head_and_word_are_shown_alone() -> None:
    shown = output("attention", TRANSLATOR, LINE, "--kind", "encoder", "--head", "2", "--word", "Cat").splitlines()
    assert "encoder, layer 1, head 2: source (read) to source (read)" in shown
    assert [line.split()[0] for line in shown if set(line) & set("░▒▓█")] == ["cat"]
    assert not any(line.startswith("cross") for line in shown)


def test_a_terminal_gets_colours_and_its_width() -> None:
    shown = on_a_terminal("attention", TRANSLATOR, "-", text=f"{LINE}\n\nthe dog\n")
    assert "\x1b[38;5;" in shown
    lines = without_colours(shown).splitlines()
    assert max(map(len, lines)) <= 60
    assert LINE in lines and "the dog" in lines


@pytest.mark.parametrize("model", ["classify-images", "classify-images-cnn", "caption"])
def test_an_image_is_shown_with_its_regions(model: str, pictures: Path) -> None:
    shown = output("attention", MODELS / model, pictures / "a.png").splitlines()
    assert shown[0].endswith("a.png")
    assert max(map(len, shown[1:])) <= 80
    assert any("▓" in line or "█" in line for line in shown)


# ----- Files


def test_all_lines_of_standard_input_are_in_one_file(tmp_path: Path) -> None:
    done = attnkit_run("attention", TRANSLATOR, "-o", tmp_path / "a.json", text=f"{LINE}\n\nthe dog\n")
    assert done.returncode == 0 and b"attention of 2 texts: " in done.stderr and not done.stdout
    first, second = inputs(tmp_path / "a.json")
    assert (first["title"], second["title"]) == (LINE, "the dog")
    expected = attnkit.load(TRANSLATOR).attention("the dog")
    assert [kind["kind"] for kind in second["kinds"]] == list(expected)
    np.testing.assert_allclose(second["kinds"][2]["weights"], expected["cross"].weights, atol=1e-6)


def test_a_list_of_images_is_in_one_file_and_a_bad_one_is_named(pictures: Path, tmp_path: Path) -> None:
    names = f"{pictures / 'a.png'}\n{tmp_path / 'none.png'}\n{pictures / 'b.png'}\n"
    done = attnkit_run("attention", MODELS / "classify-images", "-", "-o", tmp_path / "a.json", text=names)
    assert done.returncode == 1 and b"none.png: No such file" in done.stderr
    assert [Path(each["title"]).name for each in inputs(tmp_path / "a.json")] == ["a.png", "b.png"]


def test_a_target_is_forced(pictures: Path, tmp_path: Path) -> None:
    for model, given, target in ((TRANSLATOR, LINE, "il gatto"), (MODELS / "caption", pictures / "a.png", "all red")):
        output("attention", model, given, "--target", target, "--kind", "cross", "-o", tmp_path / "a.json")
        [found] = inputs(tmp_path / "a.json")
        assert found["output"] == target
        assert [kind["kind"] for kind in found["kinds"]] == ["cross"]
        assert "".join(found["kinds"][0]["queries"]).replace("▁", "") == target.replace(" ", "") + "</s>"


def test_what_cannot_be_shown_is_one_line(pictures: Path, tmp_path: Path) -> None:
    def refused(*arguments: str | Path, text: str = "", status: int = 1) -> str:
        return complaint("attention", *arguments, text=text, status=status)

    assert "expected encoder or decoder or cross, got 'gates'" in refused(TRANSLATOR, LINE, "--kind", "gates")
    assert "a layer from 1 to 1, got 2" in refused(TRANSLATOR, LINE, "--layer", "2")
    assert "a head from 1 to 2, got 3" in refused(TRANSLATOR, LINE, "--head", "3")
    assert "got 'dog'" in refused(TRANSLATOR, LINE, "--word", "dog")
    assert "got 'dog'" in refused(TRANSLATOR, LINE, "--word", "dog", "-o", tmp_path / "a.json")
    assert not (tmp_path / "a.json").exists()
    assert "a line with a word, got an empty one" in refused(TRANSLATOR, "")
    assert "a line with a word, got none" in refused(TRANSLATOR, text="\n\n")
    assert "expected no target" in refused(MODELS / "classify-text", LINE, "--target", "pos")
    assert "No such file" in refused(MODELS / "caption", tmp_path / "none.png")
    assert "--target" in refused(TRANSLATOR, "-", "--target", "x", text=LINE, status=2)
    assert "expected a translator" in refused(MODELS / "language-model", LINE, "--to", "it", status=2)
    assert "a.gif" in refused(TRANSLATOR, LINE, "-o", tmp_path / "a.gif", status=2)


# ----- Beside the work of other commands


def test_every_command_draws_what_is_chosen(pictures: Path, tmp_path: Path) -> None:
    image, drawn = pictures / "a.png", tmp_path / "a.json"
    runs: list[tuple[str, str, list[str | Path], str, str]] = [
        ("translate", "translate", [], f"{LINE}\n\nthe dog\n", "cross"),
        ("classify", "classify-text", [], f"{LINE}\n", "sentences"),
        ("classify", "classify-images", [image], "", "rollout"),
        ("classify", "classify-images-cnn", [image], "", "excitation"),
        ("caption", "caption", [image], "", "gates"),
        ("generate", "language-model", ["--prompt", "the cat"], "", "decoder"),
    ]
    for command, model, given, text, kind in runs:
        plain = output(command, MODELS / model, *given, text=text)
        chosen = ("--attention", drawn, "--kind", kind, "--layer", "1")
        assert output(command, MODELS / model, *given, *chosen, text=text) == plain
        found = inputs(drawn)
        assert len(found) == sum(bool(line) for line in plain.splitlines())
        assert {each["kind"].split(".")[0] for maps in found for each in maps["kinds"]} == {kind}
        os.unlink(drawn)


def test_choices_without_a_file_and_words_that_no_line_has_are_named(tmp_path: Path) -> None:
    chosen = ("--attention", tmp_path / "a.json", "--word")
    assert "--kind: expected --attention FILE" in complaint("translate", TRANSLATOR, "--kind", "cross", status=2)
    output("translate", TRANSLATOR, *chosen, "table", text=f"{LINE}\nthe dog\n")
    assert [each["title"] for each in inputs(tmp_path / "a.json")] == [LINE]
    done = attnkit_run("translate", TRANSLATOR, *chosen, "nowhere", text=LINE)
    assert done.returncode == 1 and b"got 'nowhere'" in done.stderr


def test_the_gate_of_each_word_is_in_json_and_picture(pictures: Path, tmp_path: Path) -> None:
    model, image = MODELS / "caption", pictures / "a.png"
    record = json.loads(output("caption", model, image, "--jsonl"))
    result = attnkit.load(model).caption([image], attention=True)[0]
    assert result.gates is not None
    np.testing.assert_allclose(record["gates"], result.gates, atol=1e-6)
    assert len(record["gates"]) == len(record["tokens"])
    output("caption", model, image, "--attention", tmp_path / "a.json")
    drawn = json.loads((tmp_path / "a.json").read_text("utf-8"))["images"][0]
    assert drawn["tokens"] == record["tokens"] and drawn["gates"] == record["gates"]
    output("caption", model, image, "--attention", tmp_path / "a.html")
    assert f"{result.tokens[0]}({result.gates[0]:.2f})" in (tmp_path / "a.html").read_text("utf-8")
