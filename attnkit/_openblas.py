"""NumPy without threads of its own in the process of the command `attnkit`.

OpenBLAS starts a thread for each core when NumPy is imported, and each spins for a while before it sleeps: half of the
CPU time of the import on two cores. The command leaves no product to NumPy that would need them. For programs that
import attnkit nothing changes, and what the user has set rules.
"""

from __future__ import annotations

import os

from attnkit._interrupt import is_command

if is_command() and not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & os.environ.keys():
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ["OPENBLAS_NUM_THREADS"]  # not for child processes, such as peers of a bench
