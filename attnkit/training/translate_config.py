"""The configuration of the task "translate": [data], [tokenizer], [model], [training], [decoding]."""

from __future__ import annotations

import msgspec

from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.transformer_config import TransformerConfig
from attnkit.text.config import DataConfig, TokenizerConfig
from attnkit.text.vocabulary import BOS, EOS
from attnkit.training.config import DecodingConfig, TrainingConfig, check_validated

TranslationModelConfig = TransformerConfig | RecurrentConfig
"""The models that translate; `type` chooses."""


class TranslateConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="task", tag="translate"
):
    """A whole configuration with task = "translate"."""

    data: DataConfig
    """Sentence pairs. Relative paths are taken from the current directory, not from the TOML file's."""

    tokenizer: TokenizerConfig = TokenizerConfig()
    """How text becomes ids."""

    model: TranslationModelConfig
    """What is trained; `type` says which model."""

    training: TrainingConfig
    """How it is trained."""

    decoding: DecodingConfig = DecodingConfig()
    """How it is evaluated."""

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
