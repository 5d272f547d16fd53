"""Training by several processes, which MPI starts and connects (`mpirun -n 4 attnkit train CONFIG`).

One process is the usual case, and costs nothing: `group()` is then `Alone`. In a training loop of one's own:

    group = attnkit.distributed.group()
    for batch in batches[group.rank :: group.size]:
        loss(batch).backward()
        attnkit.distributed.average_gradients(model.parameters())
        optimizer.step()
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from attnkit._core import Tensor
from attnkit.distributed.group import Alone, ElsewhereError, ForAll, Group, shared, together
from attnkit.distributed.launch import launched_size


@cache
def group() -> Group:
    """The processes that train together, of which this is one: those that `mpirun`, `mpiexec` or `srun` started.

    Raises RuntimeError where mpi4py is missing, or is built for another MPI than the launcher's.
    """
    if launched_size() == 1:
        return Alone()
    from attnkit.distributed.mpi import MPIGroup

    return MPIGroup()


def average_gradients(parameters: Iterable[Tensor]) -> None:
    """Makes the gradient of every parameter, in its `.grad`, the mean over all processes. One process: does nothing."""
    if group().size > 1:
        from attnkit.distributed.gradients import average_gradients

        average_gradients(group(), parameters)


__all__ = ["Alone", "ElsewhereError", "ForAll", "Group", "average_gradients", "group", "shared", "together"]
