"""The configuration of the task "classify" for texts: [data], [tokenizer], [model], [training]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from attnkit.models.han_config import HanConfig
from attnkit.models.transformer_classifier_config import TransformerClassifierConfig
from attnkit.tasks.shared.checks import check_validated
from attnkit.text.labelled_config import LabelledDataConfig
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.training.config import TrainingConfig

TextClassifierConfig = TransformerClassifierConfig | HanConfig
"""The models that classify texts; `type` chooses."""


class ClassifyTextConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="task", tag="classify"
):
    """A whole configuration with task = "classify" and a model that reads texts."""

    data: Annotated[
        LabelledDataConfig,
        Meta(
            description="Texts and their labels. Relative paths are taken from the current directory, not from the "
            "TOML file's."
        ),
    ]

    tokenizer: Annotated[
        TokenizerConfig, Meta(description="How text becomes ids; `joint` stays true, there being one text.")
    ] = TokenizerConfig()

    model: Annotated[TextClassifierConfig, Meta(description="What is trained; `type` says which model.")]

    training: Annotated[
        TrainingConfig, Meta(description="How it is trained. Label smoothing spreads over the classes.")
    ]

    def __post_init__(self) -> None:
        if not self.tokenizer.joint:
            raise ValueError("tokenizer.joint: expected true, since a document has one text, got false")
        check_validated(self.training, self.data.validated, "texts, or a validation_share", ("loss", "accuracy"))
