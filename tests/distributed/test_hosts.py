"""Training over hosts whose links are slow, lossy or cut, whose programs are killed and whose disks are full.

Every run is `exact`: whatever happens to it, it ends with, or is resumed to, the bytes that one process makes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hosts
import mpi
import pytest
from command_line import command
from hosts import Network
from training_runs import LAST, TINY, content, copy_task, metrics

STEPS = 18
SLOW = 0.005  # seconds one way, which make a run of some seconds, of which a test can catch the middle


@pytest.fixture(scope="module")
def four() -> Iterator[Network]:
    if missing := mpi.why_not():
        pytest.skip(missing)
    with hosts.network(4) as network:
        yield network


@pytest.fixture
def network(four: Network) -> Iterator[Network]:
    """Four hosts whose links are as they should be, and nothing runs."""
    yield four
    four.link(latency=0.0, loss=0.0, bandwidth=0.0, cut=False)
    _kill_all(four)


def _kill_all(network: Network) -> None:
    for host in range(len(network.addresses)):
        network.kill(host)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "exact.toml"
    path.write_text(TINY.replace("[training]\nmax_steps = 12", f"[training]\nexact = true\nmax_steps = {STEPS}"))
    return path


@pytest.fixture(scope="module")
def unbroken(config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What one process without MPI makes."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    subprocess.run(_train(config, folder), check=True, capture_output=True, timeout=60)
    return content(folder)


def _train(config: Path, folder: Path, *options: str) -> list[str]:
    return command("train", config, "--out", folder, "--threads", "1", *options)


@dataclass
class Run:
    """Training by MPI in a folder of host 0, while the test looks on."""

    network: Network
    process: subprocess.Popen[bytes]
    folder: Path

    def ended(self, within: float) -> tuple[int, str]:
        """mpirun's exit status, and what all processes said."""
        try:
            out, errors = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            _kill_all(self.network)
            raise AssertionError(f"still running: {self.process.communicate()}") from None
        return self.process.returncode, (out + errors).decode()

    def reaches_a_checkpoint(self, folder: Path | None = None) -> None:
        """folder: where the run's folder is for the test, if that is elsewhere than for host 0."""
        deadline = time.monotonic() + 60
        while not ((folder or self.folder) / LAST).exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def signal_launcher(self, number: signal.Signals) -> None:
        os.kill(self.network.started(self.process), number)


Start = Callable[..., Run]


@pytest.fixture
def start(network: Network, config: Path, tmp_path: Path) -> Start:
    """Starts training on as many hosts as are asked for, a process each, in the test's folder."""

    def begin(ranks: int, *options: str, folder: Path = tmp_path / "run", config: Path = config) -> Run:
        words = mpi.mpirun(network, range(ranks), _train(config, folder, *options))
        return Run(network, network.start(0, words), folder)

    return begin


def _resumed(run: Run, start: Start, ranks: int) -> dict[str, object]:
    """The run's folder after going on to the end over so many hosts; 1: without MPI."""
    run.network.link(latency=0.0)
    if ranks == 1:
        subprocess.run(command("train", run.folder, "--resume", "--threads", "1"), check=True, capture_output=True)
    else:
        status, words = start(ranks, "--resume").ended(60)
        assert status == 0, words
    return content(run.folder)


@pytest.mark.parametrize("ranks", [2, 4])
def test_any_number_of_hosts_makes_the_same_bytes(start: Start, unbroken: dict[str, object], ranks: int) -> None:
    run = start(ranks)
    status, words = run.ended(60)
    assert status == 0, words
    assert content(run.folder) == unbroken


def test_without_exact_the_curve_is_the_same(start: Start, config: Path) -> None:
    different = ("--set", "training.exact=false", "--set", "model.dropout=0")
    run = start(4, *different)
    alone = run.folder.with_name("alone")
    subprocess.run(_train(config, alone, *different), check=True, capture_output=True)
    status, words = run.ended(60)
    assert status == 0, words
    ours, theirs = ([row["loss"] for row in metrics(folder) if "loss" in row] for folder in (run.folder, alone))
    assert ours == pytest.approx(theirs, rel=1e-4) and len(ours) == STEPS // 2


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_run_within_seconds(
    network: Network, start: Start, unbroken: dict[str, object], victim: int
) -> None:
    network.link(latency=SLOW)
    run = start(2)
    run.reaches_a_checkpoint()
    assert network.kill(victim, sys.executable) == 1
    status, words = run.ended(10)
    assert status != 0, words
    assert not network.processes(1)
    assert _resumed(run, start, 4 if victim else 1) == unbroken


