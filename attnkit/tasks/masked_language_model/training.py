"""The task "masked-language-model": texts in, a model that guesses hidden tokens out."""

from __future__ import annotations

import math
from collections.abc import Mapping

from attnkit.distributed import group
from attnkit.models.encoder_only import EncoderOnly
from attnkit.tasks.masked_language_model.figures import guessed
from attnkit.tasks.shared.held_out_task import HeldOutTask
from attnkit.tasks.shared.text_task import TextTask
from attnkit.text.corpus import EncodedCorpus
from attnkit.text.masked_batching import MaskedIterator
from attnkit.text.masking import Masker
from attnkit.text.tokenizers.vocabulary import BOS, MASK_TOKEN
from attnkit.training.metrics import Figure
from attnkit.training.task import Check


class MaskedLanguageModelTask(TextTask, HeldOutTask[EncodedCorpus]):
    """Tokens are hidden, anew each epoch, and guessed from all others."""

    name = "masked-language-model"
    unit = "hidden tokens"
    final_is_usual = True
    masks = True
    model: EncoderOnly

    def _tokenized(self) -> None:
        mask_id = self._tokenizers.source.reserved_id(MASK_TOKEN)
        assert mask_id is not None  # the pair sees to it
        self._masker = Masker(self._config.masking, self._tokenizers.source, mask_id)

    def _encode(self, texts: list[str], split: str, max_length: int) -> EncodedCorpus:
        corpus = self._masker.with_something_to_hide(super()._encode(texts, split, max_length))
        if not len(corpus):
            raise ValueError(f"[train] expected texts of at most {max_length} known tokens in data.{split}, got none")
        return corpus

    def _batches(self, corpus: EncodedCorpus, seed: int = 1, shuffle: bool = True) -> MaskedIterator:
        tokens = self._config.training.batch_tokens
        return MaskedIterator(corpus, self._masker, tokens, bos=BOS, seed=seed, shuffle=shuffle)

    def _measure(self, data: EncodedCorpus, check: Check, final: bool) -> tuple[float, Mapping[str, Figure]]:
        """-log p of a hidden token, its exponential as perplexity, and the accuracy of the likeliest guess in
        percent. The same tokens are hidden each time."""

        def done(hidden: int) -> None:
            check()

        loss, right, _ = guessed(self.model, self._batches(data, shuffle=False), done, group())
        return loss, {"perplexity": math.exp(min(loss, 700.0)), "accuracy": right}
