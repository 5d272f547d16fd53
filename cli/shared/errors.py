"""How a command ends: one clear line on stderr and the right exit status, never a traceback.

Status 0: all went well. 1: a failure. 2: bad usage. 130: interrupted (128 + SIGINT); 143 and 129: the same by SIGTERM
and SIGHUP. 141: the reader of stdout went away, as in `attnkit translate ... | head` (128 + SIGPIPE, the status other
tools have then); nothing is said.
`ATTNKIT_TRACEBACK=1` lets Python's traceback through, for those who look for a bug.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

import click

from attnkit.printable import printable, shortened

from . import signals

FAILURE, USAGE, SIGNALLED, BROKEN_PIPE = 1, 2, 128, 141

_LONGEST = 2000  # characters of a line on stderr: it may quote a whole list of labels

# Exceptions of Python itself that nobody raises for a user's mistake: one of them is our bug, and is called so.
_BUGS = (AssertionError, AttributeError, LookupError, NameError, RecursionError, TypeError, ZeroDivisionError)


def status_of(command: Callable[[], None]) -> int:
    """Runs `command` and returns the exit status, having said on stderr what went wrong."""
    status = _run(command)
    for stream in (sys.stdout, sys.stderr):
        _release(stream)
    return status


def _run(command: Callable[[], None]) -> int:
    try:
        with signals.as_exceptions():
            status = _exit_code(command)
            sys.stdout.flush()  # a full disk or a closed pipe may show only now
            return status
    except BrokenPipeError:
        return BROKEN_PIPE
    except (KeyboardInterrupt, click.Abort) as error:
        say(str(error) or "interrupted")  # a command may say in the exception how to go on
        return SIGNALLED + getattr(error, "signal_number", signal.SIGINT)
    except click.UsageError as error:
        _say_usage(error)
        return USAGE
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except Exception as error:
        if os.environ.get("ATTNKIT_TRACEBACK") == "1":
            raise
        say(describe(error))
        return FAILURE


def describe(error: Exception) -> str:
    """What went wrong, in one line: the file's name and the reason for an OSError, else the message."""
    match error:
        case OSError(errno=errno.EBADF, filename=None):
            return "standard input or output is closed"
        case OSError(strerror=str(reason)):
            named = isinstance(error.filename, str | bytes)
            return f"{os.fsdecode(error.filename) or repr('')}: {reason}" if named else reason
        case UnicodeDecodeError():
            return f"expected UTF-8 text, got the byte 0x{error.object[error.start]:02x} at position {error.start}"
        case MemoryError():
            said = str(error).removeprefix("std::bad_alloc")  # what C++ says tells nothing
            return said or "not enough memory"
        case ModuleNotFoundError(name=str(name)):
            return f"the Python package {name} is needed for this and is not installed"
        case _ if isinstance(error, _BUGS) or not str(error):
            return f"internal error: {type(error).__name__}: {error} (ATTNKIT_TRACEBACK=1 shows where)"
    return str(error)


def _exit_code(command: Callable[[], None]) -> int:
    """0, or the status that Click ends with by an exception (`--help` does, with 0)."""
    try:
        command()
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def _say_usage(error: click.UsageError) -> None:
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # `attnkit` alone: it is the help
        click.echo(error.format_message(), err=True)
        return
    command = error.ctx.command_path if error.ctx else "attnkit"
    say(f"{error.format_message()} (see {command} --help)", command)


def say(message: str, command: str = "attnkit") -> None:
    """One line: a message may quote a file's name or content, which must neither break it nor reach the terminal as
    control codes."""
    tell(f"{command}: {message}")


def tell(message: str) -> None:
    """The same without the name of the command: for what went well."""
    line = shortened(printable(" ".join(message.split())), _LONGEST)
    with suppress(OSError):  # stderr may be closed; the status still tells
        print(line, file=sys.stderr, flush=True)


def _release(stream: TextIO) -> None:
    """Where a stream cannot be written, sends what is still buffered nowhere: Python would flush it at exit, fail again
    and end with a status of its own."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
