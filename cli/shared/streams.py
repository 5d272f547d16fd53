"""Standard streams that were closed when the command started (`<&-`, `>&-`, `2>&-`)."""

from __future__ import annotations

import os
import sys


def open_missing() -> None:
    """Gives each a descriptor, so that no file that is opened later is taken for it. Reading or writing results then
    fails, and is said; what would have gone to stderr goes nowhere, as was asked for."""
    for number, (name, mode, access) in enumerate(
        (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))
    ):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, access)  # the lowest that is free, so `number` where that is closed
            os.set_inheritable(descriptor, descriptor == number)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
