"""A case in a child of its own, under limits of time and memory: how it ended, and what is wrong with that.

Children come from a server that has imported attnkit and run nothing, so that a case takes milliseconds, begins as a
fresh process does, and a crash ends nobody else.
"""

from __future__ import annotations

import faulthandler
import functools
import multiprocessing
import multiprocessing.context
import os
import pkgutil
import pty
import re
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import attnkit
from attnkit import _core
from attnkit.cli import main
from attnkit.cli.shared import errors

SANITIZED = bool(_core.build_info()["sanitizers"])
SECONDS = 60.0 if SANITIZED else 20.0  # of the clock on a machine of one's own
MEMORY = 5 << 28  # what a command may take beyond what it has at its start: the largest picture, twice
ADDRESS_SPACE = 4 << 30
LARGE = 10_000_000  # parameters; a training file may ask for more, and the training then takes its time and memory
LONGEST_MESSAGE = 3000
_PATIENCE = 5
BROKEN = 99  # the status of a target that let an exception out
# A warning that an allocation was refused is none: the MemoryError that comes of it is a clear end.
REPORT = re.compile(r"(?m)^(?!.*WARNING: AddressSanitizer failed to allocate).*(?:Sanitizer|runtime error:).*")


@dataclass(frozen=True)
class Outcome:
    """status: of the process; negative for a signal. memory: bytes above the start, at the most. cpu: seconds of all
    its threads, 0 where it did not end by itself."""

    status: int
    seconds: float
    memory: int
    stdout: str
    stderr: str
    cpu: float = 0.0

    @property
    def ended_itself(self) -> bool:
        return self.status >= 0

    @property
    def last_line(self) -> str:
        return (self.stderr.strip().splitlines() or [""])[-1]


def run(
    target: Callable[..., int],
    *arguments: object,
    folder: Path,
    text: bytes = b"",
    seconds: float = SECONDS,
    terminal: bool = False,
) -> Outcome:
    """What becomes of `target(*arguments)`, which returns a status, in a child that works in `folder`.

    text: its stdin. terminal: stdout and stderr are one terminal, and both stand in `stdout`.
    """
    with tempfile.TemporaryDirectory() as name:
        streams = Path(name)
        (streams / "stdin").write_bytes(text)
        begin = time.monotonic()
        child = _server().Process(target=_child, args=(target, arguments, folder, streams, seconds, terminal))
        child.start()
        child.join(_PATIENCE * seconds + 30)  # its own alarm ends it before
        if child.is_alive():
            child.kill()
            child.join()
        taken = time.monotonic() - begin
        texts = [_text(streams / stream) for stream in ("stdout", "stderr", "used")]
        status = child.exitcode
        child.close()
    assert status is not None
    memory, cpu = texts[2].split() or (0, 0)
    return Outcome(status, taken, int(memory), texts[0], texts[1], float(cpu))


@functools.cache
def _server() -> multiprocessing.context.ForkServerContext:
    server = multiprocessing.get_context("forkserver")
    library = [each.name for each in pkgutil.walk_packages(attnkit.__path__, "attnkit.")]
    programs = ("attnkit.__main__", "attnkit.benchmark", "attnkit.cli", "attnkit.demo", "attnkit.explore")
    used = [name for name in library if not name.startswith(programs)]
    used += [f"attnkit.cli.{command}" for command in main.COMMANDS]
    server.set_forkserver_preload([*used, "sentencepiece", "sacrebleu", "PIL.Image"])
    return server


def commands(lines: Sequence[Sequence[str]]) -> int:
    """Runs command lines of attnkit one after another, until one fails."""
    for line in lines:
        status = errors.status_of(functools.partial(main.run, line))
        if status:
            return status
    return 0


