"""`attnkit bench --device`: what is timed computes there, and the clock waits. The emulated GPU stands for one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from kept_models import MODELS

from attnkit import _core
from attnkit.benchmark import kernels_attnkit, train_worker, translate_worker
from attnkit.benchmark.kernels import KERNELS, Case
from attnkit.benchmark.timing import repeated_seconds
from attnkit.benchmark.train_batches import save_batch
from attnkit.benchmark.train_models import MODELS as TRAINED
from attnkit.benchmark.translate import Work
from attnkit.benchmark.work import write_work
from attnkit.cli.main import group

_testing = pytest.importorskip("attnkit._testing")
_testing.register_emulated_cuda()

EMULATED = "cuda-emulated"
TRANSLATOR = next(path for path in MODELS if path.name == "translate")
SHAPES = {
    "matmul": (3, 4, 5),
    "attention": (2, 2, 5, 4),
    "softmax": (3, 5),
    "layer_norm": (3, 5),
    "linear_cross_entropy": (6, 4, 5),
    "gru": (2, 3, 4),
    "lstm": (2, 3, 4),
    "conv2d": (2, 6, 3, 4, 3),
    "copy": (10,),
}


def bench(*arguments: str | Path) -> Result:
    return CliRunner().invoke(group, ["bench", *map(str, arguments)])


@pytest.fixture
def on_device() -> Iterator[None]:
    """As the processes of a bench have it."""
    before = _core.default_device()
    yield
    _core.set_default_device(before)


def kernels_run() -> int:
    return int(_testing.asked_of_emulated_cuda()[0])


@pytest.mark.usefixtures("on_device")
@pytest.mark.parametrize("kernel", [*KERNELS, "copy"])
def test_a_kernel_that_is_timed_computes_there(kernel: str) -> None:
    _core.set_default_device(EMULATED)
    call = getattr(kernels_attnkit, kernel)(Case(kernel, SHAPES[kernel], direction="both"))
    before = kernels_run()
    call()
    assert kernels_run() > before


def test_the_clock_waits_for_what_was_asked() -> None:
    asked, done, seconds = 0, 0, 0.0

    def call() -> None:
        nonlocal asked, seconds
        asked += 1
        seconds += 1.0

    def finish() -> None:
        nonlocal done, seconds
        seconds += 10.0 * (asked - done)
        done = asked

    assert repeated_seconds(call, 3.0, lambda: seconds, finish) == pytest.approx(11.0)
    assert asked == done == 3


def test_waiting_for_a_device_that_is_not_here() -> None:
    _core.synchronize("cpu")
    _core.synchronize(EMULATED)
    with pytest.raises(ValueError, match="cuda:7"):
        _core.synchronize("cuda:7")


@pytest.mark.usefixtures("on_device")
def test_a_training_step_computes_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_batch(tmp_path / "batch.npz", TRAINED["han"], 64, 2, None)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    before = kernels_run()
    train_worker.main("han", "fp32", str(tmp_path / "batch.npz"), "1", EMULATED)
    ready, answer = map(json.loads, capsys.readouterr().out.splitlines())
    assert ready["ready"] and answer["seconds"] > 0
    assert kernels_run() > before + 50


def test_a_model_is_loaded_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_work(tmp_path, Work(["il gatto vede"], 3, 2, beam=1))
    before = kernels_run()
    translate_worker.main(str(tmp_path), str(TRANSLATOR), "fp32", "1", EMULATED, "once")
    assert json.loads(capsys.readouterr().out)["load_seconds"] > 0
    assert kernels_run() > before


@pytest.mark.parametrize("name", ["kernels", "train", "translate", "caption", "classify", "embed"])
def test_each_bench_has_the_option(name: str) -> None:
    commands = group.get_command(click.Context(group), "bench")
    assert isinstance(commands, click.Group)
    found = commands.get_command(click.Context(commands), name)
    assert found is not None and "--device" in [each for parameter in found.params for each in parameter.opts]


def test_a_device_that_is_not_here_is_refused_before_anything_runs() -> None:
    result = bench("kernels", "softmax", "--device", "cuda:7")
    assert result.exit_code == 2 and "cuda:7" in result.output and len(result.output.splitlines()) == 1


def test_a_peer_for_cpus_alone_is_refused_beside_another_device() -> None:
    result = bench("embed", "--model", TRANSLATOR, "--against", "onnxruntime", "--device", EMULATED)
    assert result.exit_code == 2 and "--against onnxruntime: expected --device cpu, got cuda-emulated" in result.output
