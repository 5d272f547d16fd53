"""The names of a classifier's classes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.printable import quoted


class _Labelled(msgspec.Struct, frozen=True):
    id2label: dict[str, str] | None = None
    num_labels: Annotated[int, Meta(ge=1, le=2**24)] | None = None
    problem_type: str | None = None


def read_labels(checkpoint: Checkpoint) -> list[str]:
    """The names by number, as config.json has them; LABEL_0, LABEL_1 where it has none. Raises ValueError for a list
    with gaps, and for a model that gives several labels or a number."""
    said: Any = checkpoint.config(_Labelled)
    if said.problem_type not in (None, "single_label_classification"):
        raise checkpoint.refused(f"problem_type: expected single_label_classification, got {quoted(said.problem_type)}")
    count = said.num_labels if said.id2label is None else len(said.id2label)
    if count == 1:
        raise checkpoint.refused(
            "num_labels: expected at least 2 classes, got 1: a model that gives a number, no class"
        )
    if said.id2label is None:
        return [f"LABEL_{number}" for number in range(said.num_labels or 2)]
    names = [said.id2label.get(str(number)) for number in range(len(said.id2label))]
    if not names or None in names:
        raise checkpoint.refused("id2label: expected a name for each number from 0")
    return [str(name) for name in names]
