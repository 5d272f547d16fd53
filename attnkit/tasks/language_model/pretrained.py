"""A language model that goes on learning from what another has learnt: its weights, vocabulary and search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from attnkit.models.decoder_only_config import DecoderOnlyConfig
from attnkit.models.files import Described
from attnkit.models.registry import build_model
from attnkit.tasks.language_model.config import LanguageModelConfig
from attnkit.tasks.shared.pretrained import PretrainedText
from attnkit.training.errors import ConfigError


class PretrainedLanguageModel(PretrainedText):
    """The model of `[pretrained]`.

    config: its own, with the dropout that is asked for. One without a start token, such as GPT-2's, gets the end token
    as one, which stood before each text when it learnt: a text is then trained, scored and continued in one way.
    decoding: its defaults, for the model that comes of it too.
    """

    def __init__(self, config: LanguageModelConfig, folder: Path, resumed: bool) -> None:
        """A new run reads the model directory and keeps a copy in `folder`, a resumed one reads that. Raises
        FileNotFoundError or ValueError for a directory that is none, ConfigError for one that does not fit."""
        assert config.pretrained is not None
        super().__init__(config.pretrained, folder, resumed, {"language-model": "a language model"})
        self._directory.check_vocabulary(self.tokenizers.source.vocab_size, "pretrained")
        own = self.with_dropout(self._directory.described.config, {})
        self.config: DecoderOnlyConfig = (
            own if own.bos_id is not None else msgspec.structs.replace(own, bos_id=own.eos_id)
        )
        self.decoding = self._directory.decoding
        try:
            config.check_length(self.config)
        except ValueError as error:
            raise ConfigError(f"{error} (the model is that of {config.pretrained.model})") from None
        if not resumed:
            self.keep(folder)

    def build(self, resumed: bool) -> Any:
        """The model to be trained, its weights float32; those of a resumed run come from its checkpoint. Raises
        FileNotFoundError or ValueError for weights that are none."""
        described = Described(self.config, self._directory.described.sizes)
        if resumed:
            model: Any = build_model(self.config, *described.sizes.values())
        else:
            model = msgspec.structs.replace(self._directory, described=described).load_model()
        model.to("float32")
        model.train()
        return model
