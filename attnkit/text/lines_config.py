"""[data] of the task "language-model"."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.text.lines import read_texts


class LinesDataConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Text files, a text a line, or JSON lines; ".gz" works."""

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

    split_long: Annotated[
        bool,
        Meta(
            description="Rather than to leave out what is too long, cut it into texts of max_length tokens, of the "
            "held-out files too. A language model learns that each of them ends there."
        ),
    ] = False

    text_key: Annotated[
        str, Meta(description="The files are JSON lines with a text under this key; none: a text a line.")
    ] = ""

    html: Annotated[
        bool,
        Meta(
            description="The texts are HTML: tags such as <br /> are taken out, entities such as &amp; become their "
            "characters."
        ),
    ] = False

    def read(self, split: Literal["train", "validation", "test"]) -> list[str]:
        """The texts of one split that are not empty. Raises OSError or ValueError for files that are none."""
        files = {"train": self.train, "validation": self.validation, "test": self.test}[split]
        return read_texts(files, self.text_key, self.html)
