"""`attnkit translate MODEL --then MODEL`, and `attnkit evaluate` so: two models as one, from the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command_line import attnkit_run, command, complaint, output
from untrained_model import FRENCH, ITALIAN, write_untrained_model

import attnkit
from attnkit.tasks.translate import shortlist_source

LINES = ["the cat is on the table", "", "a red house", "the gnu sees a cat", "table"]
TEXT = "".join(f"{line}\n" for line in LINES)
CAPTIONER = Path(__file__).parents[1] / "data" / "formats" / "1" / "models" / "caption"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    path = tmp_path_factory.mktemp("models")
    write_untrained_model(path / "en-it")
    write_untrained_model(path / "it-fr", ITALIAN, FRENCH, seed=2)
    return str(path / "en-it"), str(path / "it-fr")


def test_it_writes_what_two_commands_write(models: tuple[str, str]) -> None:
    middle = output("translate", models[0], text=TEXT)
    expected = output("translate", models[1], text=middle)
    for more in ((), ("--window", "1"), ("--threads", "1"), ("--batch-tokens", "1")):
        assert output("translate", models[0], "--then", models[1], *more, text=TEXT) == expected
    done = attnkit_run("translate", models[0], "--then", models[1], text=TEXT)
    assert b"1 word is unknown to the model: gnu" in done.stderr


def test_a_line_is_answered_at_once(models: tuple[str, str]) -> None:
    arguments = command("translate", models[0], "--then", models[1])
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        for line in LINES[:3]:
            process.stdin.write(f"{line}\n".encode())
            process.stdin.flush()
            assert bool(process.stdout.readline().strip()) == bool(line)
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_json_lines_say_what_stood_between(models: tuple[str, str], tmp_path: Path) -> None:
    pair = (models[0], "--then", models[1])
    records = [json.loads(x) for x in output("translate", *pair, "--jsonl", "--nbest", "2", text=TEXT).splitlines()]
    middle = [json.loads(line) for line in output("translate", models[0], "--jsonl", text=TEXT).splitlines()]
    for record, between in zip(records, middle, strict=True):
        assert record["through"] == {name: between[name] for name in ("text", "score", "tokens", "truncated")}
        assert record["score"] == sum(record["scores"]) and record["scores"][0] == between["score"]
        for other in record.get("alternatives", ()):
            assert set(other) == {"text", "score", "scores", "tokens", "truncated"}
    linked = output("translate", *pair, "--jsonl", "--alignments", tmp_path / "links", text="the cat\n")
    record = json.loads(linked)
    assert record["alignment"] and record["through"]["alignment"]
    assert "through" not in json.loads(output("translate", models[0], "--jsonl", text="the cat\n"))


def test_alignments_and_pictures_are_of_the_line_and_the_last_translation(
    models: tuple[str, str], tmp_path: Path
) -> None:
    pair, links, drawn = (models[0], "--then", models[1]), tmp_path / "links", tmp_path / "map.json"
    plain = output("translate", *pair, text=TEXT)
    assert output("translate", *pair, "--alignments", links, "--attention", drawn, text=TEXT) == plain
    results = attnkit.load(models[0], then=models[1]).translate(LINES, attention=True)
    assert links.read_text().splitlines() == [" ".join(f"{i}-{j}" for i, j in result.alignment) for result in results]
    maps = json.loads(drawn.read_text())["maps"]
    assert [each["title"] for each in maps] == [" ".join(line.split()) for line in TEXT.splitlines() if line.strip()]
    assert maps[0]["source_tokens"] == [*LINES[0].split(), "</s>"]
    assert " ".join(maps[0]["target_tokens"]) == plain.splitlines()[0]


def test_evaluate(models: tuple[str, str], tmp_path: Path) -> None:
    source, reference = tmp_path / "source", tmp_path / "reference"
    source.write_text(TEXT)
    reference.write_text(output("translate", models[0], "--then", models[1], text=TEXT))
    pytest.importorskip("sacrebleu")
    report = json.loads(
        output("evaluate", models[0], "--then", models[1], "--source", source, "--reference", reference, "--json")
    )
    assert report["chrf"]["score"] == pytest.approx(100) and report["sentences"] == len(LINES)


def test_shortlists(models: tuple[str, str], tmp_path: Path) -> None:
    for model, words in zip(models, (ITALIAN, FRENCH), strict=True):
        copy = tmp_path / Path(model).name
        copy.mkdir()
        for file in Path(model).iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        found = shortlist_source.build(attnkit.load(copy, task="translate"), ["the"], [" ".join(words[:2])])
        found.save(copy / shortlist_source.FILE)
    first, second = tmp_path / "en-it", tmp_path / "it-fr"
    plain = output("translate", *models[:1], "--then", models[1], text=TEXT)
    assert output("translate", first, "--then", second, "--shortlist", "none", text=TEXT) == plain
    middle = output("translate", first, "--shortlist", "auto", text=TEXT)
    expected = output("translate", second, "--shortlist", "auto", text=middle)
    assert output("translate", first, "--then", second, "--shortlist", "auto", text=TEXT) == expected != plain
    file = str(first / shortlist_source.FILE)
    message = complaint("translate", first, "--then", second, "--shortlist", file, text=TEXT, status=2)
    assert "expected each of two models with its own shortlist or none, got one for both" in message


def test_failures(models: tuple[str, str], tmp_path: Path) -> None:
    assert "nowhere" in complaint("translate", models[0], "--then", tmp_path / "nowhere", text=TEXT)
    message = complaint("translate", models[0], "--then", CAPTIONER, text=TEXT)
    assert "caption: expected a model of the task 'translate' for the second of two, got one of 'caption'" in message
    for more, expected in (
        (("--to", "de"), "got 'de' in the second model"),
        (("--nbest", "6"), "got nbest 6 and beam 5 in the second model"),
        (("--max-length", "5000"), "in the second model"),
    ):
        assert expected in complaint("translate", models[0], "--then", models[1], *more, text=TEXT, status=2)
    assert "standard input, line 2" in complaint("translate", models[0], "--then", models[1], text=b"the\n\xff\n")
