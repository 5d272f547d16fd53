"""A classifier that begins with what a language model has learnt: its embeddings, its layers and its vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from attnkit.models.registry import build_model
from attnkit.models.text_stack import TextStackConfig
from attnkit.models.transformer_classifier_config import TransformerClassifierConfig
from attnkit.tasks.classify_text.config import PretrainedEncoderConfig
from attnkit.tasks.shared.pretrained import PretrainedText
from attnkit.training.errors import ConfigError

if TYPE_CHECKING:
    from attnkit.models.transformer_classifier import TransformerClassifier

_TASKS = {"masked-language-model": "a masked language model", "language-model": "a language model"}


class PretrainedEncoder(PretrainedText):
    """The model of `[pretrained]`.

    config: of the classifier that begins with it, which reads as that model does: all of a text at once (Devlin et al.,
    2019), or causally (Radford et al., 2018).
    """

    def __init__(self, asked: PretrainedEncoderConfig, folder: Path, resumed: bool) -> None:
        """A new run reads the model directory and keeps a copy in `folder`, a resumed one reads that. Raises
        FileNotFoundError or ValueError for a directory that is none, ConfigError for one that does not fit."""
        super().__init__(asked, folder, resumed, _TASKS)
        directory = self._directory
        directory.check_vocabulary(self.tokenizers.source.vocab_size, "pretrained")
        stack = directory.described.config
        keys = {field.name: getattr(stack, field.name) for field in msgspec.structs.fields(TextStackConfig)}
        causal = directory.task == "language-model"
        try:
            config = TransformerClassifierConfig(**keys, pooling=asked.pooling, causal=causal)
        except ValueError as error:
            raise ConfigError(f"pretrained.{error} (the model is that of {asked.model})") from None
        self.config: TransformerClassifierConfig = self.with_dropout(config, {})
        if not resumed:
            self.keep(folder)

    def build(self, classes: int, resumed: bool) -> TransformerClassifier:
        """The classifier: its stack is the model's, what stands behind it is new. A resumed run has all weights in its
        checkpoint. Raises FileNotFoundError or ValueError for weights that are none."""
        classifier = build_model(self.config, self.tokenizers.source.vocab_size, classes)
        if not resumed:
            model: Any = self._directory.load_model()
            model.to("float32")
            layers = model.layers if self.config.causal else model.encoder
            classifier.embedding.load_state_dict(model.embedding.state_dict())
            classifier.encoder.load_state_dict(layers.state_dict())
        return classifier
