"""The configuration of the task "translate": [data], [tokenizer], [model] or [pretrained], [training], [decoding]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from attnkit.models.config import Rate
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.transformer_config import TransformerConfig
from attnkit.tasks.shared.checks import check_validated
from attnkit.tasks.shared.pretrained_config import PretrainedTextConfig
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


class PretrainedConfig(PretrainedTextConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[pretrained]: a translation model that is trained on, with its own vocabulary."""

    model: Annotated[
        str, Meta(min_length=1, description="A translation model: its directory, or its name, as for `translate`.")
    ]

    source_language: Annotated[
        str,
        Meta(
            description="For a model that is told it (M2M-100, NLLB-200): the language of the sources, named as for "
            "`--from`. Not given: the one that the model takes where nobody says which.",
        ),
    ] = ""

    target_language: Annotated[
        str,
        Meta(
            description="The language of the targets of such a model, named as for `--to`; not given: the model's own. "
            "A source with a tag, by `data.languages` or in its text, says another.",
        ),
    ] = ""

    dropout: Annotated[
        Rate | None,
        Meta(
            description="As `model.dropout`. Not given: the model's own; none for a student with weights of int8, "
            "which learnt without."
        ),
    ] = None

    shortlist: Annotated[
        bool,
        Meta(
            description="Keeps the model's shortlist, where it has one. A word that it does not list for any word of "
            "the source is never written: false for text of other words, or another language."
        ),
    ] = True


class GuidedAlignmentConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[training.guided_alignment]: word alignments of the training pairs, which attention learns beside the words."""

    file: Annotated[
        str,
        Meta(
            description="Word alignments in the Pharaoh format, a line for each training pair: `0-0 1-2` links the "
            "first words, and the second source word to the third target word. Words are what white space separates. "
            "`.gz` works. The built-in corpus has its own."
        ),
    ] = ""

    models: Annotated[
        tuple[str, ...],
        Meta(
            max_length=2,
            description="Instead of a file: the directory of a translation model whose attention aligns the training "
            "pairs, and behind it that of a model for the other direction, whose attention is then added.",
        ),
    ] = ()

    weight: Annotated[
        float,
        Meta(
            ge=0.0,
            description="How much the alignment adds to the loss of the words: this times its cross-entropy with the "
            "attention, a target token (Chen et al., 2016); 0 for nothing.",
        ),
    ] = 0.1

    def __post_init__(self) -> None:
        if self.file and self.models:
            raise ValueError("file: expected a file of alignments or models that make them, got both")


class TranslateTrainingConfig(TrainingConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[training] of the task "translate"."""

    guided_alignment: Annotated[
        GuidedAlignmentConfig | None,
        Meta(
            description="Attention learns word alignments beside the words (Chen et al., 2016): that of "
            "`alignment_head` of a Transformer, all there is of a recurrent model. Not given: it learns what the words "
            "need."
        ),
    ] = None


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

    model: Annotated[TranslationModelConfig | None, Meta(description="What is trained; `type` says which model.")] = (
        None
    )

    pretrained: Annotated[
        PretrainedConfig | None,
        Meta(description="In place of `model`: a translation model that is trained on, with its own vocabulary."),
    ] = None

    training: Annotated[TranslateTrainingConfig, Meta(description="How it is trained.")]

    decoding: Annotated[DecodingConfig, Meta(description="How it is evaluated.")] = DecodingConfig()

    def __post_init__(self) -> None:
        if self.pretrained is not None:
            self._check_pretrained()
        elif self.model is None:
            raise ValueError("model: expected a value, got nothing; or pretrained.model, to train a model on")
        else:
            if isinstance(self.model, TransformerConfig) and (self.model.bos_id, self.model.eos_id) != (BOS, EOS):
                raise ValueError(f"model.bos_id, model.eos_id: expected {BOS} and {EOS}, as the tokenizers have them")
            self.check_model(self.model)
        metrics = ("loss", "bleu") if self.decoding.bleu else ("loss",)
        check_validated(self.training, bool(self.data.builtin or self.data.validation), "files", metrics)

    @property
    def guided_alignment(self) -> GuidedAlignmentConfig | None:
        """What `training` says of it; a `TrainingConfig` made in Python says nothing."""
        return getattr(self.training, "guided_alignment", None)

    def check_model(self, model: TranslationModelConfig) -> None:
        """Raises ValueError, "key: what is wrong", where the rest does not fit the model, which may be a pretrained
        one."""
        if self.data.max_length >= model.max_length:
            raise ValueError(
                f"data.max_length: expected less than model.max_length = {model.max_length}, which counts the "
                f"start or end token, got {self.data.max_length}"
            )
        self._check_guided(model)

    def _check_pretrained(self) -> None:
        if self.model is not None:
            raise ValueError(
                "model: expected none beside pretrained.model, which is what it is; of its keys, pretrained.dropout, "
                "attention_dropout and activation_dropout can be changed"
            )
        if self.tokenizer != TranslateTokenizerConfig(bpe_dropout=self.tokenizer.bpe_dropout):
            raise ValueError("tokenizer: expected none but bpe_dropout beside pretrained.model, which brings its own")

    def _check_guided(self, model: TranslationModelConfig) -> None:
        guided = self.guided_alignment
        if guided is None:
            return
        for_it = "for training.guided_alignment"
        if isinstance(model, TransformerConfig):
            if model.alignment_head is None:
                raise ValueError(f"model.alignment_head: expected a head {for_it}, got none")
        elif model.score == "none":
            raise ValueError(f'model.score: expected an attention {for_it}, got "none"')
        elif model.normaliser == "hard":
            raise ValueError(f'model.normaliser: expected weights with a gradient {for_it}, got "hard"')
        if self.data.languages and len(guided.models) > 1:
            raise ValueError(
                "training.guided_alignment.models: expected one model for data.languages, whose tags only sources have"
            )
        if not (guided.file or guided.models or self.data.builtin):
            raise ValueError("training.guided_alignment.file: expected a file of alignments or models that make them")
