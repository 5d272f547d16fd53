"""The environment variables that attnkit reads: the one list, for `attnkit doctor` and `docs/environment.md`."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """`values` says what may be set, `default` what holds when it is not, `meaning` what it does."""

    name: str
    values: str
    default: str
    meaning: str


VARIABLES = (
    Variable(
        "ATTNKIT_ISA",
        "portable, sse4, avx2, avx512, avx512_bf16, amx; neon on 64-bit ARM",
        "the best that the CPU has",
        "The instruction set of the kernels. One that the machine lacks is refused.",
    ),
    Variable(
        "OMP_NUM_THREADS",
        "a number from 1",
        "affinity mask and cgroup quota",
        "The number of threads. It can lower the number that the machine allows, and cannot raise it.",
    ),
    Variable(
        "OPENBLAS_NUM_THREADS",
        "a number from 1",
        "1 in the command `attnkit`",
        "The threads of NumPy's own products, of which the command has few. Programs that import attnkit keep theirs.",
    ),
    Variable(
        "GOMP_SPINCOUNT",
        "a number",
        "3000",
        "How many times a waiting thread of GCC's OpenMP looks for work before it sleeps. A large number helps a "
        "process that has the cores to itself, and slows all down where two share them.",
    ),
    Variable(
        "OMP_WAIT_POLICY",
        "active, passive",
        "as GOMP_SPINCOUNT says",
        "The same for any OpenMP: with `active` waiting threads keep their cores, with `passive` they sleep at once.",
    ),
    Variable(
        "ATTNKIT_PROFILE",
        "1, or the name of a file",
        "no profile",
        "When the program ends, a table of its ops goes to stderr, or into the file as JSON: calls, time, bytes, "
        "arithmetic and the share of the machine's roof.",
    ),
    Variable(
        "ATTNKIT_CHECK_NAN",
        "1",
        "no check",
        "The first op that gives NaN without having read one raises an error that names it.",
    ),
    Variable(
        "ATTNKIT_IMPORT",
        "modules, a comma between",
        "none",
        "What may be imported when a model's configuration names a score or normaliser of yours.",
    ),
    Variable(
        "OMPI_COMM_WORLD_SIZE",
        "a number",
        "one process",
        "How many processes Open MPI's `mpirun` has started: they train together.",
    ),
    Variable("PMI_SIZE", "a number", "one process", "The same from MPICH's and Intel's `mpiexec`, and from `srun`."),
    Variable(
        "PMIX_RANK",
        "a number",
        "one process",
        "Set by `srun --mpi=pmix`, which then says in SLURM_NTASKS how many there are.",
    ),
    Variable("SLURM_NTASKS", "a number", "one process", "The number of processes of a job of Slurm; see PMIX_RANK."),
    Variable(
        "ATTNKIT_MPI_TIMEOUT",
        "seconds",
        "600",
        "How long a process of a training over MPI waits for the others before it ends the run: a host is gone.",
    ),
    Variable(
        "ATTNKIT_TRACEBACK",
        "1",
        "a message of one line",
        "A command that fails shows Python's traceback.",
    ),
    Variable(
        "ATTNKIT_OFFLINE",
        "1",
        "models are fetched by name",
        "Nothing is asked or fetched: a model's name finds what is here. `HF_HUB_OFFLINE` says the same.",
    ),
    Variable(
        "ATTNKIT_REGISTRY",
        "an address",
        "Mozilla's own",
        "Where Mozilla's registry of models is, or a copy of it: the address in front of `/db/models.json`.",
    ),
    Variable(
        "XDG_CACHE_HOME",
        "a folder",
        "~/.cache",
        "Models that are fetched by name are kept in its `attnkit`.",
    ),
    Variable(
        "HF_HUB_OFFLINE",
        "1",
        "models are fetched by name",
        "As `ATTNKIT_OFFLINE`, for all programs that read the Hugging Face Hub.",
    ),
    Variable(
        "ATTNKIT_BERGAMOT_PYTHON",
        "the file of a Python 3.10",
        "python3.10",
        "The Python that has Bergamot's wheel, for `attnkit bench translate --against bergamot`.",
    ),
    Variable(
        "_ATTNKIT_COMPLETE",
        "as the script of `attnkit completion` sets it",
        "no completion",
        "The shell asks for completions of a command line.",
    ),
)


def current() -> dict[str, str | None]:
    """What each variable is set to now; None where it is not set."""
    return {variable.name: os.environ.get(variable.name) for variable in VARIABLES}
