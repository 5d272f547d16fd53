"""Labels as numbers: which of a model's classes each example is of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from attnkit.printable import quoted, shortened

_SHOWN = 500  # characters of a list of classes


def numbered(
    labels: Iterable[str], classes: Sequence[str], expected: str, name: Callable[[int], str] | None = None
) -> npt.NDArray[np.int32]:
    """The place of each label among `classes`, int32 [N].

    Raises ValueError for one that is not among them: "EXPECTED, got the label", with "for NAME" behind it where `name`
    says what the example of a number is called.
    """
    numbers = {label: number for number, label in enumerate(classes)}
    found = []
    for index, label in enumerate(labels):
        if label not in numbers:
            where = "" if name is None else f" for {name(index)}"
            raise ValueError(f"{expected}, got {quoted(label)}{where}")
        found.append(numbers[label])
    return np.array(found, np.int32)


def of_the_model(
    labels: Iterable[str], classes: Sequence[str], name: Callable[[int], str] | None = None
) -> npt.NDArray[np.int32]:
    """`numbered` for data that a model is measured on."""
    return numbered(labels, classes, f"[evaluate] expected the labels of the model ({listed(classes)})", name)


def listed(classes: Sequence[str]) -> str:
    """For a message."""
    return shortened(", ".join(classes), _SHOWN)


def renamed(labels: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """The labels, with new names for some. Raises ValueError for an old name that none of them has."""
    for old in names:
        if old not in labels:
            raise ValueError(f"[data] expected a label of the data to rename, got {quoted(old)}")
    return [names.get(label, label) for label in labels]
