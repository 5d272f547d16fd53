"""Ways to kill a training: at a random moment, under slow storage, and at the N-th system call."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random

from kills.training import Training

CALLS = ("write", "fsync", "rename", "unlink", "mkdir", "openat")
SHIM = Path(__file__).parent / "slow_storage.c"


@functools.cache
def why_not(way: str) -> str | None:
    """What this machine lacks for a way."""
    if way == "calls" and not (shutil.which("strace") and _succeeds("strace", "-o", "/dev/null", "true")):
        return "strace is not installed, or may not trace here"
    if way == "slow" and not shutil.which("cc"):
        return "there is no C compiler"
    return None


def _succeeds(*line: str) -> bool:
    return subprocess.run(line, capture_output=True, check=False).returncode == 0


def kill(way: str, training: Training, out: Path, rng: Random) -> bool:
    """Lets the run in `out` go on under a kill; returns whether it came to its end before."""
    if way == "calls":
        call, count = rng.choice(sorted(count_calls(training).items()))
        outcome = training.go_on(out, before=inject(call, f"signal=SIGKILL:when={rng.randint(1, count)}"))
    else:
        slow = way == "slow"
        env = {**os.environ, "LD_PRELOAD": str(shim(training.work))} if slow else None
        outcome = training.go_on(out, env=env, seconds=rng.uniform(0.2, training.seconds * (4 if slow else 1)))
    if outcome.status not in (0, -9):
        raise AssertionError(f"{training.task}: status {outcome.status}: {outcome.last_line}")
    return outcome.status == 0


def inject(call: str, what: str) -> list[str]:
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{what}"]


def count_calls(training: Training) -> Mapping[str, int]:
    """How often an undisturbed run makes each call; those before the first of `mkdir`, which makes its folder, are few
    but for openat's."""
    log = training.work / f"{training.task}.calls"
    if not log.exists():
        out = training.work / f"{training.task}-counted"
        training.go_on(out, before=["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}"])
    return Counter(re.findall(rf"^\d+ +({'|'.join(CALLS)})\(", log.read_text("utf-8", "replace"), re.MULTILINE))


def shim(folder: Path) -> Path:
    library = folder / "slow_storage.so"
    if not library.exists():
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"], check=True)
    return library
