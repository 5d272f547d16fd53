"""Loads the core with OpenMP threads that give way.

libgomp's threads spin for milliseconds at the end of each parallel region before they sleep. When another process wants
the core that one of them spins on, every region waits for the scheduler: of two trainings side by side on two cores,
each took 58 times as long for a step as one alone; with a short spin, 2.4 times. libgomp reads its settings when it is
loaded, which is now; what the user has set rules.
"""

from __future__ import annotations

import os

SPIN_COUNT = "3000"

if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
    import attnkit._core
else:
    os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        import attnkit._core  # noqa: F401
    finally:
        del os.environ["GOMP_SPINCOUNT"]  # not for child processes and other libraries
