"""[data] of the task "language-model"."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class LinesDataConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Text files, a text a line; ".gz" works."""

    train: Annotated[tuple[str, ...], Meta(min_length=1, description='Training files. "-" is standard input.')]

    validation: Annotated[tuple[str, ...], Meta(description="Validation files; none: no validation.")] = ()

    test: Annotated[tuple[str, ...], Meta(description="Test files, evaluated once at the end; none: no test.")] = ()

    max_length: Annotated[
        int,
        Meta(
            ge=1,
            description="Lines with more tokens than this are left out of the training data, and counted in the log.",
        ),
    ] = 256
