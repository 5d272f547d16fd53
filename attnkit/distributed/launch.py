"""Whether a launcher of MPI started this process as one of several, as its environment tells."""

from __future__ import annotations

import os
import signal

# Open MPI's mpirun, the Hydra of MPICH and Intel MPI, MVAPICH; then Slurm's srun, which says it beside a rank.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
_SLURM_RANKS, _SLURM_SIZE = ("PMIX_RANK", "PMI_RANK"), "SLURM_NTASKS"


def launched_size() -> int:
    """How many processes the launcher says that it has started; 1 without a launcher."""
    for name in _SIZES:
        if os.environ.get(name, "").isdigit():
            return max(1, int(os.environ[name]))
    if any(name in os.environ for name in _SLURM_RANKS) and os.environ.get(_SLURM_SIZE, "").isdigit():
        return max(1, int(os.environ[_SLURM_SIZE]))
    return 1


def stop_signals() -> tuple[int, ...]:
    """What asks for an orderly end beside the usual signals. SIGUSR1 is what every launcher hands on at once. Open MPI
    answers Ctrl-C with SIGCONT to all processes, and kills them 0.5 to 2 seconds later; SIGTERM comes in the middle."""
    if launched_size() == 1:
        return ()
    return (signal.SIGUSR1, signal.SIGCONT) if _SIZES[0] in os.environ else (signal.SIGUSR1,)
