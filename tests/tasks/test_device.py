"""Models and trainings on another device than the default one, told where to be by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from embedding_model import TEXTS, save_embedder
from kept_models import MODELS, outputs
from small_trainings import SHORT, TRAININGS
from training_runs import content, tiny

import attnkit
from attnkit import _core, devices
from attnkit.decoding.workers import fair_share
from attnkit.distributed.group import Alone
from attnkit.tasks import run
from attnkit.training import ConfigError, read_config, train

_testing = pytest.importorskip("attnkit._testing")
_testing.register_host2()

GPU = {"name": "A GPU", "capability": "9.0", "memory": 80 << 30, "driver": "13.0", "runtime": "13.0"}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("source", MODELS, ids=lambda path: path.name)
def test_a_model_of_each_task_says_there_what_it_says_here(source: Path, precision: str) -> None:
    there = attnkit.load(source, precision=precision, device="host2")  # type: ignore[arg-type]
    here = attnkit.load(source, precision=precision, device="cpu")  # type: ignore[arg-type]
    placed = [*there.model.parameters(), *(buffer for _, buffer in there.model.named_buffers())]
    assert {tensor.device for tensor in placed} == {"host2"} and here.model.device == "cpu"
    assert outputs(there) == outputs(here)


def test_vectors_are_those_of_the_cpu(tmp_path: Path) -> None:
    folder = save_embedder(tmp_path / "model")
    found = [attnkit.load(folder, task="embed", device=device).embed(TEXTS) for device in ("host2", "cpu")]
    assert found[0].tobytes() == found[1].tobytes()


def test_both_models_of_a_pivot_go_there() -> None:
    [path] = [path for path in MODELS if path.name == "translate"]
    both = attnkit.load(path, then=path, device="host2")
    assert both.first.model.device == both.second.model.device == "host2"
    assert both.translate(["a b c"])[0].text == attnkit.load(path, then=path).translate(["a b c"])[0].text


def test_without_a_device_a_model_lies_on_the_default_one() -> None:
    assert attnkit.load(MODELS[0]).model.device == _core.default_device()


def test_a_device_that_is_not_here_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'\[device\] expected "cpu" .*, got "tpu"$'):
        attnkit.load(tmp_path / "no-such", device="tpu")
    with pytest.raises(ValueError, match='got "tpu"'):
        train(tiny(tmp_path), tmp_path / "run", device="tpu", progress="none")
    assert not (tmp_path / "run").exists()


def test_of_a_gpu_that_is_not_here_it_is_said_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "cuda_devices", list)
    with pytest.raises(ValueError, match=r'got "cuda:99".* \(attnkit doctor says what is here\)$'):
        devices.known_device("cuda:99")


def test_auto_takes_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "cuda_devices", list)
    assert devices.known_device("auto") == "cpu"
    asked = []
    monkeypatch.setattr(_core, "cuda_devices", lambda: [GPU])
    monkeypatch.setattr(_core, "zeros", lambda shape, device: asked.append(device) or attnkit.tensor([], device="cpu"))
    devices.known_device("auto")
    assert asked == ["cuda"]


def test_a_device_decodes_one_large_batch_instead_of_one_a_thread() -> None:
    _core.set_num_threads(4)
    assert fair_share(1000, 4096) == 250 and fair_share(1000, 4096, device="host2") == 1000


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_there_writes_the_files_of_one_here(name: str, tmp_path: Path) -> None:
    """host2 has the CPU's kernels, so that all that may differ is what was left behind."""
    write, overrides = TRAININGS[name]
    config = read_config(write(tmp_path), (*SHORT, *overrides))
    for device in ("cpu", "host2"):
        train(config, tmp_path / device, device=device, progress="none")
    assert content(tmp_path / "host2") == content(tmp_path / "cpu")


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_a_run_goes_on_on_another_device(optimizer: str, tmp_path: Path) -> None:
    chosen = f"training.optimizer={optimizer}"
    train(tiny(tmp_path, chosen), tmp_path / "whole", device="cpu", progress="none")
    for steps, device in ((4, "host2"), (9, "cpu"), (12, "host2")):
        config = tiny(tmp_path, chosen, f"training.max_steps={steps}")
        train(config, tmp_path / "parts", device=device, resume=steps > 4, progress="none")
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_the_model_learns_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny(tmp_path, "training.max_steps=1"), tmp_path / "run", device="host2", progress="plain")
    assert "device: host2" in capsys.readouterr().err


def test_processes_that_train_together_compute_on_the_cpu(tmp_path: Path) -> None:
    class Four(Alone):
        size = 4

    run._check_device("cpu", Four())
    run._check_device("host2", Alone())
    with pytest.raises(ConfigError, match=r'\[device\] expected "cpu" for 4 processes .* got .host2'):
        run._check_device("host2", Four())
