"""`attnkit bench translate --model`: a model directory of the user's, and Bergamot's engine beside it.

Bergamot needs a Python 3.10 of its own; here a small module stands in for its compiled one, under this Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import attnkit_run, complaint
from untrained_model import ENGLISH, write_untrained_model

import attnkit
from attnkit.benchmark.peers import bergamot_worker, translate_peers
from attnkit.benchmark.peers.translate_peers import Bergamot, CTranslate2, Setting, find_peers, not_carried
from attnkit.benchmark.runner import measure
from attnkit.benchmark.sentences import lines_for_model, lines_of_file
from attnkit.benchmark.translate import Work, own_beam
from attnkit.models import TransformerConfig, build_model
from attnkit.tasks.shared.directory import save_directory
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.pair import TokenizerPair

CONFIG = """relative-paths: true
models:
  - model.bin
vocabs:
  - vocab.spm
  - "vocab.spm"
shortlist:
    - lex.bin
    - false
beam-size: 1
workspace: 2000
gemm-precision: int8shiftAlphaAll
"""

# What Bergamot's module has of the names that the worker uses. It notes each call in a file.
FAKE = """
import json, os
class _Note:
    def __init__(self, **given):
        self.given = given
ServiceConfig = ResponseOptions = _Note
VectorString = list
def _write(*what):
    with open(os.environ["FAKE_NOTES"], "a") as file:
        file.write(json.dumps(what) + "\\n")
class _Text:
    text = "texto"
class _Response:
    target = _Text
