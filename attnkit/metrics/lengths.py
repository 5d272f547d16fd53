"""One reference for each hypothesis."""

from __future__ import annotations

from collections.abc import Sized


def check_lengths(name: str, hypotheses: Sized, references: Sized) -> None:
    """Raises ValueError, "[name] ...", where there is none or one side has more."""
    if not len(hypotheses) or len(hypotheses) != len(references):
        raise ValueError(
            f"[{name}] expected one reference for each of one or more hypotheses, "
            f"got {len(references)} for {len(hypotheses)}"
        )
