"""The configuration of the task "classify" for texts: [data], [tokenizer], [model] or [pretrained], [training]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from attnkit.models.config import Positive
from attnkit.models.han_config import HanConfig
from attnkit.models.transformer_classifier_config import Pooling, TransformerClassifierConfig
from attnkit.tasks.shared.checks import check_validated
from attnkit.tasks.shared.pretrained_config import PretrainedTextConfig
from attnkit.text.labelled_config import LabelledDataConfig
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.training.config import TrainingConfig

TextClassifierConfig = TransformerClassifierConfig | HanConfig
"""The models that classify texts; `type` chooses."""


class PretrainedEncoderConfig(PretrainedTextConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[pretrained]: a model of texts whose embeddings, layers and vocabulary a classifier begins with."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="The directory or the name of a masked language model, of a model that makes vectors of texts, "
            "of a classifier of texts, or of a language model, which is read causally.",
        ),
    ]

    pooling: Annotated[
        Pooling | None,
        Meta(
            description="As `model.pooling`; not given: as the model itself pools, where it does in one of these ways, "
            'or "attention".'
        ),
    ] = None

    max_length: Annotated[
        Positive | None,
        Meta(
            description="Longest text in tokens, special ones counted; the model's own where not given, and no more "
            "than that where positions are learned."
        ),
    ] = None


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

    model: Annotated[TextClassifierConfig | None, Meta(description="What is trained; `type` says which model.")] = None

    pretrained: Annotated[
        PretrainedEncoderConfig | None,
        Meta(description="In place of `model`: a model of texts of which a Transformer classifier is made."),
    ] = None

    training: Annotated[
        TrainingConfig, Meta(description="How it is trained. Label smoothing spreads over the classes.")
    ]

    def __post_init__(self) -> None:
        if not self.tokenizer.joint:
            raise ValueError("tokenizer.joint: expected true, since a document has one text, got false")
        if self.pretrained is None and self.model is None:
            raise ValueError("model: expected a value, got nothing; or pretrained.model, to begin with a trained one")
        if self.pretrained is not None and self.model is not None:
            raise ValueError(
                "model: expected none beside pretrained.model, which says what it is; of its keys, pretrained.pooling, "
                "max_length, dropout, attention_dropout and activation_dropout can be chosen"
            )
        if self.pretrained is not None and self.tokenizer != TokenizerConfig():
            raise ValueError("tokenizer: expected none beside pretrained.model, which brings its own")
        check_validated(self.training, self.data.validated, "texts, or a validation_share", ("loss", "accuracy"))
