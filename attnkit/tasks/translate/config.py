"""The configuration of the task "translate": [data], [tokenizer], [model], [training], [decoding]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.transformer_config import TransformerConfig
from attnkit.tasks.shared.checks import check_validated
from attnkit.tasks.shared.search_config import DecodingConfig
from attnkit.text.config import DataConfig
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.registry import tokenizer_class
from attnkit.text.tokenizers.vocabulary import BOS, EOS
from attnkit.training.config import Share, TrainingConfig

TranslationModelConfig = TransformerConfig | RecurrentConfig
"""The models that translate; `type` chooses."""


class TranslateTokenizerConfig(TokenizerConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[tokenizer] of the task "translate"."""

    bpe_dropout: Annotated[
        Share,
        Meta(
            description="BPE-dropout (Provilkov et al., 2020): while the model learns, each merge of a word's parts "
            "is left out with this probability, drawn anew each epoch. SentencePiece does not try a merge "
            'again, so that 0.05 cuts as much as 0.1 in the paper. For the kind "bpe".'
        ),
    ] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bpe_dropout and not tokenizer_class(self.kind).has_merges:
            raise ValueError(f'bpe_dropout: expected 0 for the kind "{self.kind}", which has no merges')


class TranslateConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="task", tag="translate"
):
    """A whole configuration with task = "translate"."""

    data: Annotated[
        DataConfig,
        Meta(
            description="Sentence pairs. Relative paths are taken from the current directory, not from the TOML file's."
        ),
    ]

    tokenizer: Annotated[TranslateTokenizerConfig, Meta(description="How text becomes ids.")] = (
        TranslateTokenizerConfig()
    )

    model: Annotated[TranslationModelConfig, Meta(description="What is trained; `type` says which model.")]

    training: Annotated[TrainingConfig, Meta(description="How it is trained.")]

    decoding: Annotated[DecodingConfig, Meta(description="How it is evaluated.")] = DecodingConfig()

    def __post_init__(self) -> None:
        if isinstance(self.model, TransformerConfig) and (self.model.bos_id, self.model.eos_id) != (BOS, EOS):
            raise ValueError(f"model.bos_id, model.eos_id: expected {BOS} and {EOS}, as the tokenizers have them")
        if self.data.max_length >= self.model.max_length:
            raise ValueError(
                f"data.max_length: expected less than model.max_length = {self.model.max_length}, which counts the "
                f"start or end token, got {self.data.max_length}"
            )
        metrics = ("loss", "bleu") if self.decoding.bleu else ("loss",)
        check_validated(self.training, bool(self.data.builtin or self.data.validation), "files", metrics)
