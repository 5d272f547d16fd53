"""Being connected to a cluster of Ray, or to one that is started on this machine for as long as it is needed."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from attnkit import _core
from attnkit.ray.library import library

LOCAL = "local"
_PATIENCE = 10.0  # seconds for an answer from an address
_STORE = 128 << 20  # bytes of shared memory: what goes through Ray itself is little


@contextlib.contextmanager
def session(address: str) -> Iterator[Any]:
    """The module `ray`, connected: to `auto` (a cluster that this machine belongs to), `host:port` or `ray://host:port`,
    or to `local`, a cluster of this machine alone, which ends with the block. A program that is connected already stays
    so. What Ray says of itself goes to its log files.

    Raises RuntimeError where Ray is missing or there is no cluster at the address.
    """
    ray = library()
    if ray.is_initialized():
        yield ray
        return
    with _quiet():
        _connect(ray, address)
        try:
            yield ray
        finally:
            _forget_what_threads_meet(os.path.dirname(ray.__file__))
            ray.shutdown()


def _forget_what_threads_meet(folder: str) -> None:
    """Threads of Ray Data that are still at work when the connection ends meet its end as an error, at any moment until
    the program ends: nobody needs to read of it. folder: of Ray's package; what is raised elsewhere is said as before.
    """
    say_of_thread, say_of_object = threading.excepthook, sys.unraisablehook

    def of_thread(error: threading.ExceptHookArgs) -> None:
        if not _passed(error.exc_traceback, folder):
            say_of_thread(error)

    def of_object(error: sys.UnraisableHookArgs) -> None:
        if not _passed(error.exc_traceback, folder):
            say_of_object(error)

    threading.excepthook, sys.unraisablehook = of_thread, of_object


def _passed(traceback: TracebackType | None, folder: str) -> bool:
    """Did an error pass through a file below a folder?"""
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename.startswith(folder + os.sep):
            return True
        traceback = traceback.tb_next
    return False


def cpus(ray: Any) -> float:
    """Of all nodes."""
    return float(ray.cluster_resources().get("CPU", 0.0))


def most_cpus(ray: Any) -> float:
    """Of the node that has the most."""
    return max((node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]), default=0.0)


def _connect(ray: Any, address: str) -> None:
    _check_reachable(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        # Nothing is told to others, and nobody looks at a page of figures.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {"num_cpus": _core.get_num_threads(), "include_dashboard": False, "object_store_memory": _STORE}
    previous = signal.getsignal(signal.SIGTERM)
    try:
        with _silent():
            _begin(ray, address, options)
    except (ImportError, RuntimeError, ValueError, OSError) as error:  # ray:// needs more packages
        reason = str(error).strip().partition("\n")[0]
        raise RuntimeError(f"[ray] expected a cluster of Ray at {address}, got none: {reason}") from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, previous)  # Ray puts its own in its place


def _begin(ray: Any, address: str, options: dict[str, Any]) -> None:
    """The cluster starts a process for each client that comes from outside, and gives it half a minute, which a machine
    that is busy does not always keep: such a client asks twice."""
    try:
        ray.init(address=address, **options)
    except ConnectionAbortedError:
        ray.init(address=address, **options)


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise RuntimeError(f"[ray] expected a cluster of Ray at {address}, got none: {error}") from None


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Ray's core tells its settings to the descriptor of standard error."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray prints on standard output what happens to its workers, and its core on standard error."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
