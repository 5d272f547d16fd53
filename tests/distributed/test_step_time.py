"""The model of a step's time, and the measurement that it starts from."""

from __future__ import annotations

import json
from pathlib import Path

import hosts
import mpi
import numpy as np
import pytest
from command_line import command, complaint

from attnkit.benchmark.all_reduce import Sum, link_of
from attnkit.benchmark.step_time import Link, messages, sent_bytes, step_time
from attnkit.distributed.gradients import BUCKET

LINK = Link(message=1e-3, rate=125e6)


def test_one_process_waits_for_nobody() -> None:
    times = step_time(LINK, 1, 5e6, 1.0)
    assert (times.communication, times.exposed, times.step, times.efficiency) == (0, 0, 1, 1)


def test_a_step_without_arithmetic_is_its_communication() -> None:
    times = step_time(LINK, 4, 3 * BUCKET, 1e-12)
    expected = 3 * (4 * 1e-3 + 1.5 * BUCKET * 4 / 125e6)
    assert times.exposed == pytest.approx(expected) and times.communication == pytest.approx(expected)


def test_a_long_step_waits_for_what_is_ready_last() -> None:
    times = step_time(LINK, 4, 10 * BUCKET, 100.0)
    assert times.exposed == pytest.approx(LINK.sum_seconds(4, BUCKET))
    both = LINK.sum_seconds(4, BUCKET) + LINK.sum_seconds(4, 4 * BUCKET)
    assert step_time(LINK, 4, 10 * BUCKET, 100.0, tail=4 * BUCKET).exposed == pytest.approx(both)


def test_half_the_bytes_take_half_as_long_where_the_rate_is_what_counts() -> None:
    slow = Link(message=0.0, rate=1e6)
    assert slow.sum_seconds(8, 1e6, half=True) == pytest.approx(slow.sum_seconds(8, 1e6) / 2)


@pytest.mark.parametrize(("processes", "expected"), [(2, (2, 2)), (64, (12, 12)), (6, (2, 10)), (7, (2, 12))])
def test_messages(processes: int, expected: tuple[int, int]) -> None:
    assert messages(processes) == expected


def test_a_link_is_found_again_in_what_it_took() -> None:
    link = Link(message=2e-3, rate=50e6, work_message=1e-5, work_byte=1e-9)
    found = [
        Sum(4, numbers, half, [link.sum_seconds(4, numbers, half)] * 3, link.work_seconds(4, numbers, half))
        for numbers in (1, 1 << 22)
        for half in (False, True)
    ]
    again = link_of(found)
    ours, theirs = ((each.message, each.rate, each.work_message, each.work_byte) for each in (again, link))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_the_bench_needs_others() -> None:
    assert "mpirun -n 2" in complaint("bench", "allreduce", status=2)


def test_the_bench_finds_the_link_that_it_runs_over(tmp_path: Path) -> None:
    """Two hosts on 100 Mbit/s and 5 ms: the bench says so, and sends the bytes that the model counts."""
    if missing := mpi.why_not():
        pytest.skip(missing)
    with hosts.network(2) as network:
        network.link(bandwidth=100e6, latency=0.005)
        file, numbers, runs = tmp_path / "found.json", 1 << 20, 2
        words = command("bench", "allreduce", "--largest", str(numbers), "--runs", str(runs), "--json", file)
        status, out, errors = network.run(
            0, mpi.mpirun(network, [0, 1], [*words, "--parameters", "3e6", "--step", "1"])
        )
        assert status == 0, errors
        sent = [each.bytes for each in network.traffic()]
    link = json.loads(file.read_text())["links"][0]
    assert 0.005 < link["message"] < 0.02
    assert 0.4 * 100e6 / 8 < link["rate"] < 100e6 / 8
    assert "2 processes on 2 host(s)" in out and "1,048,576" in out
    counted = (runs + 1) * sum(
        sent_bytes(2, n, half) for n in (1 << 8, 1 << 12, 1 << 16, numbers) for half in (False, True)
    )
    for each in sent:
        assert counted < each < 1.1 * counted + 1e6  # headers and what the launcher says
