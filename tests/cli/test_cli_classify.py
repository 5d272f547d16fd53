"""`attnkit classify` and `attnkit generate` as their users run them: in a process of their own."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from command_line import attnkit_run, complaint, on_a_terminal, output
from text_runs import LINES, classify_toml, language_model_toml
from untrained_model import write_untrained_model

import attnkit
from attnkit.training import read_config, train

TEXTS = ["the film was good.", "", "dull film. a plot", "   ", "very fine"]
TEXT = "".join(f"{line}\n" for line in TEXTS)
LONGER = ("training.max_steps=150", "training.validate_every=75", "training.learning_rate=0.01")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classify")
    train(read_config(classify_toml(folder, count=300), LONGER), folder / "model", progress="none")
    return folder / "model"


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    train(read_config(language_model_toml(folder), LONGER), folder / "model", progress="none")
    return folder / "model"


# ----- attnkit train, then classify


def test_trained_and_used_by_commands_alone(tmp_path: Path) -> None:
    toml = classify_toml(tmp_path, count=300)
    settings = [part for key in LONGER for part in ("--set", key)]
    done = attnkit_run("train", toml, "--out", tmp_path / "model", *settings)
    assert done.returncode == 0 and done.stdout.decode() == f"{tmp_path / 'model'}\n", done.stderr.decode()
    log = done.stderr.decode()
    assert "documents/s" in log and "accuracy" in log and "test_macro_f1 100.00" in log
    labels = [line.partition("\t")[0] for line in output("classify", tmp_path / "model", text=TEXT).split("\n")]
    assert labels == ["pos", "", "neg", "", "pos", ""]


# ----- Input and output


def test_a_line_for_each_text_of_files_and_stdin(classifier: Path, tmp_path: Path) -> None:
    expected = [
        f"{result.label}\t{result.probability:.4f}" if result.label else ""
        for result in attnkit.load(classifier).classify(TEXTS)
    ]
    (tmp_path / "text").write_text(TEXT)
    (tmp_path / "text.gz").write_bytes(gzip.compress(TEXT.encode()))
    assert output("classify", classifier, text=TEXT).split("\n") == [*expected, ""]
    files = [tmp_path / "text", "-", tmp_path / "text.gz"]
    assert output("classify", classifier, *files, text=TEXT).split("\n") == [*expected * 3, ""]
    assert output("classify", classifier) == ""
    two = output("classify", classifier, "-k", "2", tmp_path / "text").splitlines()
    assert [line.split("\t")[:2] for line in two if line] == [line.split("\t") for line in expected if line]
    assert {line.count("\t") for line in two if line} == {3}


def test_an_output_file_is_written_whole_or_not_at_all(classifier: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert on_a_terminal("classify", classifier, "-o", target, text=TEXT) == ""
    assert target.read_text() == output("classify", classifier, text=TEXT)
    assert (
        output("classify", classifier, "-o", target, "--highlight", text=TEXT) == "" and "[good]" in target.read_text()
    )
    before = target.read_bytes()
    complaint("classify", classifier, "-o", target, "--window", "1", text=b"good\n\xff\n")
    assert target.read_bytes() == before


def test_a_line_end_in_a_label_does_not_end_a_line(classifier: Path, tmp_path: Path) -> None:
    shutil.copytree(classifier, tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "labels": ["n\neg", "p\r\nos"]}))
    assert output("classify", tmp_path / "model", text="good\n").startswith("p os\t")
    assert json.loads(output("classify", tmp_path / "model", "--jsonl", text="good\n"))["label"] == "p\r\nos"


def test_json_lines_in_and_out(classifier: Path, tmp_path: Path) -> None:
    lines = "".join(json.dumps({"review": text, "stars": 3}) + "\n" for text in ["the film\nwas good.", "zzz"])
    records = [
        json.loads(line)
        for line in output(
            "classify", classifier, "--jsonl", "--text-key", "review", "--top", "9", text=lines
        ).splitlines()
    ]
    assert records[0]["text"] == "the film\nwas good." and records[0]["label"] == "pos"
    assert [entry["label"] for entry in records[0]["top"]] == ["pos", "neg"]
    assert records[0]["probability"] == records[0]["top"][0]["probability"]
    assert records[1]["unknown"] == ["zzz"] and records[1]["truncated"] is False


def test_what_decided_is_drawn(classifier: Path, tmp_path: Path) -> None:
    plain = output("classify", classifier, text=TEXT)
    for suffix, names in ((".html", ["a.html"]), (".json", ["a.json"]), (".png", ["a-1.png", "a-2.png", "a-3.png"])):
        folder = tmp_path / suffix
        folder.mkdir()
        done = attnkit_run("classify", classifier, "--attention", folder / f"a{suffix}", text=TEXT)
        assert done.returncode == 0 and done.stdout.decode() == plain
        assert sorted(path.name for path in folder.iterdir()) == names
        assert done.stderr.decode().count("attention of 3 texts: ") == 1
    written = json.loads((tmp_path / ".json" / "a.json").read_text())
    assert [document["title"] for document in written["documents"]] == [
        "1: the film was good.",
        "3: dull film. a plot",
        "5: very fine",
    ]


def test_highlights_stand_beneath_the_class(classifier: Path) -> None:
    plain = output("classify", classifier, text=TEXT)
    piped = output("classify", classifier, "--highlight", text=TEXT)
    assert [line for line in piped.splitlines() if line in plain.splitlines() and line] == [
        line for line in plain.splitlines() if line
    ]
    assert "[good]" in piped and "[dull]" in piped and "\x1b" not in piped
    shown = on_a_terminal("classify", classifier, text=TEXT)
    assert "\x1b[48;5;" in shown and "good" in shown
    assert on_a_terminal("classify", classifier, "--no-highlight", text=TEXT) == plain
    assert "\x1b" not in on_a_terminal("classify", classifier, "--jsonl", text=TEXT)


def test_a_text_that_is_cut_is_told(tmp_path: Path) -> None:
    toml = classify_toml(tmp_path)
    short = ["training.max_steps=1", "model.max_length=4"]
    train(read_config(toml, short), tmp_path / "model", progress="none")
    done = attnkit_run("classify", tmp_path / "model", text="the film was a very good film\nfilm\n")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2
    assert done.stderr.decode() == "attnkit: 1 text is longer than the model reads; it saw the beginning\n"


# ----- generate


def test_generating_from_prompts(writer: Path, tmp_path: Path) -> None:
    assert output("generate", writer, "--prompt", "the cat", "--prompt", "a") == f"{LINES[0]}\n{LINES[2]}\n"
    (tmp_path / "prompts").write_text("the dog\nthe bird\n")
    assert output("generate", writer, "-i", tmp_path / "prompts").splitlines() == [LINES[1], LINES[3]]
    assert output("generate", writer, "-i", "-", text="the dog\n\n").splitlines()[0] == LINES[1]
    assert output("generate", writer).strip() in LINES
    target = tmp_path / "out"
    assert output("generate", writer, "--prompt", "a", "-o", target) == "" and target.read_text() == f"{LINES[2]}\n"


def test_searches_and_json(writer: Path) -> None:
    short = ("--max-length", "3", "--beam", "1")
    record = json.loads(output("generate", writer, "--prompt", "the cat", "--jsonl", *short))
    assert record["prompt"] == "the cat" and record["text"] == "the cat sees" and record["truncated"] is True
    assert record["tokens"] == ["the", "cat", "sees"]
    two = output("generate", writer, "--prompt", "the", "--nbest", "2").splitlines()
    assert [line.split("\t")[0] for line in two] == ["1", "1"] and two[0] != two[1]
    prompts = [part for _ in range(6) for part in ("--prompt", "")]
    samples = output("generate", writer, *prompts, "--sample", "--temperature", "3", "--seed", "1").splitlines()
    assert len(samples) == 6 and len(set(samples)) > 1


def test_its_attention_is_drawn(writer: Path, tmp_path: Path) -> None:
    done = attnkit_run("generate", writer, "--prompt", "a", "--attention", tmp_path / "a.json")
    assert done.returncode == 0 and done.stdout.decode() == f"{LINES[2]}\n"
    (drawn,) = json.loads((tmp_path / "a.json").read_text())["maps"]
    # Rows are what looks, so that a token stands beside what it looked at, and not beside what the next one did.
    assert drawn["source_tokens"] == drawn["target_tokens"] == ["<s>", "a", "bird"]


# ----- What goes wrong


def test_failures_are_one_line(classifier: Path, writer: Path, tmp_path: Path) -> None:
    translator = tmp_path / "translator"
    write_untrained_model(translator)
    assert "expected a model of the task 'classify', got one of 'language-model'" in complaint("classify", writer)
    assert "got one of 'classify', which attnkit classify runs" in complaint("generate", classifier)
    assert "got one of 'classify', which attnkit classify runs" in complaint("translate", classifier)
    assert "No such file" in complaint("classify", classifier, tmp_path / "nowhere")
    assert "line 2: expected UTF-8" in complaint("classify", classifier, text=b"a\n\xff\n")
    assert "expected a JSON object" in complaint("classify", classifier, "--text-key", "text", text="plain\n")
    assert "expected a prompt of at most 23 tokens" in complaint("generate", writer, "--prompt", "the " * 40)


def test_bad_usage_is_refused(classifier: Path, writer: Path) -> None:
    assert "expected a file ending in .html, .png, .svg or .json" in complaint(
        "classify", classifier, "--attention", "x.txt", status=2
    )
    assert "0 is not in the range" in complaint("classify", classifier, "-k", "0", status=2)
    assert "expected --prompt or --input, got both" in complaint(
        "generate", writer, "--prompt", "a", "-i", "-", status=2
    )
    assert "max_length <= 23" in complaint("generate", writer, "--max-length", "900", status=2)
    assert "expected nbest <= beam" in complaint("generate", writer, "--beam", "2", "--nbest", "3", status=2)
