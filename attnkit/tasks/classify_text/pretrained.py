"""A classifier that begins with what another model of texts has learnt: its embeddings, layers and vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import numpy as np

from attnkit.models.registry import build_model
from attnkit.models.text_stack import TextStackConfig
from attnkit.models.transformer_classifier_config import Pooling, TransformerClassifierConfig
from attnkit.tasks.classify_text.config import PretrainedEncoderConfig
from attnkit.tasks.shared.pretrained import PretrainedText
from attnkit.training.errors import ConfigError

if TYPE_CHECKING:
    from attnkit.models.transformer_classifier import TransformerClassifier

_TASKS = {
    "masked-language-model": "a masked language model",
    "embed": "a model that makes vectors of texts",
    "classify": "a classifier of texts",
    "language-model": "a language model",
}
_POOLINGS = get_args(get_args(Pooling)[0])


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
        stack: Any = directory.described.config
        if not isinstance(stack, TextStackConfig):
            found = stack.__struct_config__.tag
            raise ConfigError(f"pretrained.model: expected a Transformer that reads texts, got one of type {found!r}")
        directory.check_vocabulary(self.tokenizers.source.vocab_size, "pretrained")
        keys = {field.name: getattr(stack, field.name) for field in msgspec.structs.fields(TextStackConfig)}
        own = getattr(stack, "pooling", None)
        keys["pooling"] = asked.pooling or (own if own in _POOLINGS else "attention")
        keys["causal"] = directory.task == "language-model" or getattr(stack, "causal", False)
        if directory.task == "language-model":
            keys["eos_id"] = None  # which it writes behind a text, and does not read there
        keys["pooler"] = getattr(stack, "pooler", None)
        keys["max_length"] = self._max_length(asked.max_length, stack)
        try:
            config = TransformerClassifierConfig(**keys)
        except ValueError as error:
            raise ConfigError(f"pretrained.{error} (the model is that of {asked.model})") from None
        self.config: TransformerClassifierConfig = self.with_dropout(config, {})
        if not resumed:
            self.keep(folder)

    def _max_length(self, asked: int | None, stack: TextStackConfig) -> int:
        """How long a text may be. Raises ConfigError for one that is longer than trained positions go."""
        if asked is not None and asked > stack.max_length and stack.positions == "learned":
            raise ConfigError(
                f"pretrained.max_length: expected at most {stack.max_length}, for which the model has positions, got "
                f"{asked}"
            )
        return asked or stack.max_length

    def build(self, classes: int, resumed: bool) -> TransformerClassifier:
        """The classifier: its stack is the model's, what stands behind it is new. A resumed run has all weights in its
        checkpoint. Raises FileNotFoundError or ValueError for weights that are none."""
        classifier = build_model(self.config, self.tokenizers.source.vocab_size, classes)
        if not resumed:
            model: Any = self._directory.load_model()
            model.to("float32")
            layers = model.layers if self._directory.task == "language-model" else model.encoder
            classifier.embedding.load_state_dict(self._cut(model.embedding.state_dict()))
            classifier.encoder.load_state_dict(layers.state_dict())
            if classifier.pooler is not None:
                classifier.pooler.load_state_dict(model.pooler.state_dict())
        return classifier

    def _cut(self, embedding: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The state of an embedding, without the positions beyond the longest text."""
        if (positions := embedding.get("positions.weight")) is None:
            return embedding
        return {**embedding, "positions.weight": positions[: self.config.max_length + self.config.position_offset]}
