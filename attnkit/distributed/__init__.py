"""Training by several processes, which MPI starts and connects (`mpirun -n 4 attnkit train CONFIG`).

One process is the usual case, and costs nothing: `group()` is then `Alone`.
"""

from __future__ import annotations

from attnkit.distributed.group import Alone, ForAll, Group, shared

_group: Group = Alone()


def group() -> Group:
    """The processes that train together, of which this is one."""
    return _group


__all__ = ["Alone", "ForAll", "Group", "group", "shared"]
