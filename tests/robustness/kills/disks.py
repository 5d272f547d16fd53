"""Trainings on a disk that is full, and with system calls that fail: they say so, and go on afterwards."""

from __future__ import annotations

import functools
import shutil
import subprocess
from pathlib import Path
from random import Random

import children

from kills.training import Training
from kills.ways import count_calls, inject

ERRORS = {"write": ("ENOSPC", "EIO", "EINTR"), "fsync": ("EIO",), "rename": ("EIO", "ENOSPC"), "openat": ("EMFILE",)}
MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


def failing_call(training: Training, out: Path, rng: Random) -> list[str]:
    """Makes a call of the run fail once; resumes it; returns the faults."""
    call = rng.choice(sorted(ERRORS))
    count = count_calls(training)[call]
    when = rng.randint(count // 2 if call == "openat" else 1, count)  # before it, Python looks for modules
    error = rng.choice(ERRORS[call])
    outcome = training.go_on(out, before=inject(call, f"error={error}:when={when}"))
    return _named(f"{error} at {call} number {when}", _after(training, out, outcome))


@functools.cache
def may_mount() -> bool:
    line = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return bool(shutil.which("unshare")) and subprocess.run(line, capture_output=True, check=False).returncode == 0


def full_disk(training: Training, out: Path, rng: Random) -> list[str]:
    """Runs it where there is too little room: on a small disk where one may be mounted, else with a limit on files."""
    sizes = [
        path.stat().st_size for path in (training.work / f"{training.task}-undisturbed").rglob("*") if path.is_file()
    ]
    if not may_mount():
        blocks = rng.randint(1, max(sizes) // 512)
        outcome = training.go_on(out, before=["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh"])
        return _named(f"files of {blocks} blocks at the most", _after(training, out, outcome))
    room = rng.randint(4096, sum(sizes))
    disk, saved = training.work / "disk", training.work / "saved"
    disk.mkdir(exist_ok=True)
    script = f'{{ "$@"; status=$?; cp -r {disk}/. {saved}; exit $status; }}'  # the disk goes with its last process
    before = ["unshare", "-m", "sh", "-c", MOUNT, "sh", str(room), str(disk), "sh", "-c", script, "sh"]
    outcome = training.go_on(disk / "run", before=before)
    if (saved / "run").exists():
        shutil.move(saved / "run", out)
    shutil.rmtree(saved, ignore_errors=True)
    return _named(f"a disk of {room} bytes", _after(training, out, outcome))


def _after(training: Training, out: Path, outcome: children.Outcome) -> list[str]:
    fault = children.fault(outcome)
    faults = [f"{training.task}: {fault}"] if fault else []
    faults += training.faults_after_a_kill(out)
    again = training.go_on(out)
    if again.status:
        return [*faults, f"{training.task}: does not go on: {again.last_line}"]
    return faults + training.faults_at_the_end(out)


def _named(what: str, faults: list[str]) -> list[str]:
    return [f"{what}: {fault}" for fault in faults]
