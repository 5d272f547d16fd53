"""Hosts with addresses of their own, on one machine, whose links can be slow, lossy or cut.

Linux only, and only for who may make namespaces: `why_not()` says what is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SWITCH = Path(__file__).with_name("host_switch.py")
SPACES = ("--net", "--uts", "--ipc", "--mount")


@dataclass(frozen=True)
class Traffic:
    """What one host has sent: bytes with IP and TCP headers, packets, and how many of them were lost."""

    bytes: int
    packets: int
    lost: int


@cache
def why_not() -> str | None:
    """Why there can be no hosts here; None if there can."""
    missing = [name for name in ("unshare", "nsenter", "ip", "sleep") if shutil.which(name) is None]
    if missing:
        return f"needs the program {missing[0]}"
    try:
        with network(1):
            return None
    except (OSError, RuntimeError) as error:
        return f"network namespaces and TUN devices are not permitted here ({error})"


class Network:
    """Hosts, numbered from 0. Programs run on them by `start`, all in one PID namespace."""

    def __init__(self, switch: subprocess.Popen[str], directory: Path) -> None:
        self._switch = switch
        self.directory = directory
        described = json.loads(self._read())
        self.addresses = [host["address"] for host in described]
        self._namespaces = [host["namespace"] for host in described]
        self.agent = directory / "agent"  # what starts programs on other hosts, called as ssh is
        spaces = " ".join(SPACES)
        self.agent.write_text(
            '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nhost=$1\nshift\n'
            f'exec nsenter --target "$(cat {directory}/$host)" {spaces} -- sh -c "cd \'$PWD\' && $*"\n'
        )
        self.agent.chmod(0o755)

    def _read(self) -> str:
        assert self._switch.stdout is not None and self._switch.stderr is not None
        line = self._switch.stdout.readline()
        if not line:
            raise RuntimeError((self._switch.stderr.read().strip().splitlines() or ["no word of it"])[-1])
        return line

    def _ask(self, host: int | None, link: Mapping[str, float | bool]) -> list[Traffic]:
        assert self._switch.stdin is not None
        self._switch.stdin.write(json.dumps({"host": host, "link": link}) + "\n")
        self._switch.stdin.flush()
        return [Traffic(**counts) for counts in json.loads(self._read())]

    def link(self, host: int | None = None, **settings: float | bool) -> None:
        """Sets what the cable of one host, or of all, does from now on.

        latency (seconds, one way), loss (share of the packets), bandwidth (bits a second each way; 0: as fast as it
        goes), cut (True: nothing passes).
        """
        self._ask(host, settings)

    def traffic(self) -> list[Traffic]:
        """What each host has sent since the beginning."""
        return self._ask(None, {})

    def command(self, host: int, words: Sequence[str]) -> list[str]:
        """The command that runs `words` on a host, in the current folder."""
        here = f"cd '{os.getcwd()}' && exec \"$@\""
        holder = (self.directory / self.addresses[host]).read_text()
        inside = ["nsenter", "--target", holder, *SPACES, "--", "sh", "-c", here, "sh", *words]
        return ["nsenter", "--target", str(self._first()), "--pid", "--mount", "--", *inside]

    def start(self, host: int, words: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Starts a program on a host. The process here is its parent: for signals there is `started`."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        options["env"] = {**os.environ, "TMPDIR": str(self.directory), **options.get("env", {})}
        return subprocess.Popen(self.command(host, words), **options)

    def run(self, host: int, words: Sequence[str], timeout: float = 60, **options: Any) -> tuple[int, str, str]:
        """Runs a program on a host to its end: its exit status, stdout and stderr."""
        with self.start(host, words, **options) as process:
            try:
                out, errors = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                self.kill(host)
                raise
        return process.returncode, out.decode(), errors.decode()

    def started(self, process: subprocess.Popen[bytes]) -> int:
        """The program itself, of a process that `start` has given."""
        return _child(process.pid)

    def _first(self) -> int:
        """The switch, as its parent `unshare` has it."""
        return _child(self._switch.pid)

    def processes(self, host: int, program: str = "") -> list[int]:
        """The processes on a host that run this program, or any, without those that make it a host."""
        own = (b"sleep infinity", b"nsenter", b"unshare", f"{sys.executable} {SWITCH}".encode())
        found = []
        for pid in self._in_namespace(host):
            line = _command_line(pid)
            if line and not line.startswith(own) and (not program or line.startswith(f"{program} ".encode())):
                found.append(pid)
        return sorted(found)

    def root(self, host: int) -> Path:
        """The root of the files as the host sees them."""
        holder = next(pid for pid in self._in_namespace(host) if _command_line(pid).startswith(b"sleep infinity"))
        return Path(f"/proc/{holder}/root")

    def _in_namespace(self, host: int) -> Iterator[int]:
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and os.stat(folder / "ns/net").st_ino == self._namespaces[host]:
                    yield int(folder.name)
            except OSError:  # it has just ended
                continue

    def kill(self, host: int, program: str = "") -> int:
        """Kills the processes on a host that run this program, or any: how many there were."""
        pids = self.processes(host, program)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""


@contextmanager
def network(count: int, mtu: int = 1500) -> Iterator[Network]:
    """`count` hosts that reach each other. At the end, or this process's, their programs are killed."""
    if count > 250:
        raise ValueError(f"[hosts] expected at most 250 hosts, got {count}")
    with tempfile.TemporaryDirectory(prefix="hosts-", ignore_cleanup_errors=True) as directory:
        words = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", sys.executable, str(SWITCH)]
        switch = subprocess.Popen(
            [*words, str(count), directory, str(mtu)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield Network(switch, Path(directory))
        finally:
            switch.stdin.close()  # type: ignore[union-attr]
            try:
                switch.wait(10)
            except subprocess.TimeoutExpired:
                switch.kill()
                switch.wait()
            switch.stdout.close()  # type: ignore[union-attr]
            switch.stderr.close()  # type: ignore[union-attr]
