"""Ctrl-C, SIGTERM, SIGHUP, and what a launcher of several processes sends: the first asks for an orderly end at the
next safe place, the second Ctrl-C ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

from attnkit.distributed import ForAll


class StopRequested(ForAll):
    """Raised by `Interruption.check` where nothing is half done. signal_number: of the signal, which may have reached
    another process of the group alone."""

    def __init__(self, signal_number: int = 0) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number


class Interruption:
    """Catches the signals while it is entered.

    Signals reach Python in its main thread only; elsewhere, and where a signal is ignored already (a shell's background
    job, nohup), nothing is caught. `on_request` is told the signal's name when the first one arrives.
    """

    def __init__(self, on_request: Callable[[str], None], more: Iterable[int] = ()) -> None:
        """more: further signals that ask for the end, as a launcher of several processes sends them."""
        self.signal_number = 0
        self._caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, *more)
        self._suspended = False
        self._on_request = on_request
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in self._caught:
                previous = signal.getsignal(number)
                if previous not in (signal.SIG_IGN, None):
                    self._previous[number] = previous
                    signal.signal(number, self._request)
            if signal.SIGCONT in self._caught:
                self._previous[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
        return self

    def __exit__(self, *error: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        self._previous.clear()

    def check(self) -> None:
        """Raises StopRequested once a signal has arrived."""
        if self.signal_number:
            raise StopRequested(self.signal_number)

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Stops here, as after Ctrl-Z or by Slurm, and knows SIGCONT for what it is when that comes."""
        self._suspended = True
        os.kill(os.getpid(), signal.SIGSTOP)

    def _request(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGCONT and self._suspended:
            self._suspended = False
            return
        if self.signal_number and number == signal.SIGINT:
            raise KeyboardInterrupt("aborted; what was saved last is intact")
        if not self.signal_number:
            self.signal_number = number
            self._on_request(signal.Signals(number).name)
