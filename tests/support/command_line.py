"""Running attnkit as its users do: in a process of its own.

A run whose streams are pipes is forked from a server (forked_commands.py); with anything else of its own it is started.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

from forked_commands import forked


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "attnkit.cli.main", *map(str, arguments)]


def attnkit_run(*arguments: str | Path, text: str | bytes = "", **options: Any) -> subprocess.CompletedProcess[bytes]:
    data = text.encode() if isinstance(text, str) else text
    if options.keys() <= {"cwd"}:
        done = forked([*map(str, arguments)], data, os.path.abspath(options.get("cwd", ".")), seconds=60)
        if done:
            return done
    options = {"stdout": subprocess.PIPE} | options
    return subprocess.run(command(*arguments), input=data, stderr=subprocess.PIPE, timeout=60, **options)


def output(*arguments: str | Path, text: str | bytes = "") -> str:
    done = attnkit_run(*arguments, text=text)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def complaint(*arguments: str | Path, text: str | bytes = "", status: int = 1, **options: Any) -> str:
    """The one line on stderr of a run that must fail with `status` and leave stdout empty."""
    done = attnkit_run(*arguments, text=text, **options)
    message = done.stderr.decode()
    assert done.returncode == status, message
    assert not done.stdout
    assert message.startswith("attnkit") and message.count("\n") == 1 and "internal error" not in message, message
    return message


def on_a_terminal(*arguments: str | Path, text: str) -> str:
    """What a run writes whose stdout is a terminal, its stdin not."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*arguments),
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "60", "LINES": "20"},
    ) as process:
        os.close(theirs)
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        written = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # how the end of the other side shows on Linux
                break
            if not part:
                break
            written += part
        os.close(ours)
        assert process.wait(60) == 0, process.stderr.read().decode()
    return written.decode().replace("\r\n", "\n")
