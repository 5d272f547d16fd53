"""`--device`: each command that runs a model takes it, and what it writes is what it writes without."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from command_line import complaint
from embedding_model import save_embedder
from PIL import Image
from training_runs import TINY, content

from attnkit import _core, devices
from attnkit.cli import caption, classify, embed, generate, main, translate
from attnkit.cli.shared import errors, loading

_testing = pytest.importorskip("attnkit._testing")
_testing.register_host2()

MODELS = Path(__file__).parents[1] / "data" / "formats" / "1" / "models"
RUNNING = ("translate", "classify", "caption", "summarize", "generate", "embed", "attention", "evaluate", "train")


def call(*arguments: str | Path, text: str = "") -> Result:
    return CliRunner().invoke(main.group, [str(argument) for argument in arguments], input=text)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices of all models that commands load."""
    found: list[str] = []
    load_for, load_translator = loading.load_for, loading.load_translator

    def noted(model: Any) -> Any:
        found.append(model.model.device)
        return model

    for module in (caption, classify, embed, generate):
        monkeypatch.setattr(module, "load_for", lambda *given: noted(load_for(*given)))

    def translator(*given: Any) -> Any:
        model, folder = load_translator(*given)
        return noted(model), folder

    monkeypatch.setattr(translate, "load_translator", translator)
    return found


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_that_runs_a_model_has_it(name: str) -> None:
    command = main.group.get_command(click.Context(main.group), name)
    assert command is not None
    assert ("--device" in [option for each in command.params for option in each.opts]) == (name in RUNNING)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((20, 20)).convert("RGB").save(path)
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        ("translate", MODELS / "translate"),
        ("classify", MODELS / "classify-text", "--jsonl"),
        ("classify", MODELS / "classify-images", "PICTURE"),
        ("caption", MODELS / "caption", "PICTURE"),
        ("generate", MODELS / "language-model", "--prompt", "a"),
        ("embed", "EMBEDDER"),
    ],
    ids=lambda arguments: Path(arguments[1]).name,
)
def test_what_is_written_is_the_same(
    arguments: tuple[str | Path, ...], tmp_path: Path, picture: Path, loaded: list[str]
) -> None:
    put = {"PICTURE": picture, "EMBEDDER": save_embedder(tmp_path / "embedder")}
    given = [put.get(str(argument), argument) for argument in arguments]
    here, there = (call(*given, "--device", device, text="the cat\n\n") for device in ("cpu", "host2"))
    assert here.exit_code == there.exit_code == 0, there.output
    assert there.stdout and there.stdout == here.stdout
    assert loaded == ["cpu", "host2"]


def test_a_pivot_and_an_evaluation(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("the cat\n")
    measure = ("evaluate", MODELS / "translate", "--source", tmp_path / "a", "--reference", tmp_path / "a")
    for arguments in (("translate", MODELS / "translate", "--then", MODELS / "translate"), measure):
        here, there = (call(*arguments, "--device", device, text="the cat\n") for device in ("cpu", "host2"))
        assert here.exit_code == there.exit_code == 0, there.output
        times = re.compile(r"in [0-9.]+ s: .*")
        assert times.sub("", there.stdout) == times.sub("", here.stdout)


def test_train_and_go_on_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    given = ("train", tmp_path / "tiny.toml", "--set", "decoding.bleu=false")
    assert call(*given, "--out", tmp_path / "here").exit_code == 0
    first = call(*given, "--out", tmp_path / "there", "--device", "host2", "--set", "training.max_steps=6")
    assert first.exit_code == 0 and "device: host2" in first.output
    assert call(*given, "--out", tmp_path / "there", "--resume").exit_code == 0
    assert content(tmp_path / "there") == content(tmp_path / "here")


def test_a_device_that_is_not_here_is_bad_usage_in_a_line(tmp_path: Path) -> None:
    said = complaint("translate", MODELS / "translate", "--device", "tpu", status=2)
    assert said == 'attnkit: [device] expected "cpu", got "tpu"\n'
    (tmp_path / "tiny.toml").write_text(TINY)
    said = complaint("train", tmp_path / "tiny.toml", "--out", tmp_path / "run", "--device", "tpu", status=2)
    assert 'got "tpu"' in said and not (tmp_path / "run").exists()


def test_a_build_without_cuda_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_core, "cuda_devices", lambda: [], raising=False)
    monkeypatch.setattr(devices, "built_with_cuda", lambda: False)
    status = errors.status_of(lambda: main.run(["translate", str(MODELS / "translate"), "--device", "cuda:99"]))
    assert status == 2
    said = capsys.readouterr().err
    assert re.fullmatch(
        r'attnkit: \[device\] expected "cpu" .*got "cuda:99": this build has no CUDA \(attnkit doctor .*\)\n', said
    )


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch, loaded: list[str]) -> None:
    monkeypatch.setattr(_core, "cuda_devices", lambda: [], raising=False)
    assert call("translate", MODELS / "translate", "--device", "auto", text="the cat\n").exit_code == 0
    assert loaded == ["cpu"]


def test_it_does_not_go_with_ray(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("the cat\n")
    files = ("-i", tmp_path / "a.txt", "-o", tmp_path / "out")
    said = call("translate", MODELS / "translate", "--ray", "local", *files, "--device", "host2")
    assert said.exit_code == 2 and "--device does not go with --ray" in said.output
    assert not (tmp_path / "out").exists()


def test_what_is_no_text_is_refused() -> None:
    assert call("translate", MODELS / "translate", "--device", "\udcff").exit_code == 2
