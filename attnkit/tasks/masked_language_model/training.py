"""The task "masked-language-model": texts in, a model that guesses hidden tokens out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from attnkit import _core, ops
from attnkit.metrics.classes import accuracy
from attnkit.models.encoder_only import EncoderOnly
from attnkit.models.output import LossOutput
from attnkit.models.registry import build_model
from attnkit.tasks.masked_language_model.config import MaskedLanguageModelConfig
from attnkit.tasks.shared.directory import save_directory
from attnkit.tasks.shared.held_out_task import HeldOutTask
from attnkit.tasks.shared.text_tokenizer import make_tokenizer
from attnkit.text.corpus import EncodedCorpus
from attnkit.text.lines import encode_lines
from attnkit.text.masked_batching import MaskedBatch, MaskedIterator
from attnkit.text.masking import Masker
from attnkit.text.tokenizers.vocabulary import BOS, MASK_TOKEN
from attnkit.training.metrics import Figure
from attnkit.training.task import Check

Note = Callable[[str], None]


class MaskedLanguageModelTask(HeldOutTask[EncodedCorpus]):
    """Reads the data, learns or loads the tokenizer, and builds the model, its weights drawn from the seed."""

    unit = "hidden tokens"

    def __init__(self, config: MaskedLanguageModelConfig, folder: Path, note: Note, *, resumed: bool = False) -> None:
        """A new run writes its tokenizer to `folder`, a resumed one reads it there.

        Raises ValueError or OSError for data that is none.
        """
        self._config, self._note = config, note
        seed = config.training.seed
        texts = config.data.read("train")
        if not texts:
            raise ValueError("[train] expected lines of text in data.train, got none")
        self._tokenizers = make_tokenizer(texts, config.tokenizer, seed, folder, note, resumed, mask=True)
        mask_id = self._tokenizers.source.reserved_id(MASK_TOKEN)
        assert mask_id is not None  # the pair sees to it
        self._masker = Masker(config.masking, self._tokenizers.source, mask_id)
        train = self._encode(texts, "train", config.data.max_length)
        self._validation = self._held_out("validation")
        self._test = self._held_out("test")
        _core.manual_seed(seed)
        self.model: EncoderOnly = build_model(config.model, self._tokenizers.source.vocab_size)
        self.batches = self._batches(train, seed=seed)
        count = sum(parameter.size for parameter in self.model.parameters())
        note(f"model: {count:,} parameters; {config.training.precision}, {_core.get_num_threads()} thread(s)")

    def _held_out(self, split: Literal["validation", "test"]) -> EncodedCorpus | None:
        """Texts to measure on; only those longer than the model can read are left out, unless long ones are cut."""
        data = self._config.data
        if not getattr(data, split):
            return None
        longest = data.max_length if data.split_long else self._config.model.max_length - 1
        return self._encode(data.read(split), split, longest)

    def _encode(self, texts: list[str], split: str, max_length: int) -> EncodedCorpus:
        corpus = encode_lines(texts, self._tokenizers.source, max_length, self._config.data.split_long)
        self._note(f"{split} data: {corpus.report}, {len(corpus.target_ids):,} tokens")
        corpus = self._masker.with_something_to_hide(corpus)
        if not len(corpus):
            raise ValueError(f"[train] expected texts of at most {max_length} known tokens in data.{split}, got none")
        return corpus

    def _batches(self, corpus: EncodedCorpus, seed: int = 1, shuffle: bool = True) -> MaskedIterator:
        tokens = self._config.training.batch_tokens
        return MaskedIterator(corpus, self._masker, tokens, bos=BOS, seed=seed, shuffle=shuffle)

    def loss(self, batch: MaskedBatch) -> LossOutput:
        """The label-smoothed loss of the hidden tokens of a batch."""
        return self.model.loss(batch, self._config.training.label_smoothing)

    def _measure(self, data: EncodedCorpus, check: Check, final: bool) -> tuple[float, Mapping[str, Figure]]:
        """-log p of a hidden token, its exponential as perplexity, and the accuracy of the likeliest guess in
        percent. The same tokens are hidden each time."""
        nll, labels, guesses = 0.0, [], []
        for batch in self._batches(data, shuffle=False):
            check()
            logits = self.model(batch).numpy()
            nll += float(ops.cross_entropy(logits, batch.labels, reduction="none").sum(dtype=np.float64))
            labels.append(np.asarray(batch.labels))
            guesses.append(logits.argmax(axis=1).astype(np.int32))
        hidden = np.concatenate(labels)
        loss = nll / len(hidden)
        return loss, {"perplexity": math.exp(min(loss, 700.0)), "accuracy": accuracy(np.concatenate(guesses), hidden)}

    def save(self, folder: Path) -> None:
        """config.json, model.safetensors and the tokenizer's file."""
        save_directory(self.model, folder, "masked-language-model", tokenizers=self._tokenizers)
