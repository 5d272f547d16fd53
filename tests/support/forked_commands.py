"""Commands of attnkit in processes that a server forks, which has imported attnkit and has run nothing.

Python, NumPy and attnkit take a quarter of a second of a core before a command begins, and most commands of the tests
take a tenth of that. What is forked has its own standard streams, folder, environment and end, as a process that was
started has. It shares with the others what a start decides: variables of Python's, attnkit's and of libraries, and the
order of Python's sets.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib import import_module

_LONGEST = 1 << 16  # bytes of a request; a longer one is not a message of a socket everywhere
_AT_START = ("ATTNKIT_", "PYTHON", "OMP_", "GOMP_", "OPENBLAS_", "LD_", "LC_", "LANG")
"""What variables are called that are read while a process starts and what it imports is imported."""


def forked(
    arguments: Sequence[str], text: bytes, folder: str, seconds: float
) -> subprocess.CompletedProcess[bytes] | None:
    """A run of `attnkit arguments` with `text` on stdin in `folder`. None where only a start can show what it does:
    with other variables of `_AT_START` than the server has, or with arguments that are too long. Raises
    subprocess.TimeoutExpired."""
    asked = {"arguments": list(arguments), "folder": folder, "environment": dict(os.environ)}
    request = json.dumps(asked).encode()
    if _read_at_start() != _SERVERS or len(request) > _LONGEST:
        return None
    return _server().run(["attnkit", *arguments], request, text, seconds)


def _read_at_start() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(_AT_START)}


_SERVERS = _read_at_start()  # before any test has changed them for itself


@functools.cache
def _server() -> _Server:
    return _Server()


class _Server:
    """Does one command at a time. It ends with this process, whose end closes the socket between them."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Pipes, as what is forked has: Python asks once, at its start, what kind of file each stream is.
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        theirs.close()
        atexit.register(self._end)

    def _end(self) -> None:
        self._channel.close()
        self._process.communicate()

    def run(
        self, words: Sequence[str], request: bytes, text: bytes, seconds: float
    ) -> subprocess.CompletedProcess[bytes]:
        reads, writes = zip(*(os.pipe() for _ in range(3)), strict=True)
        theirs = [reads[0], writes[1], writes[2]]
        try:
            socket.send_fds(self._channel, [request], theirs)
        finally:
            for each in theirs:
                os.close(each)
        written: list[bytes] = [b"", b""]
        streams = [
            threading.Thread(target=_write, args=(writes[0], text)),
            threading.Thread(target=_read, args=(reads[1], written, 0)),
            threading.Thread(target=_read, args=(reads[2], written, 1)),
        ]
        for each in streams:
            each.start()
        status = self._end_of(words, seconds)
        for each in streams:
            each.join()
        return subprocess.CompletedProcess(words, status, *written)

    def _end_of(self, words: Sequence[str], seconds: float) -> int:
        process = int(self._heard())
        self._channel.settimeout(seconds)
        try:
            return int(self._heard())
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            self._channel.settimeout(None)
            self._heard()
            raise subprocess.TimeoutExpired(words, seconds) from None
        finally:
            self._channel.settimeout(None)

    def _heard(self) -> bytes:
        heard = self._channel.recv(64)
        if not heard:
            raise RuntimeError(f"the server of commands has ended: {self._process.communicate()[1].decode()}")
        return heard


def _write(descriptor: int, text: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as stream:  # not every command reads all
        stream.write(text)


def _read(descriptor: int, written: list[bytes], place: int) -> None:
    with open(descriptor, "rb") as stream:
        written[place] = stream.read()


def _serve(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Forks for each request; comes back in what was forked, with the request and its standard streams."""
    while True:
        request, streams, _, _ = socket.recv_fds(channel, _LONGEST, 3)
        if not request:
            os._exit(0)
        process = os.fork()
        if not process:
            return request, streams
        for each in streams:
            os.close(each)
        channel.send(b"%d" % process)
        channel.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def _main() -> None:
    channel = socket.socket(fileno=int(sys.argv[1]))
    sys.argv[:] = ["attnkit"]  # attnkit asks at its import whether it is a command
    del sys.path[0]  # this file's folder, which no command has
    program = import_module("attnkit.cli.main")
    for command in program.COMMANDS:
        import_module(f"attnkit.cli.{command}")
    request, streams = _serve(channel)
    channel.close()
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    asked = json.loads(request)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv[1:] = asked["arguments"]
    program.main()


if __name__ == "__main__":
    _main()
