"""The examples run, and print what they promise."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import mpi
import msgspec
import pytest
from embedding_model import TEXTS, save_embedder

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def run(name: str, *arguments: str | Path) -> str:
    path = os.pathsep.join(folder for folder in sys.path if folder)
    result = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_attention_on_numpy_arrays() -> None:
    output = run("attention_numpy.py")
    rows = [
        list(map(float, line.split()[1:])) for line in output.splitlines() if re.match(r"(the|cat|sees|itself) ", line)
    ]
    assert len(rows) == 8  # four words for each of two heads
    for number, row in enumerate(rows):
        assert abs(sum(row) - 1) <= 0.02 and not any(row[number % 4 + 1 :])
    difference = re.search(r"largest difference from the formula: (\S+)", output)
    assert difference is not None and float(difference[1]) < 1e-6


def test_a_tiny_transformer_learns_its_pairs() -> None:
    output = run("train_tiny.py")
    losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)", output)]
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert "the cat sleeps     → il gatto dorme" in output
    assert output.count("→") == 10 and "expected" not in output


def test_weights_of_an_own_normaliser_are_sparser_than_those_of_a_softmax() -> None:
    soft, sparse = (list(map(float, line.split()[1:])) for line in run("own_attention.py").splitlines())
    assert abs(sum(soft) - 1) <= 0.04 and abs(sum(sparse) - 1) <= 0.04
    assert sparse.count(0.0) > soft.count(0.0)


def test_the_gates_of_a_language_model_of_one_s_own() -> None:
    lines = run("lstm_gates.py").splitlines()
    text = ["the", "dog", "that", "sees", "the", "cats", "sleeps"]
    assert lines[0].startswith("loss ") and lines[1].split() == ["gates.forget", *text]
    rows = [line.split() for line in lines[2:]]
    assert len(rows) == 4 and all(row[0] == "unit" and len(row) == 9 for row in rows)
    assert all(0.0 <= float(number) <= 1.0 for row in rows for number in row[2:])


def test_a_loop_of_one_s_own_by_several_processes() -> None:
    alone = run("train_by_processes.py")
    losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)", alone)]
    assert len(losses) == 5 and losses[-1] < 0.5 * losses[0]
    if mpi.why_not_here() is None:
        words = mpi.mpirun_here(2, [sys.executable, str(EXAMPLES / "train_by_processes.py")])
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
        assert done.stdout == alone


def test_search_by_meaning(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    found = run("semantic_search.py", save_embedder(tmp_path / "model"), tmp_path / "texts.txt", "a bird sings", "2")
    first, second = found.splitlines()
    assert first == "1.000  a bird sings" and float(second.split()[0]) < 1


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.stem)
def test_an_example_configuration_is_a_valid_one(file: Path) -> None:
    from attnkit.training import read_config

    config = read_config(file)
    read = msgspec.json.decode(msgspec.json.encode(config))
    for section in ("model", "pretrained"):
        for key, value in tomllib.loads(file.read_text("utf-8")).get(section, {}).items():
            found = read[section][key]
            assert value.items() <= found.items() if isinstance(value, dict) else found == value


GUIDES = sorted((EXAMPLES.parent / "docs").glob("*.md"))


@pytest.mark.parametrize("guide", GUIDES, ids=lambda file: file.stem)
def test_a_configuration_in_a_guide_is_a_valid_one(guide: Path, tmp_path: Path) -> None:
    from attnkit.training import read_config

    # An indented block that begins with the task, up to the next line of prose.
    for block in re.findall(r"^    task = .*\n(?:(?:    .*)?\n)*", guide.read_text("utf-8"), re.MULTILINE):
        file = tmp_path / "guide.toml"
        file.write_text(textwrap.dedent(block))
        assert read_config(file).training.max_steps or read_config(file).training.max_epochs


@pytest.mark.parametrize("name", sorted(file.name for file in EXAMPLES.glob("*.py")))
def test_every_example_is_tested(name: str) -> None:
    assert f'run("{name}"' in Path(__file__).read_text("utf-8")
