"""[data] of the tasks that classify texts."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.text.documents import prepare_text
from attnkit.text.labelled import LabelledTexts


class LabelledDataConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where texts and their labels come from.

    Each of train, validation and test is a folder that has a folder of text files for each label, or a file of JSON
    lines; ".gz" works for all of them.
    """

    train: Annotated[str, Meta(description="The training texts.")]

    validation: Annotated[str, Meta(description="The validation texts; none: those of validation_share.")] = ""

    validation_share: Annotated[
        float,
        Meta(
            ge=0.0,
            lt=1.0,
            description="This share of the training texts, drawn by training.seed, is held out for validation.",
        ),
    ] = 0.0

    test: Annotated[str, Meta(description="Test texts, evaluated once at the end; none: no test.")] = ""

    text_key: Annotated[str, Meta(description="The key of the text in JSON lines.")] = "text"

    label_key: Annotated[str, Meta(description="The key of the label in JSON lines: a string or a whole number.")] = (
        "label"
    )

    html: Annotated[
        bool,
        Meta(
            description="The texts are HTML: tags such as <br /> are taken out, entities such as &amp; become their "
            "characters. The trained model does the same to what it reads."
        ),
    ] = False

    def __post_init__(self) -> None:
        if not self.train:
            raise ValueError("train: expected a file or a folder, got none")
        if self.validation and self.validation_share:
            raise ValueError("validation_share: expected 0 beside validation texts")

    @property
    def validated(self) -> bool:
        """Whether there are validation texts."""
        return bool(self.validation or self.validation_share)

    def read(self, split: Literal["train", "validation", "test"]) -> LabelledTexts | None:
        """One split as its file or folder has it; None when it is not configured."""
        path = {"train": self.train, "validation": self.validation, "test": self.test}[split]
        if not path:
            return None
        return LabelledTexts.read(
            path,
            text_key=self.text_key,
            label_key=self.label_key,
            prepare=lambda text: prepare_text(text, self.html),
        )

    def parts(self, train: LabelledTexts, seed: int) -> tuple[LabelledTexts, LabelledTexts | None]:
        """What is trained on of these training texts, and the validation texts, which may be a part held out of
        them."""
        if self.validation_share and len(train) > 1:
            return train.hold_out(self.validation_share, seed)
        return train, self.read("validation")
