"""Imports NumPy with one thread for its own products where tests run side by side, a process a core.

Each process's OpenBLAS would start a thread for each core, which spins on the cores of the others while it waits. What
tests start finds its environment as it was. What the user has set rules.
"""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ and not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"} & os.environ.keys():
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ["OPENBLAS_NUM_THREADS"]
