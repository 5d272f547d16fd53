"""CUDA emulated on the CPU (cpp/cuda/emulation/): what a GPU would leave undefined is refused, and said where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

_testing = pytest.importorskip("attnkit._testing")
SOURCE = Path(__file__).parents[2] / "cpp/cuda/emulation/faulty.cc"


@pytest.fixture(params=[0, 1, 2], ids="seed{}".format)
def seed(request: pytest.FixtureRequest) -> Iterator[int]:
    _testing.set_emulation_seed(request.param)
    yield request.param
    _testing.set_emulation_seed(0)


AT_A_PLACE = {
    "skipped barrier": (
        "SkippedBarrier",
        "expected all threads of the block at this barrier, got some that have ended",
    ),
    "two barriers": ("TwoBarriers", r"expected all threads of the block at this barrier, got some that wait at faulty"),
    "skipped shuffle": ("SkippedShuffle", "expected all lanes of the warp, lane 31 has ended"),
    "two shuffles": ("TwoShuffles", r"expected all lanes of the warp, lane \d+ is at faulty\.cc:\d+"),
    "barrier for shuffle": (
        "BarrierForShuffle",
        r"expected all lanes of the warp, lane 31 waits for the block at faulty",
    ),
    "skipped fragment": ("SkippedFragment", "expected all lanes of the warp, lane 31 has ended"),
    "two products": ("TwoProducts", r"expected all lanes of the warp, lane \d+ is at faulty\.cc:\d+"),
    "half mask": ("HalfMask", "expected the mask of all lanes"),
    "votes, then fails": ("VotesThenFails", "expected all threads of the block at this barrier"),
}


def lines_of(kernel: str) -> range:
    """Those of its definition."""
    lines = SOURCE.read_text().splitlines()
    first = next(i for i, line in enumerate(lines, 1) if f"__global__ void {kernel}(" in line)
    last = next(i for i, line in enumerate(lines, 1) if i >= first and line.endswith("}") and not line[0].isspace())
    return range(first, last + 1)


@pytest.mark.parametrize("name", AT_A_PLACE)
def test_a_barrier_that_is_not_met_is_refused_with_its_line(name: str, seed: int) -> None:
    kernel, words = AT_A_PLACE[name]
    with pytest.raises(RuntimeError, match=rf"\[cuda\] faulty\.cc:\d+: {words}") as caught:
        _testing.run_faulty_kernel(name)
    places = re.findall(r"faulty\.cc:(\d+)", str(caught.value))
    assert all(int(line) in lines_of(kernel) for line in places)
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("half a warp", "whole warps in x, at most 1024 threads, got 48 x 1 x 1"),
        ("no threads", "whole warps in x, at most 1024 threads, got 0 x 1 x 1"),
        ("many threads", "whole warps in x, at most 1024 threads, got 1056 x 1 x 1"),
        ("flat block", "whole warps in x, at most 1024 threads, got 32 x 2 x 1"),
        ("much shared memory", "at most 48 KiB of shared memory, got 49156 bytes"),
        ("tall grid", r"a grid of at most 2\^31 - 1 x 65535 x 65535, got 1 x 65536 x 1"),
        ("launch", "a launch by the host, got one by a kernel"),
        ("memory of the host", "addresses of the device, got one of the host's memory in word 0: .*Launch"),
        ("crooked fragment", r"expected a fragment's numbers at a multiple of 16 bytes, got address \d+"),
        ("long shared memory", r"\[cuda\] a kernel wrote behind its 64 bytes of shared memory"),
    ],
)
def test_what_no_gpu_would_launch_is_refused(name: str, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        _testing.run_faulty_kernel(name)


def test_a_kernel_that_failed_leaves_nothing_to_the_next(seed: int) -> None:
    for name in AT_A_PLACE:
        with pytest.raises(RuntimeError, match="faulty"):
            _testing.run_faulty_kernel(name)
        assert _testing.run_faulty_kernel("votes") == 32


def test_a_race_shows_in_another_order() -> None:
    assert _testing.run_faulty_kernel("race") == 63
    try:
        found = set()
        for seed in range(1, 20):
            _testing.set_emulation_seed(seed)
            found.add(_testing.run_faulty_kernel("race"))
    finally:
        _testing.set_emulation_seed(0)
    assert len(found) > 3


def test_threads_of_the_host_run_kernels_beside_each_other() -> None:
    """Each has its own block, and gives it back when it ends."""

    def run(_: int) -> list[int]:
        results = []
        for _ in range(20):
            with pytest.raises(RuntimeError, match="have ended"):
                _testing.run_faulty_kernel("skipped barrier")
            results.append(_testing.run_faulty_kernel("votes"))
        return results

    before = None
    for _ in range(4):
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(run, range(8))) == [[32] * 20] * 8
        guards = Path("/proc/self/maps").read_text().count(" ---p ")  # a page below each stack
        before = before or guards
    assert guards < before + 100