class Service:
    def __init__(self, config):
        self.workers = config.given["numWorkers"]
    def modelFromConfig(self, text):
        _write("model", self.workers, text)
        return "model"
    def translate(self, model, lines, options):
        assert model == "model" and not options.given["alignment"]
        _write("translate", self.workers, lines)
        return [_Response] * len(lines)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_untrained_model(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def bergamot_model(tmp_path: Path) -> Path:
    folder = tmp_path / "student of mine"
    folder.mkdir()
    (folder / "config.intgemm8bitalpha.yml").write_text(CONFIG, "utf-8")
    for name in ("model.bin", "vocab.spm", "lex.bin"):
        (folder / name).touch()
    return folder


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-in for Bergamot notes what it was asked. Its package must not be imported."""
    package = tmp_path / "site" / "bergamot"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('the package would ask the network')", "utf-8")
    (package / "_bergamot.py").write_text(FAKE, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(package.parent), prepend=os.pathsep)
    monkeypatch.setenv("FAKE_NOTES", str(tmp_path / "notes"))
    return tmp_path / "notes"


def calls(notes: Path) -> list[list[Any]]:
    return [json.loads(line) for line in notes.read_text("utf-8").splitlines()]


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    return attnkit_run("bench", "translate", "--runs", "1", "--threads", "1", "--precision", "fp32", *arguments)


def test_a_model_of_ones_own_is_timed_on_ones_own_text(model: Path, tmp_path: Path) -> None:
    text, record = tmp_path / "text", tmp_path / "runs.json"
    text.write_text("the cat sees a dog\n\nthe house\nthe table is red\n", "utf-8")
    done = bench("--model", model, "--input", text, "--json", record)
    assert done.returncode == 0, done.stderr.decode()
    shown = done.stdout.decode()
    assert "words/s" in shown and "beam 5, 3 lines of 11 words" in shown and "attnkit fp32" in shown
    found = json.loads(record.read_text("utf-8"))
    assert (found["model"], found["input"], found["sentences"], found["words"]) == (str(model), str(text), 3, 11)
    assert found["unit"] == "words" and "length" not in found
    (run,) = found["runs"]
    assert (run["beam"], run["units"], len(run["latencies"])) == (5, 11, 3) and run["peak_bytes"] > 1e7


def test_only_the_first_lines_where_asked_and_with_another_beam(model: Path, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("the cat sees a dog\nthe house\nthe table is red\n", "utf-8")
    done = bench("--model", model, "--input", text, "--sentences", "2", "--beam", "2")
    assert done.returncode == 0 and "beam 2, 2 lines of 7 words" in done.stdout.decode(), done.stderr.decode()


def test_without_text_it_reads_words_of_its_own(model: Path) -> None:
    lines = lines_for_model(model, 20)
    assert len(lines) == 20 and set(" ".join(lines).split()) <= set(ENGLISH)
    translator = attnkit.load(model, task="translate")
    assert not any(result.unknown for result in translator.translate(lines))
    done = bench("--model", model, "--sentences", "2")
    assert done.returncode == 0 and "2 lines of" in done.stdout.decode(), done.stderr.decode()


def test_the_beam_is_that_of_the_directory(model: Path) -> None:
    assert own_beam(model) == 5
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"decoding": {"beam": 1}}), "utf-8")
    assert own_beam(model) == 1


def test_what_cannot_be_measured_is_one_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "blank").write_text("\n \n", "utf-8")
    (tmp_path / "none").mkdir()
    assert "expected text, got none" in complaint("bench", "translate", "--model", model, "--input", tmp_path / "blank")
    assert "config.json" in complaint("bench", "translate", "--model", tmp_path / "none")
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps(config | {"task": "language-model"}), "utf-8")
    assert "expected a model that translates" in complaint("bench", "translate", "--model", model)


def test_a_model_of_several_languages_is_told_which(tmp_path: Path) -> None:
    sources = [f"{tag} {' '.join(ENGLISH)}" for tag in (">>de<<", ">>fr<<")]
    tokenizers = TokenizerPair.train(sources, sources, TokenizerConfig(kind="word"), languages=["de", "fr"])
    config = TransformerConfig(d_model=16, ffn=32, heads=2, encoder_layers=1, decoder_layers=1)
    network = build_model(config, tokenizers.source.vocab_size, tokenizers.target.vocab_size)
    save_directory(network, tmp_path, "translate", tokenizers=tokenizers)
    assert all(line.startswith(">>de<< ") for line in lines_for_model(tmp_path, 3))
    text = tmp_path / "text"
    text.write_text(">>fr<< the cat\n", "utf-8")
    assert lines_of_file(str(text), tmp_path, None) == [">>fr<< the cat"]
    text.write_text(">>fr<< the cat\nthe dog\n", "utf-8")
    with pytest.raises(ValueError, match="expected a tag such as >>de<< before 'the dog'"):
        lines_of_file(str(text), tmp_path, None)


def test_units_and_batches() -> None:
    forced, free = Work(["a b c", "d"], 7, 2, 1), Work(["a b c", "d"], None, None, 1)
    assert (forced.units(), forced.batch_tokens()) == (14, 6)
    assert (free.units(), free.batch_tokens()) == (4, 1024)


# ----- CTranslate2


def test_ctranslate2_is_given_what_it_computes_alike() -> None:
    given = TransformerConfig(activation="silu", output_bias=True, positions="sinusoidal-halves", norm="post")
    assert not_carried(given) is None
    assert not_carried(TransformerConfig(norm="pre")) == 'norm = "pre"'
    assert not_carried(TransformerConfig(activation="gelu")) == 'activation = "gelu"'
    assert not_carried(TransformerConfig(tie_embeddings="none")) == 'tie_embeddings = "none"'


def test_a_model_that_ctranslate2_cannot_read_is_measured_without(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate_peers, "find_spec", lambda name: object())
    problems: list[str] = []
    assert not find_peers(("ctranslate2",), model, note=problems.append)
    assert problems == ['CTranslate2 goes without: it is given no model with tie_embeddings = "none"']
    assert find_peers(("ctranslate2",)) == [CTranslate2()]


def test_ctranslate2_translates_a_model_of_ones_own(tmp_path: Path) -> None:
    """Trained on nothing, but with a vocabulary, a start and an activation that are not those of the bench."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    from attnkit.benchmark.translate import Size, write_model

    config = TransformerConfig(
        d_model=64, ffn=96, heads=4, encoder_layers=2, decoder_layers=1, activation="relu", bos_id=0
    )
    write_model(tmp_path / "model", Size(config, 50))
    command = [sys.executable, "-m", "attnkit.benchmark.peers.ct2_model", str(tmp_path / "model"), str(tmp_path)]
    subprocess.run([*command, "float32"], check=True)
    lines = lines_for_model(tmp_path / "model", 4)
    ours = attnkit.load(tmp_path / "model").translate(lines, beam=1, min_length=9, max_length=9)
    translator = ctranslate2.Translator(str(tmp_path / "float32"), compute_type="float32", intra_threads=1)
    theirs = translator.translate_batch(
        [[*line.split(), "</s>"] for line in lines],
        beam_size=1,
        min_decoding_length=9,
        max_decoding_length=9,
        suppress_sequences=[["<pad>"], ["<unk>"], ["<s>"]],
    )
    assert [result.tokens for result in ours] == [result.hypotheses[0] for result in theirs]
    done = bench("--model", tmp_path / "model", "--sentences", "2", "--against", "ctranslate2")
    assert done.returncode == 0 and "ctranslate2 int8 1x1" in done.stdout.decode(), done.stderr.decode()


# ----- Bergamot


def test_bergamot_runs_beside_us_in_a_python_of_its_own(
    model: Path, bergamot_model: Path, notes: Path, tmp_path: Path
) -> None:
    record = tmp_path / "runs.json"
    peer = ("--against", "bergamot", "--bergamot-model", bergamot_model, "--bergamot-python", sys.executable)
    done = bench("--model", model, "--sentences", "3", *peer, "--beam", "1", "--json", record)
    assert done.returncode == 0, done.stderr.decode()
    assert "bergamot 1 worker" in done.stdout.decode() and "× words/s" in done.stdout.decode()
    ours, theirs = json.loads(record.read_text("utf-8"))["runs"]
    assert ours["units"] == theirs["units"] and len(theirs["latencies"]) == 3 and theirs["peak_bytes"] > 1e6
    assert min(theirs["cold_seconds"]) > min(theirs["load_seconds"]) > 0
    lines = lines_for_model(model, 3)
    served = [call for call in calls(notes) if call[0] == "translate"]
    once, every_run = [lines[:1]], [lines, *([line] for line in lines)]
    assert [asked for _, _, asked in served] == [*once, *every_run, *every_run]  # a cold start, and two runs


def test_bergamot_has_a_worker_a_thread_and_runs_in_turn(bergamot_model: Path, notes: Path, tmp_path: Path) -> None:
    (tmp_path / "work.json").write_text(json.dumps(Work(["a", "b"], None, None, 1).__dict__), "utf-8")
    peer, setting = Bergamot(bergamot_model, sys.executable), Setting(tmp_path, tmp_path, 1024, ("fp32",), 2)
    contestants = peer.contestants(setting)
    assert [each.name for each in contestants] == ["bergamot 2 workers", "bergamot 1 worker"]
    from attnkit.benchmark.runner import in_turn, started

    with started(contestants) as processes:
        assert all(process.ready["load_seconds"] > 0 for process in processes)
        answers = in_turn(processes, runs=2, warmup=0)
    assert [len(each) for each in answers] == [2, 2] and all(each[0]["seconds"] > 0 for each in answers)
    turns = [workers for what, workers, asked in calls(notes) if what == "translate" and asked == ["a", "b"]]
    assert turns == [2, 1, 2, 1]


def test_bergamots_configuration_is_made_as_fast_as_it_can_be(bergamot_model: Path) -> None:
    lines = bergamot_worker.configuration(bergamot_model, 1, 1024).splitlines()
    assert f'  - "{bergamot_model}/model.bin"' in lines and f'    - "{bergamot_model}/lex.bin"' in lines
    assert lines.count(f'  - "{bergamot_model}/vocab.spm"') == 2 and "    - false" in lines
    keys = [line.partition(":")[0] for line in lines if not line.startswith(" ")]
    assert len(keys) == len(set(keys)), "a key twice"
    assert {"relative-paths: false", "skip-cost: true", "mini-batch-words: 1024", "beam-size: 1"} <= set(lines)
    assert "gemm-precision: int8shiftAlphaAll" in lines and "workspace: 2000" not in lines
    wide = bergamot_worker.configuration(bergamot_model, 4, 1024).splitlines()
    assert {"beam-size: 4", "skip-cost: false"} <= set(wide)


def test_a_missing_python_or_wheel_is_a_line_with_its_command(
    bergamot_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def problem(python: str | None = None) -> str:
        told: list[str] = []
        assert not find_peers(("bergamot",), tmp_path, bergamot_model, python, told.append)
        (line,) = told
        assert "\n" not in line
        return line

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ATTNKIT_BERGAMOT_PYTHON", raising=False)
    assert "--no-deps bergamot==0.4.5" in problem() and "no python3.10" in problem()
    assert f"{sys.executable} -m pip install --no-deps bergamot==0.4.5" in problem(sys.executable)
    monkeypatch.setenv("ATTNKIT_BERGAMOT_PYTHON", str(tmp_path / "python"))
    assert "does not run" in problem()


def test_the_python_of_the_environment_is_taken(
    bergamot_model: Path, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTNKIT_BERGAMOT_PYTHON", sys.executable)
    assert find_peers(("bergamot",), None, bergamot_model) == [Bergamot(bergamot_model, sys.executable)]


def test_a_folder_that_is_not_bergamots_is_named(model: Path, tmp_path: Path) -> None:
    arguments = ("--model", model, "--against", "bergamot", "--bergamot-model", tmp_path)
    assert "expected config*.yml" in complaint("bench", "translate", *arguments)


def test_the_worker_needs_nothing_but_the_standard_library(bergamot_model: Path, notes: Path) -> None:
    script = f"""
import runpy, sys
sys.argv = [{bergamot_worker.__file__!r}, "check"]
runpy.run_path(sys.argv[0], run_name="__main__")
foreign = [name for name in sys.modules if name.partition(".")[0] in ("attnkit", "numpy", "msgspec", "bergamot")]
assert not foreign, foreign
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_worker_that_cannot_read_its_folder_is_named(tmp_path: Path, notes: Path) -> None:
    (tmp_path / "work.json").write_text(json.dumps(Work(["a"], None, None, 1).__dict__), "utf-8")
    setting = Setting(tmp_path, tmp_path, 1024, ("fp32",), 1)
    with pytest.raises(RuntimeError, match="the process of bergamot 1 worker ended with status 1"):
        measure(Bergamot(tmp_path, sys.executable).contestants(setting), runs=1)
