"""Options and settings of the developers' benchmarks."""

from __future__ import annotations

import os

# NumPy's matrix products are the guard's measure; they read this when NumPy is imported.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-ratios", action="store_true", help="Write the ratios that the guard compares with.")
