"""`attnkit inspect`: what it says of a model directory, to people and to programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit import _core
from attnkit.weights import load_weights, save_weights

MODELS = Path(__file__).parent.parent / "data" / "formats" / "1" / "models"
NAMES = sorted(path.name for path in MODELS.iterdir())


def inspect(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attnkit.cli.main", "inspect", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)


def found(folder: Path) -> Any:
    done = inspect(folder, "--json")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_sizes_are_those_of_the_model(name: str) -> None:
    said = found(MODELS / name)
    config = json.loads((MODELS / name / "config.json").read_text("utf-8"))
    model = attnkit.load(MODELS / name).model
    shapes = [parameter.size for parameter in model.parameters()]
    assert said["parameters"] == sum(shapes) == sum(part["parameters"] for part in said["parts"])
    assert sum(part["tensors"] for part in said["parts"]) == len(shapes)
    assert sum(part["share"] for part in said["parts"]) == pytest.approx(1.0)
    assert said["types"] == {"float32": sum(shapes)}
    assert said["task"] == config["task"] and said["reads"] == config.get("reads", "text")
    assert said["model"] == config["model"] and said["type"] == config["model"]["type"]
    assert all(config[size] == value for size, value in said["sizes"].items()) and said["sizes"]
    assert said["labels"] == config.get("labels") and said["image"] == config.get("image")
    assert said["decoding"] == config.get("decoding")
    assert said["bytes"] == sum(file.stat().st_size for file in (MODELS / name).iterdir() if file.is_file())
    assert said["weights_bytes"] == (MODELS / name / "model.safetensors").stat().st_size


def test_modules_are_shown_two_levels_deep_with_each_layer() -> None:
    parts = {part["name"]: part for part in found(MODELS / "marian")["parts"]}
    assert list(parts) == [
        "tied_output_bias", "source_embedding", "encoder.layers.0", "encoder.layers.1", "decoder.layers.0",
        "decoder.layers.1",
    ]  # fmt: skip
    assert parts["source_embedding"]["shape"] == [160, 16] and parts["encoder.layers.1"]["shape"] is None
    stages = [part["name"] for part in found(MODELS / "caption")["parts"]]
    assert stages[:4] == ["encoder.stem.0", "encoder.stem.1", "encoder.stages.0.0", "projection"]


def test_tokenizers_languages_and_training() -> None:
    said = found(MODELS / "translate-languages")
    assert said["tokenizer"] == {
        "kind": "wordpunct", "source": 30, "target": 30, "joint": True, "lowercase": False, "languages": ["en", "it"],
    }  # fmt: skip
    assert said["training"]["max_steps"] == 120 and said["shortlist"] is False
    assert found(MODELS / "translate")["shortlist"] is True
    assert found(MODELS / "classify-images")["tokenizer"] is None and found(MODELS / "marian")["training"] is None


def test_people_get_a_table() -> None:
    done = inspect(MODELS / "translate-languages")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["task", "translate,", "reads", "text"] in lines
    assert ["languages", "en,", "it"] in lines and ["shortlist", "none"] in lines
    assert ["tokenizer", "joint", "wordpunct,", "30", "entries"] in lines
    assert ["types", "float32", "1,776"] in lines
    assert ["module", "shape", "parameters", "share"] in lines
    assert ["source_embedding", "30", "×", "8", "240", "13.5%"] in lines
    assert ["encoder.layers.0", "12", "tensors", "600", "33.8%"] in lines
    assert lines[-1] == ["total", "1,776", "100.0%"]


def test_weights_of_other_types_are_counted_by_type(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS / "translate", tmp_path / "model"))
    before = found(folder)
    state: dict[str, Any] = dict(load_weights(folder / "model.safetensors"))
    first, second = (name for name in state if name.endswith(("query.weight", "up.weight")) and "decoder" in name)
    rows, columns = state[first].shape
    state[first] = _core.from_int8(np.ones((rows, columns), np.int8), np.ones(rows, np.float32), 2.0)
    state[second] = attnkit.tensor(state[second], dtype="bfloat16")
    save_weights(state, folder / "model.safetensors")
    said, of_int8, of_bfloat16 = found(folder), rows * columns, state[second].size
    of_float32 = said["parameters"] - of_int8 - of_bfloat16
    assert said["types"] == {"float32": of_float32, "bfloat16": of_bfloat16, "int8": of_int8}
    assert list(said["types"].values()) == sorted(said["types"].values(), reverse=True)
    assert (said["parameters"], said["parts"]) == (before["parameters"], before["parts"])  # multipliers are none
    assert said["weights_bytes"] == (folder / "model.safetensors").stat().st_size
    lines = [line.split() for line in inspect(folder).stdout.splitlines()]
    types = ["types", "float32", f"{of_float32:,},", "bfloat16", f"{of_bfloat16:,},", "int8", f"{of_int8:,}"]
    assert types in lines


def test_multipliers_that_are_none_are_one_line(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS / "translate", tmp_path / "model"))
    state: dict[str, Any] = dict(load_weights(folder / "model.safetensors"))
    name = next(name for name in state if name.endswith("query.weight"))
    state |= {name: state[name].astype(np.int8), name + ".multipliers": np.zeros(len(state[name]), np.float32)}
    save_weights(state, folder / "model.safetensors")
    done = inspect(folder)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.count("\n") == 1
    assert f"model.safetensors: does not fit config.json: {name}: [int8] expected positive multipliers" in done.stderr


def test_a_training_that_cannot_be_read_does_not_hide_the_model(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS / "translate", tmp_path / "model"))
    (folder / "training.toml").write_text("task = 3")
    assert "training.toml: task: invalid value 3" in found(folder)["training"]["error"]
    assert "invalid value 3" in " ".join(inspect(folder).stdout.split())


@pytest.mark.parametrize(
    ("file", "content"),
    [("config.json", b"{"), ("config.json", b'{"format": 1, "task": "sing"}'), ("model.safetensors", b"no"),
     ("tokenizer.spm", b"no")],
)  # fmt: skip
def test_a_broken_directory_is_one_line(file: str, content: bytes, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MODELS / "translate", tmp_path / "model"))
    (folder / file).write_bytes(content)
    done = inspect(folder)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("attnkit: ") and done.stderr.count("\n") == 1 and file in done.stderr


def test_no_directory_is_one_line(tmp_path: Path) -> None:
    done = inspect(tmp_path / "nothing")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "no such directory" in done.stderr
