"""The configuration of the task "language-model": [data], [tokenizer], [model] or [pretrained], [training]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from attnkit.models.decoder_only_config import DecoderOnlyConfig
from attnkit.tasks.shared.checks import check_validated
from attnkit.tasks.shared.pretrained_config import PretrainedTextConfig
from attnkit.text.lines_config import LinesDataConfig
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.training.config import TrainingConfig


class PretrainedLanguageModelConfig(PretrainedTextConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[pretrained]: a language model that is trained on."""

    model: Annotated[
        str,
        Meta(min_length=1, description="The directory or the name of a language model, which brings its tokenizer."),
    ]


class LanguageModelConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="task", tag="language-model"
):
    """A whole configuration with task = "language-model"."""

    data: Annotated[
        LinesDataConfig,
        Meta(
            description="Lines of text. Relative paths are taken from the current directory, not from the TOML file's."
        ),
    ]

    tokenizer: Annotated[
        TokenizerConfig, Meta(description="How text becomes ids; `joint` stays true, there being one text.")
    ] = TokenizerConfig()

    model: Annotated[DecoderOnlyConfig | None, Meta(description="What is trained; `type` says which model.")] = None

    pretrained: Annotated[
        PretrainedLanguageModelConfig | None,
        Meta(description="In place of `model`: a language model that goes on learning."),
    ] = None

    training: Annotated[TrainingConfig, Meta(description="How it is trained.")]

    def __post_init__(self) -> None:
        if not self.tokenizer.joint:
            raise ValueError("tokenizer.joint: expected true, since a language model has one text, got false")
        check_validated(self.training, bool(self.data.validation), "files", ("loss",))
        if self.pretrained is None and self.model is None:
            raise ValueError("model: expected a value, got nothing; or pretrained.model, to begin with a trained one")
        if self.pretrained is not None and self.model is not None:
            raise ValueError(
                "model: expected none beside pretrained.model, which says what it is; of its keys, pretrained.dropout, "
                "attention_dropout and activation_dropout can be chosen"
            )
        if self.pretrained is not None and self.tokenizer != TokenizerConfig():
            raise ValueError("tokenizer: expected none beside pretrained.model, which brings its own")
        if self.model is not None:
            self.check_length(self.model)

    def check_length(self, model: DecoderOnlyConfig) -> None:
        """Raises ValueError unless the longest text, with a start token, is one that the model reads."""
        if self.data.max_length >= model.max_length:
            raise ValueError(
                f"data.max_length: expected less than model.max_length = {model.max_length}, which counts the start "
                f"token, got {self.data.max_length}"
            )
