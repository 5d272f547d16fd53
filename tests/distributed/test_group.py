"""A group of processes that MPI connects: sums, gradients, failures, an optimizer in shares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mpi
import pytest

from attnkit.distributed.launch import launched_size
from attnkit.distributed.wire import timeout

pytestmark = pytest.mark.skipif(mpi.why_not_here() is not None, reason=str(mpi.why_not_here()))

PROGRAM = Path(__file__).with_name("group_checks.py")


@pytest.fixture(scope="module", params=[2, 3, 4])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What all processes of a group found."""
    done = subprocess.run(
        mpi.mpirun_here(request.param, [sys.executable, str(PROGRAM)]), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "size": request.param}


def test_sums_are_right_and_the_same_everywhere(found: dict[str, Any]) -> None:
    for each in found["all"]:
        assert max(each["fp32"].values()) < 1e-6
        # Each addend and the sum are rounded to 8 bits.
        assert max(each["bf16"].values()) < found["size"] * 2**-8


def test_the_tree_is_of_neighbours_first(found: dict[str, Any]) -> None:
    assert all(each["tree"] for each in found["all"])


def test_gradients_are_summed_whoever_has_them(found: dict[str, Any]) -> None:
    size = found["size"]
    for each in found["all"]:
        everybody, last, nobody, stays_negative, extra = each["gradients"]
        assert everybody == [size * (size + 1) / 2] and last == [7.0]
        assert nobody, "an optimizer must leave it alone, as with one process"
        assert stays_negative, "-0.0 of one process is that of all"
        assert extra == [size, size * (size - 1) / 2]


def test_average_gradients(found: dict[str, Any]) -> None:
    for each in found["all"]:
        assert each["averaged"] == [(found["size"] - 1) / 2, 1.0]


def test_where_some_fail_the_first_says_why_and_all_know(found: dict[str, Any]) -> None:
    elsewhere = "ElsewhereError: [distributed] process 1 cannot go on: ValueError"
    told = ["ValueError: of 1" if rank == 1 else elsewhere for rank in range(found["size"])]
    assert all(each["failures"] == told for each in found["all"])


def test_collect_is_for_the_first_process(found: dict[str, Any]) -> None:
    first, *others = (each["collected"] for each in found["all"])
    assert first == [[rank] * 3 for rank in range(found["size"])] and not any(others)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_an_optimizer_in_shares_is_the_whole_one(found: dict[str, Any], optimizer: str) -> None:
    for rank, each in enumerate(found["all"]):
        shares = each[optimizer]
        assert shares["weights"]
        assert shares["state"] == (shares["names"] if rank == 0 else ["steps"])
        assert sum(shares["kept"]) == shares["all"] and max(shares["kept"]) < shares["all"]


def test_a_launcher_of_another_mpi_is_told() -> None:
    code = "import attnkit.distributed; attnkit.distributed.group()"
    environment = {**os.environ, "PMI_SIZE": "3", "OMPI_MCA_plm_rsh_agent": "sh"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "expected 3 processes, as the launcher says, got 1: the launcher is of another MPI" in done.stderr


@pytest.mark.parametrize(
    ("variables", "size"),
    [
        ({}, 1),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, 4),
        ({"PMI_SIZE": "2"}, 2),
        ({"SLURM_NTASKS": "8"}, 1),  # a batch script's own shell
        ({"SLURM_NTASKS": "8", "PMIX_RANK": "3"}, 8),
    ],
)
def test_how_many_a_launcher_has_started(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], size: int) -> None:
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS", "PMIX_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched_size() == size


@pytest.mark.parametrize("said", ["soon", "0", "-1"])
def test_a_timeout_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("ATTNKIT_MPI_TIMEOUT", said)
    with pytest.raises(RuntimeError, match=f"ATTNKIT_MPI_TIMEOUT: expected seconds above 0, got '{said}'"):
        timeout()
