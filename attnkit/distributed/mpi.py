"""The group of the processes that a launcher of MPI started (`mpirun`, `mpiexec`, `srun`), by mpi4py."""

from __future__ import annotations

import atexit
import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from attnkit.distributed.hosts import settle
from attnkit.distributed.launch import launched_size, stop_signals
from attnkit.distributed.wire import Wire

T = TypeVar("T")

# Of two processes that send to each other at once, Open MPI lets one wait until the other's bytes are through: the
# answer to its "may I send" queues behind them. With two connections each has most of the rate of the link.
_OPEN_MPI = ("OMPI_MCA_btl_tcp_links", "2")


class MPIGroup:
    """All processes of MPI's world.

    One thread of each makes all calls of MPI, in the order in which they were asked for: gradients travel while the
    others compute, and no process waits for MPI inside a signal's handler.
    """

    def __init__(self) -> None:
        """Raises RuntimeError where mpi4py is missing, or is built for another MPI than the launcher's."""
        os.environ.setdefault(*_OPEN_MPI)
        try:
            from mpi4py import MPI
        except ImportError as error:
            raise RuntimeError(
                f"[distributed] {launched_size()} processes were started by MPI, which needs mpi4py: "
                f"pip install 'attnkit[mpi]' ({error})"
            ) from None
        if MPI.COMM_WORLD.size != launched_size():
            raise RuntimeError(
                f"[distributed] expected {launched_size()} processes, as the launcher says, got {MPI.COMM_WORLD.size}: "
                f"the launcher is of another MPI than mpi4py's library ({MPI.Get_library_version().splitlines()[0]})"
            )
        if MPI.Query_thread() < MPI.THREAD_SERIALIZED:
            raise RuntimeError("[distributed] expected an MPI that threads may use (MPI_THREAD_SERIALIZED)")
        self._wire = Wire(MPI.COMM_WORLD)
        self.rank, self.size = self._wire.rank, self._wire.size
        self._jobs: queue.SimpleQueue[tuple[Callable[[Wire], Any], Future[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="attnkit-mpi", daemon=True).start()
        atexit.register(self._leave)
        self._failure_status = self._interrupted_status = 0
        self.stop_signals = stop_signals()
        self.description = settle(self)

    def later(self, job: Callable[[Wire], T]) -> Future[T]:
        """Does the job in its turn, while the caller goes on."""
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return future

    def broadcast(self, value: T) -> T:
        return self.later(lambda wire: wire.broadcast(value)).result()  # type: ignore[no-any-return]

    def gather(self, value: T) -> list[T]:
        return self.begin_gather(value)()

    def begin_gather(self, value: T) -> Callable[[], list[T]]:
        return self.later(lambda wire: wire.gather(value)).result

    def collect(self, value: T) -> list[T]:
        return self.later(lambda wire: wire.collect(value)).result()

    def wait_for_ever(self, patient: bool) -> None:
        self._wire.patient = patient

    def interrupt(self, status: int) -> None:
        self._interrupted_status = status

    def fail(self, status: int) -> None:
        self._failure_status = status

    def _work(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                future.set_result(job(self._wire))
            except BaseException as error:
                future.set_exception(error)

    def _leave(self) -> None:
        """At exit, before mpi4py's own farewell, which waits for all processes."""
        if self._failure_status:
            self._wire.comm.Abort(self._failure_status)
        if self._interrupted_status:
            # Open MPI's launcher does not answer a farewell any more. It kills the others as soon as one has ended: all
            # have said and written what they had to.
            self.gather(None)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self._interrupted_status)