def fault(outcome: Outcome) -> str | None:
    """What is wrong with this end, in a line. A failure must be of status 1 or 2 and say why in a line."""
    large = _trains_a_large_model(outcome.stderr)
    if outcome.status in (-signal.SIGALRM, -signal.SIGPROF):
        return None if large else f"hangs: {_where(outcome.stderr)}"
    if outcome.status < 0:
        return f"killed by {signal.Signals(-outcome.status).name}: {_where(outcome.stderr)}"
    if report := REPORT.search(outcome.stderr):
        return f"a sanitizer's report: {report[0]}"
    if outcome.status == BROKEN or "Traceback (most recent call last)" in outcome.stderr:
        return f"a traceback: {outcome.last_line[:300]}"
    if "internal error" in outcome.stderr:
        return f"an internal error: {_first(r'internal error.*', outcome.stderr)[:300]}"
    if outcome.memory > MEMORY and not SANITIZED and not large:
        return f"takes {outcome.memory / 2**30:.1f} GiB, status {outcome.status}: {outcome.last_line[:200]}"
    if outcome.status not in (0, 1, 2):
        return f"status {outcome.status}: {outcome.last_line[:200]}"
    if outcome.status and not re.search("^attnkit", outcome.stderr or outcome.stdout, re.MULTILINE):
        return f"status {outcome.status} without a message: {outcome.last_line[:200]!r}"
    if found := re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", outcome.stderr):
        return f"a control character on stderr: {found[0]!r}"
    if longest := max((len(line) for line in outcome.stderr.splitlines() if len(line) > LONGEST_MESSAGE), default=0):
        return f"a message of {longest} characters: {outcome.last_line[:120]}"
    return None


def _trains_a_large_model(stderr: str) -> bool:
    found = re.search(r"^model: ([\d,]+) parameters", stderr, re.MULTILINE)
    return found is not None and int(found[1].replace(",", "")) > LARGE


def _where(stderr: str) -> str:
    """The innermost frames that faulthandler wrote, without what is the same in every child."""
    frames = re.findall(r'File "[^"]*?([^/"]+)", line \d+ in (\S+)', stderr)
    return " < ".join(f"{file}:{function}" for file, function in frames[:4]) or stderr.strip()[-200:]


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else text[-200:]


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace") if path.exists() else ""


# ----- In the child


def _child(
    target: Callable[..., int],
    arguments: tuple[object, ...],
    folder: Path,
    streams: Path,
    seconds: float,
    terminal: bool,
) -> None:
    os.chdir(folder)
    finish = _connect(streams, terminal)
    faulthandler.enable()
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    set_alarm(seconds)
    before = _peak()
    try:
        status = target(*arguments)
    except BaseException:
        traceback.print_exc()
        status = BROKEN
    sys.stdout.flush()
    sys.stderr.flush()
    (streams / "used").write_text(f"{_peak() - before} {time.process_time()}")
    finish()
    os._exit(status)


def set_alarm(seconds: float) -> None:
    """The process dies by SIGPROF when two cores have worked for that time, or by SIGALRM after several times as long
    by the clock, which others on the machine may take; whatever it does then, it says where it is."""
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    faulthandler.register(signal.SIGPROF, chain=True)
    signal.setitimer(signal.ITIMER_PROF, 2 * seconds)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE * seconds)
    faulthandler.dump_traceback_later(_PATIENCE * seconds * 0.9)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _connect(streams: Path, terminal: bool) -> Callable[[], None]:
    """Puts files in the place of the standard streams, or a terminal; returns what must be done at the end."""
    os.dup2(os.open(streams / "stdin", os.O_RDONLY), 0)
    stdout, stderr = (os.open(streams / name, os.O_WRONLY | os.O_CREAT, 0o600) for name in ("stdout", "stderr"))
    if not terminal:
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        return lambda: None
    ours, theirs = pty.openpty()
    os.dup2(theirs, 1)
    os.dup2(theirs, 2)
    os.close(theirs)
    copier = threading.Thread(target=_copy, args=(ours, stdout), daemon=True)
    copier.start()

    def finish() -> None:
        faulthandler.cancel_dump_traceback_later()
        os.close(1)
        os.close(2)
        copier.join(5)

    return finish


def _copy(source: int, target: int) -> None:
    try:
        while part := os.read(source, 65536):
            os.write(target, part)
    except OSError:  # how the end of the other side shows on Linux
        pass
