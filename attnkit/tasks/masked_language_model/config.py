"""The configuration of the task "masked-language-model": [data], [tokenizer], [masking], [model], [training]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from attnkit.models.encoder_only_config import EncoderOnlyConfig
from attnkit.tasks.shared.checks import check_validated
from attnkit.text.lines_config import LinesDataConfig
from attnkit.text.masking_config import MaskingConfig
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.training.config import TrainingConfig


class MaskedLanguageModelConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="task", tag="masked-language-model"
):
    """A whole configuration with task = "masked-language-model"."""

    data: Annotated[
        LinesDataConfig,
        Meta(description="Texts. Relative paths are taken from the current directory, not from the TOML file's."),
    ]

    tokenizer: Annotated[
        TokenizerConfig, Meta(description="How text becomes ids; `joint` stays true, there being one text.")
    ] = TokenizerConfig()

    masking: Annotated[MaskingConfig, Meta(description="Which tokens are hidden, drawn anew in every epoch.")] = (
        MaskingConfig()
    )

    model: Annotated[EncoderOnlyConfig, Meta(description="What is trained; `type` says which model.")]

    training: Annotated[TrainingConfig, Meta(description="How it is trained.")]

    def __post_init__(self) -> None:
        if not self.tokenizer.joint:
            raise ValueError("tokenizer.joint: expected true, since a language model has one text, got false")
        check_validated(self.training, bool(self.data.validation), "files", ("loss", "accuracy"))
        if self.data.max_length >= self.model.max_length:
            raise ValueError(
                f"data.max_length: expected less than model.max_length = {self.model.max_length}, which counts the "
                f"start token, got {self.data.max_length}"
            )
