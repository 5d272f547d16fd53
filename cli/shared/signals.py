"""SIGINT, SIGTERM and SIGHUP end a command in order: as exceptions, so that nothing half written stays behind.

SIGBUS ends it with a line: nothing else can be done about a file that is cut while it is read.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from attnkit import _core


class Ended(KeyboardInterrupt):
    """A signal other than Ctrl-C's. What makes way for that makes way for this."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"ended by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


@contextmanager
def as_exceptions() -> Iterator[None]:
    """A signal that the caller ignores stays ignored, as SIGHUP under nohup does."""
    _core.say_on_bus_error("attnkit: a file of weights was cut while it was read; start again once it is whole")
    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            previous[number] = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else _end)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _end(number: int, frame: FrameType | None) -> None:
    raise Ended(number)