def test_a_link_that_is_cut_for_ten_seconds(network: Network, start: Start, unbroken: dict[str, object]) -> None:
    network.link(latency=SLOW)
    run = start(2)
    run.reaches_a_checkpoint()
    network.link(host=1, cut=True)
    time.sleep(10)
    assert run.process.poll() is None
    network.link(host=1, cut=False)
    network.link(latency=0.0)
    status, words = run.ended(60)
    assert status == 0, words
    assert content(run.folder) == unbroken


def test_a_host_that_is_gone(
    network: Network, start: Start, unbroken: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left gives up after the time that it was told, and says how to go on. Open MPI's launcher waits for that
    host, until it is killed."""
    monkeypatch.setenv("ATTNKIT_MPI_TIMEOUT", "3")
    network.link(latency=SLOW)
    run = start(2)
    run.reaches_a_checkpoint()
    network.link(host=1, cut=True)
    deadline = time.monotonic() + 20
    while network.processes(0, sys.executable):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    _kill_all(network)
    words = run.ended(10)[1]
    assert words.count("has waited 3 s for the others") == 1 and "--resume" in words, words
    network.link(host=1, cut=False)
    assert _resumed(run, start, 1) == unbroken


def test_a_slow_link_that_loses_packets(network: Network, start: Start, unbroken: dict[str, object]) -> None:
    network.link(latency=0.005, loss=0.01)
    lost = sum(each.lost for each in network.traffic())
    run = start(2)
    status, words = run.ended(100)
    assert status == 0, words
    assert content(run.folder) == unbroken
    assert sum(each.lost for each in network.traffic()) > lost


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_the_launcher_is_asked_to_end(
    network: Network, start: Start, unbroken: dict[str, object], number: signal.Signals
) -> None:
    network.link(latency=SLOW)
    run = start(2)
    run.reaches_a_checkpoint()
    run.signal_launcher(number)
    status, words = run.ended(10)
    assert status != 0
    assert "stopped and saved at step" in words
    step = int(re.search(r"stopped and saved at step ([\d,]+)", words)[1].replace(",", ""))  # type: ignore[index]
    assert 3 <= step < STEPS
    assert _resumed(run, start, 2 if number == signal.SIGINT else 1) == unbroken


def test_a_full_disk_of_the_first_process(
    network: Network, start: Start, unbroken: dict[str, object], tmp_path: Path
) -> None:
    """One line says it, all end, and once there is room again the run goes on."""
    network.link(latency=SLOW)
    disk = tmp_path / "disk"
    disk.mkdir()
    assert network.run(0, ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)])[0] == 0
    run = start(2, folder=disk / "run")
    inside = network.root(0) / disk.relative_to("/")
    run.reaches_a_checkpoint(inside / "run")
    network.run(0, ["dd", "if=/dev/zero", f"of={disk / 'rest'}", "bs=64k"])
    status, words = run.ended(10)
    assert status != 0
    assert words.count("No space left on device") == 1 and "Traceback" not in words, words
    network.link(latency=0.0)
    (inside / "rest").unlink()
    run = start(2, "--resume", folder=disk / "run")
    status, words = run.ended(60)
    assert status == 0, words
    assert content(inside / "run") == unbroken


@pytest.mark.parametrize("lacks", ["copy.toml", "target"])
def test_a_file_that_one_host_lacks(network: Network, start: Start, tmp_path: Path, lacks: str) -> None:
    """That host says which, in one line, and all end."""
    data = tmp_path / "data"
    data.mkdir()
    config = copy_task(data)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(data, elsewhere)
    (elsewhere / lacks).unlink()
    assert network.run(1, ["mount", "--bind", str(elsewhere), str(data)])[0] == 0
    status, words = start(2, config=config).ended(20)
    assert status in (1, 2), words
    said = [line for line in words.splitlines() if line.startswith("attnkit")]
    assert len(said) == 1 and lacks in said[0] and "Traceback" not in words, words


def test_a_host_that_has_less_data(network: Network, start: Start, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    config = copy_task(data)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(data, elsewhere)
    for name in ("source", "target"):
        (elsewhere / name).write_text("".join((data / name).read_text().splitlines(keepends=True)[:-1]))
    assert network.run(1, ["mount", "--bind", str(elsewhere), str(data)])[0] == 0
    status, words = start(2, config=config).ended(20)
    assert status in (1, 2), words
    said = [line for line in words.splitlines() if line.startswith("attnkit")]
    assert len(said) == 1 and "same" in said[0], words


def test_a_mistake_in_the_configuration_is_told_once(start: Start) -> None:
    status, words = start(2, "--set", "training.max_stepz=3").ended(20)
    assert status == 2, words
    assert words.count("max_stepz") == 1, words
