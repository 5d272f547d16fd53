"""What goes between processes: arrays, by MPI's operations that return at once, waited for without taking a core."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from attnkit.printable import quoted

if TYPE_CHECKING:
    from mpi4py import MPI

Floats = npt.NDArray[np.float32]

TIMEOUT_VARIABLE = "ATTNKIT_MPI_TIMEOUT"
_TIMEOUT = 600.0  # seconds without an answer

# MPI's own waiting spins. These pauses leave the core to whoever computes, and bytes that arrive meanwhile wait in the
# system's buffers: those of 0.2 ms at 10 Gbit/s are 250 KB.
_FIRST_PAUSE, _LONGEST_PAUSE = 20e-6, 200e-6
_PART = 1 << 30  # bytes of one message: MPI counts in 32 bits


def timeout() -> float:
    """Seconds without an answer, after which the others are given up. Raises RuntimeError for what is no number."""
    said = os.environ.get(TIMEOUT_VARIABLE)
    try:
        seconds = float(said or _TIMEOUT)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise RuntimeError(f"{TIMEOUT_VARIABLE}: expected seconds above 0, got {quoted(said)}")
    return seconds


class Wire:
    """The communicator of a group, for the one thread that uses it.

    patient: no answer for however long is no failure, as when rank 0 learns a tokenizer that all wait for.
    """

    def __init__(self, comm: MPI.Comm) -> None:
        self.comm = comm
        self.rank, self.size = comm.rank, comm.size
        self.patient = True
        self._timeout = timeout()

    def wait(self, *requests: MPI.Request) -> None:
        """Until all are done. Ends the whole run where nothing happens for too long: a host is gone without a word."""
        pause, deadline = _FIRST_PAUSE, time.monotonic() + self._timeout
        for request in requests:
            while not request.Test():
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                if not self.patient and time.monotonic() > deadline:
                    self._give_up()

    def _give_up(self) -> None:
        print(
            f"attnkit: [distributed] process {self.rank} has waited {self._timeout:g} s for the others: a host or its "
            f"network is gone; go on from the last checkpoint by --resume ({TIMEOUT_VARIABLE} sets the seconds)",
            file=sys.stderr,
            flush=True,
        )
        self.comm.Abort(1)

    def exchange(self, out: npt.NDArray[Any], into: npt.NDArray[Any], partner: int) -> None:
        """Sends `out` to the partner and receives what it sends."""
        self.wait(self.comm.Irecv(into, partner), self.comm.Isend(out, partner))

    def swap(self, out: Sequence[npt.NDArray[Any]], into: Sequence[npt.NDArray[Any]]) -> None:
        """Sends `out[r]` to each other process r, and receives `into[r]` from it."""
        others = [(self.rank + step) % self.size for step in range(1, self.size)]
        receives = [self.comm.Irecv(into[other], other) for other in others]
        self.wait(*receives, *(self.comm.Isend(out[other], other) for other in others))

    def broadcast(self, value: Any) -> Any:
        """What rank 0 gave."""
        data = bytearray(pickle.dumps(value, pickle.HIGHEST_PROTOCOL) if self.rank == 0 else b"")
        size = np.array([len(data)], np.int64)
        self.wait(self.comm.Ibcast(size, 0))
        if self.rank:
            data = bytearray(int(size[0]))
        view = memoryview(data)
        for start in range(0, len(data), _PART):
            self.wait(self.comm.Ibcast(view[start : start + _PART], 0))
        return value if self.rank == 0 else pickle.loads(data)

    def gather(self, value: Any) -> list[Any]:
        """What every process gave, by rank."""
        data = np.frombuffer(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), np.uint8)
        sizes = np.empty(self.size, np.int64)
        self.wait(self.comm.Iallgather(np.array([len(data)], np.int64), sizes))
        ends = np.cumsum(sizes)
        everything = np.empty(int(ends[-1]), np.uint8)
        self.wait(self.comm.Iallgatherv(data, [everything, sizes.astype(np.int32)]))
        return [pickle.loads(everything[end - size : end].data) for end, size in zip(ends, sizes, strict=True)]

    def collect(self, value: Any) -> list[Any]:
        """What every process gave, by rank, for rank 0; nothing for the others."""
        data = memoryview(b"" if self.rank == 0 else pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        sizes = self.gather(len(data))
        if self.rank:
            for start in range(0, len(data), _PART):
                self.wait(self.comm.Isend(data[start : start + _PART], 0))
            return []
        values = [value]
        for rank in range(1, self.size):
            into = bytearray(sizes[rank])
            for start in range(0, len(into), _PART):
                self.wait(self.comm.Irecv(memoryview(into)[start : start + _PART], rank))
            values.append(pickle.loads(into))
        return values
