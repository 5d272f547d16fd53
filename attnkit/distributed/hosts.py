"""Which processes share a machine: they share out its cores, and all use instructions that round alike."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from attnkit import _core
from attnkit.distributed.group import Group

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of the machine, whatever its containers call themselves


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process is. machine, host: what tells machines apart, and this one's name. cpus: those it may use. isas:
    its instruction sets, up to the one in use."""

    machine: str
    host: str
    cpus: frozenset[int]
    isas: list[str]

    @classmethod
    def here(cls) -> Place:
        host = socket.gethostname()
        supported = _core.supported_isas()
        return cls(
            _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else host,
            host,
            frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)),
            supported[: supported.index(_core.active_isa()) + 1],
        )


def settle(group: Group) -> str:
    """Gives each process its share of the cores, where OMP_NUM_THREADS does not say how many, and all the best
    instruction set that all have: with others, weights that each process computes for itself would drift apart.
    Returns a line about it."""
    places = group.gather(Place.here())
    own = places[group.rank]
    sharing = sum(each.machine == own.machine and bool(each.cpus & own.cpus) for each in places)
    if not os.environ.get("OMP_NUM_THREADS"):
        _core.set_num_threads(max(1, _core.get_num_threads() // sharing))
    isa = [isa for isa in own.isas if all(isa in each.isas for each in places)][-1]
    best = sorted({each.isas[-1] for each in places})
    _core.set_isa(isa)
    hosts = len({(each.machine, each.host) for each in places})
    common = f"; of {' and '.join(best)} all use {isa}" if len(best) > 1 else ""
    return f"{group.size} processes on {hosts} host(s){common}"
