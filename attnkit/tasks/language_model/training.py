"""The task "language-model": lines of text in, a model that continues them out."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from attnkit import _core
from attnkit.models.decoder_only import DecoderOnly
from attnkit.models.output import LossOutput
from attnkit.models.registry import build_model
from attnkit.tasks.language_model.config import LanguageModelConfig
from attnkit.tasks.shared.directory import save_directory
from attnkit.tasks.shared.text_tokenizer import make_tokenizer
from attnkit.text.batching import Batch, BatchIterator
from attnkit.text.corpus import EncodedCorpus
from attnkit.text.lines import encode_lines
from attnkit.text.tokenizers.vocabulary import BOS, EOS
from attnkit.training.metrics import Figure
from attnkit.training.task import Check

Note = Callable[[str], None]


class LanguageModelTask:
    """Reads the data, learns or loads the tokenizer, and builds the model, its weights drawn from the seed."""

    def __init__(self, config: LanguageModelConfig, folder: Path, note: Note, *, resumed: bool = False) -> None:
        """A new run writes its tokenizer to `folder`, a resumed one reads it there.

        Raises ValueError or OSError for data that is none.
        """
        self._config, self._note = config, note
        seed = config.training.seed
        lines = config.data.read("train")
        if not lines:
            raise ValueError("[train] expected lines of text in data.train, got none")
        self._tokenizers = make_tokenizer(lines, config.tokenizer, seed, folder, note, resumed)
        train = self._encode(lines, "train", config.data.max_length)
        self._validation = self._held_out("validation")
        self._test = self._held_out("test")
        _core.manual_seed(seed)
        self.model: DecoderOnly = build_model(config.model, self._tokenizers.source.vocab_size)
        self.batches = self._batches(train, seed=seed)
        count = sum(parameter.size for parameter in self.model.parameters())
        note(f"model: {count:,} parameters; {config.training.precision}, {_core.get_num_threads()} thread(s)")

    def _held_out(self, split: Literal["validation", "test"]) -> EncodedCorpus | None:
        """Lines to measure on; only those longer than the model can read are left out, unless long ones are cut."""
        data = self._config.data
        if not getattr(data, split):
            return None
        longest = data.max_length if data.split_long else self._config.model.max_length - 1
        return self._encode(data.read(split), split, longest)

    def _encode(self, lines: list[str], split: str, max_length: int) -> EncodedCorpus:
        corpus = encode_lines(lines, self._tokenizers.source, max_length, self._config.data.split_long)
        self._note(f"{split} data: {corpus.report}, {len(corpus.target_ids):,} tokens")
        if not len(corpus):
            raise ValueError(f"[train] expected lines of at most {max_length} tokens in data.{split}, got none")
        return corpus

    def _batches(self, corpus: EncodedCorpus, seed: int = 1, shuffle: bool = True) -> BatchIterator:
        tokens = self._config.training.batch_tokens
        return BatchIterator(corpus, tokens, bos=BOS, eos=EOS, seed=seed, shuffle=shuffle, source_eos=False)

    def loss(self, batch: Batch) -> LossOutput:
        """The label-smoothed loss of a batch."""
        return self.model.loss(batch, self._config.training.label_smoothing)

    def validate(self, check: Check, final: bool = False) -> dict[str, Figure]:
        """validation_loss, -log p a token (end tokens counted), and validation_perplexity, its exponential."""
        return {} if self._validation is None else self._measure(self._validation, "validation", check)

    def test(self, check: Check) -> dict[str, Figure]:
        """test_loss and test_perplexity."""
        return {} if self._test is None else self._measure(self._test, "test", check)

    def _measure(self, corpus: EncodedCorpus, split: str, check: Check) -> dict[str, Figure]:
        nll, tokens = 0.0, 0
        for batch in self._batches(corpus, shuffle=False):
            check()
            output = self.model.loss(batch)
            nll += output.nll_sum
            tokens += output.tokens
        loss = nll / tokens
        return {f"{split}_loss": loss, f"{split}_perplexity": math.exp(min(loss, 700.0))}

    def save(self, folder: Path) -> None:
        """config.json, model.safetensors and the tokenizer's file."""
        save_directory(self.model, folder, "language-model", tokenizers=self._tokenizers)
