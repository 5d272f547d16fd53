"""The race detector over emulated kernels of CUDA (`./dev races`): small ones that are wrong, and some that are not.

They are compiled here, so that what the detector is told (cpp/cuda/emulation/race_detector.h) is tested without a build
for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMULATION = ROOT / "cpp/cuda/emulation"
# Where this is run by `./dev races`, neither the compiler nor the program shall have its library or its options.
PLAIN = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "TSAN_OPTIONS")}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no compiler")
    folder = tmp_path_factory.mktemp("races")
    empty = folder / "empty.cc"
    empty.write_text("int main() {}\n")
    if compiled(compiler, folder / "empty", empty).returncode:
        pytest.skip("this compiler has no ThreadSanitizer")
    names = ("faulty", "machine", "fiber", "race_detector", "tensor_cores", "device")
    parts = [EMULATION / f"{name}.cc" for name in names]
    done = compiled(compiler, folder / "faulty_kernel", ROOT / "tests/cpp/faulty_kernel.cc", *parts)
    assert done.returncode == 0, done.stderr
    return folder / "faulty_kernel"


def compiled(compiler: str, program: Path, *sources: Path) -> subprocess.CompletedProcess[str]:
    options = ["-std=c++17", "-fsanitize=thread", "-O1", "-g1", f"-I{ROOT / 'cpp'}", f"-I{ROOT / 'cpp/include'}"]
    command = [compiler, *options, *sources, "-o", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=PLAIN)


def run(program: Path, kernel: str, seed: int) -> subprocess.CompletedProcess[str]:
    command = [program, kernel, str(seed)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=PLAIN)


RACES = {
    "race": "Race",
    "missing barrier": "MissingBarrier",
    "missing barrier behind": "MissingBarrierBehind",
    "warp barrier for all": "WarpBarrierForAll",
    "missing warp barrier": "MissingWarpBarrier",
    "shuffle for barrier": "ShuffleForBarrier",
    "blocks write one number": "BlocksWriteOneNumber",
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kernel", RACES)
def test_a_race_is_reported_with_its_lines(program: Path, kernel: str, seed: int) -> None:
    done = run(program, kernel, seed)
    assert done.returncode == 66, done.stderr  # of a program with reports
    assert "WARNING: ThreadSanitizer: data race" in done.stderr
    first, second = re.findall(r"#0 (\w+) \S*faulty\.cc:\d+", done.stderr)[:2]
    assert {first, second} == {RACES[kernel]}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("kernel", "written"), [("votes", 32), ("ordered", 36)])
def test_what_barriers_order_is_no_race(program: Path, kernel: str, written: int, seed: int) -> None:
    """Nor is what one block leaves in shared memory to the next."""
    done = run(program, kernel, seed)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{written}\n", "")


def test_a_kernel_that_failed_leaves_no_race_behind(program: Path) -> None:
    done = run(program, "votes, then fails", 1)
    assert "faulty.cc" in done.stderr and "data race" not in done.stderr
