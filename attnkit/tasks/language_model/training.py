"""The task "language-model": lines of text in, a model that continues them out."""

from __future__ import annotations

import math
from pathlib import Path

from attnkit.models.decoder_only import DecoderOnly
from attnkit.tasks.language_model.pretrained import PretrainedLanguageModel
from attnkit.tasks.shared.directory import save_directory
from attnkit.tasks.shared.measured import mean_loss
from attnkit.tasks.shared.text_task import TextTask
from attnkit.text.batching import BatchIterator
from attnkit.text.corpus import EncodedCorpus
from attnkit.training.metrics import Figure
from attnkit.training.task import Check


class LanguageModelTask(TextTask):
    """Each token of a text is predicted from those before it."""

    name = "language-model"
    final_is_usual = True
    model: DecoderOnly
    _own: PretrainedLanguageModel | None = None

    def _pretrained(self, folder: Path, resumed: bool) -> PretrainedLanguageModel | None:
        if self._config.pretrained is not None:
            self._own = PretrainedLanguageModel(self._config, folder, resumed)
        return self._own

    def _batches(self, corpus: EncodedCorpus, seed: int = 1, shuffle: bool = True) -> BatchIterator:
        tokens, bos, eos = self._config.training.batch_tokens, self.model.bos_id, self.model.eos_id
        return BatchIterator(corpus, tokens, bos=bos, eos=eos, seed=seed, shuffle=shuffle, source_eos=False)

    def validate(self, check: Check, final: bool = False) -> dict[str, Figure]:
        """validation_loss, -log p a token (end tokens counted), and validation_perplexity, its exponential."""
        return {} if self._validation is None else self._measure(self._validation, "validation", check)

    def test(self, check: Check) -> dict[str, Figure]:
        """test_loss and test_perplexity."""
        return {} if self._test is None else self._measure(self._test, "test", check)

    def _measure(self, corpus: EncodedCorpus, split: str, check: Check) -> dict[str, Figure]:
        loss = mean_loss(self._batches(corpus, shuffle=False), self.model.loss, check)
        return {f"{split}_loss": loss, f"{split}_perplexity": math.exp(min(loss, 700.0))}

    def save(self, folder: Path) -> None:
        """With the search that the pretrained model brought."""
        decoding = None if self._own is None else self._own.decoding
        save_directory(self.model, folder, self.name, tokenizers=self._tokenizers, decoding=decoding)
