"""Which processes share a machine: they share out its cores, and all use instructions that round alike."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attnkit import _core
from attnkit.distributed.group import Group

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of the machine, whatever its containers call themselves


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process is. machine, host: what tells machines apart, and this one's name. cpus: those it may use, of
    `machine_cpus`. threads: what it would use alone. isas: its instruction sets, up to the one in use."""

    machine: str
    host: str
    cpus: frozenset[int]
    machine_cpus: int
    threads: int
    isas: tuple[str, ...]

    @classmethod
    def here(cls) -> Place:
        host, count = socket.gethostname(), os.cpu_count() or 1
        supported = _core.supported_isas()
        return cls(
            _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else host,
            host,
            frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(count)),
            count,
            _core.get_num_threads(),
            tuple(supported[: supported.index(_core.active_isa()) + 1]),
        )


@dataclass(frozen=True, slots=True)
class Shares:
    """What the processes agree on: threads of this one, the instruction set of all, and a line about it."""

    threads: int
    isa: str
    description: str


def settle(group: Group) -> str:
    """Gives each process its share of the cores, where OMP_NUM_THREADS does not say how many, and all the best
    instruction set that all have: with others, weights that each process computes for itself would drift apart.
    Returns a line about it."""
    shares = share(group.gather(Place.here()), group.rank, bool(os.environ.get("OMP_NUM_THREADS")))
    _core.set_num_threads(shares.threads)
    _core.set_isa(shares.isa)
    return shares.description


def share(places: Sequence[Place], rank: int, threads_are_set: bool = False) -> Shares:
    """What is this process's where all are in these places, by rank."""
    own = places[rank]
    together = [each for each in places if each.machine == own.machine]
    threads = own.threads
    if not threads_are_set:
        threads = max(1, threads // sum(bool(each.cpus & own.cpus) for each in together))
    isa = [isa for isa in own.isas if all(isa in each.isas for each in places)][-1]
    hosts = len({(each.machine, each.host) for each in places})
    text = f"{len(places)} processes on {hosts} host(s), {threads} thread(s) each"
    best = sorted({each.isas[-1] for each in places})
    if len(best) > 1:
        text += f"; of {' and '.join(best)} all use {isa}"
    used = len(frozenset[int]().union(*(each.cpus for each in together)))
    if used < own.machine_cpus and not threads_are_set:
        text += f"; they are bound to {used} of this host's {own.machine_cpus} CPUs (mpirun --bind-to none gives all)"
    return Shares(threads, isa, text)
