"""Whether a launcher of MPI started this process as one of several, as its environment tells."""

from __future__ import annotations

import os
import signal


def launched_size() -> int:
    """How many processes the launcher says that it has started; 1 without a launcher."""
    said = os.environ.get("OMPI_COMM_WORLD_SIZE") or os.environ.get("PMI_SIZE")
    if "PMIX_RANK" in os.environ:  # by Slurm's srun, which gives its own number to what runs alone as well
        said = said or os.environ.get("SLURM_NTASKS")
    return max(1, int(said)) if said and said.isdigit() else 1


def stop_signals() -> tuple[int, ...]:
    """What asks for an orderly end beside the usual signals. SIGUSR1 is what every launcher hands on at once. Open MPI
    answers Ctrl-C with SIGCONT to all processes, and kills them 0.5 to 2 seconds later; SIGTERM comes in the middle."""
    if launched_size() == 1:
        return ()
    return (signal.SIGUSR1, signal.SIGCONT) if "OMPI_COMM_WORLD_SIZE" in os.environ else (signal.SIGUSR1,)
