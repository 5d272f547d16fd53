"""Faults that are known and not mended yet. A test that finds one is expected to fail, strictly: it complains when the
fault is gone, and the entry goes with it. A fuzzer counts a finding that reads as an entry says, and goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import children
import pytest


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Known(NamedTuple):
    """reason: what is wrong. finding: a pattern of what a fuzzer says of it, where it may meet it."""

    reason: str
    finding: str = r"(?!)"


# By the names of the cases that show them: a row of hostile.CASES, a folder of tests/data/faults, a check of soak.
KNOWN: dict[str, Known] = {}


def known(finding: str) -> str | None:
    """The reason, where a finding is one of the known faults."""
    return next((each.reason for each in KNOWN.values() if re.search(each.finding, finding)), None)


def patience(name: str) -> float:
    """How long a case may take: a known fault is not waited for."""
    return 3.0 if name in KNOWN else children.SECONDS


def mark(name: str, *values: object) -> Any:
    """A parameter of a test; expected to fail, where its name is that of a known fault."""
    marks = [pytest.mark.xfail(reason=KNOWN[name].reason, strict=True)] if name in KNOWN else []
    return pytest.param(*(values or (name,)), id=name, marks=marks)


def cases(table: Iterable[Named]) -> list[Any]:
    return [mark(case.name, case) for case in table]
