"""What the tasks that learn from texts alone share: the data, the tokenizer, and the model, in this order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

from attnkit import _core
from attnkit.models.output import LossOutput
from attnkit.models.registry import build_model
from attnkit.tasks.shared.directory import save_directory
from attnkit.tasks.shared.pretrained import description, set_parts
from attnkit.tasks.shared.text_tokenizer import make_tokenizer
from attnkit.text.corpus import EncodedCorpus
from attnkit.text.lines import encode_lines

Note = Callable[[str], None]


class TextTask(ABC):
    """Reads the data, learns or loads the tokenizer, and builds the model, its weights drawn from the seed.

    name: the task's. masks: whether the tokenizer has an entry for hidden tokens.
    """

    name: ClassVar[str]
    masks: ClassVar[bool] = False
    model: Any

    def __init__(self, config: Any, folder: Path, note: Note, *, resumed: bool = False) -> None:
        """A new run writes its tokenizer to `folder`, a resumed one reads it there.

        Raises ValueError or OSError for data that is none.
        """
        self._config, self._note = config, note
        seed = config.training.seed
        texts = config.data.read("train")
        if not texts:
            raise ValueError("[train] expected lines of text in data.train, got none")
        own = self._pretrained(folder, resumed)
        if own is None:
            self._tokenizers = make_tokenizer(texts, config.tokenizer, seed, folder, note, resumed, mask=self.masks)
        else:
            self._tokenizers = own.tokenizers
        self._model_config = config.model if own is None else own.config
        self._tokenized()
        train = self._encode(texts, "train", config.data.max_length)
        self._validation = self._held_out("validation")
        self._test = self._held_out("test")
        _core.manual_seed(seed)
        self.lr_factors: dict[str, float] = {}
        if own is None:
            self.model = build_model(config.model, self._tokenizers.source.vocab_size)
        else:
            self.model = own.build(resumed)
            frozen, self.lr_factors = set_parts(self.model, config.pretrained)
            note(description(config.pretrained, frozen))
        self.batches = self._batches(train, seed=seed)
        count = sum(parameter.size for parameter in self.model.parameters())
        note(f"model: {count:,} parameters; {config.training.precision}, {_core.get_num_threads()} thread(s)")

    def _pretrained(self, folder: Path, resumed: bool) -> Any:
        """The model of `[pretrained]`, a `PretrainedText` with `config` and `build`; None where there is none."""
        return None

    def _tokenized(self) -> None:
        """Called once the tokenizer is there, before any text is encoded."""
        return None

    def _held_out(self, split: Literal["validation", "test"]) -> EncodedCorpus | None:
        """Texts to measure on; only those longer than the model can read are left out, unless long ones are cut."""
        data = self._config.data
        if not getattr(data, split):
            return None
        longest = data.max_length if data.split_long else self._model_config.max_length - 1
        return self._encode(data.read(split), split, longest)

    def _encode(self, texts: list[str], split: str, max_length: int) -> EncodedCorpus:
        corpus = encode_lines(texts, self._tokenizers.source, max_length, self._config.data.split_long)
        self._note(f"{split} data: {corpus.report}, {len(corpus.target_ids):,} tokens")
        if not len(corpus):
            raise ValueError(f"[train] expected lines of at most {max_length} tokens in data.{split}, got none")
        return corpus

    @abstractmethod
    def _batches(self, corpus: EncodedCorpus, seed: int = 1, shuffle: bool = True) -> Any:
        """The batches of the model, in a new order each epoch where they are shuffled."""

    def loss(self, batch: Any) -> LossOutput:
        """The label-smoothed loss of a batch."""
        loss: LossOutput = self.model.loss(batch, self._config.training.label_smoothing)
        return loss

    def save(self, folder: Path) -> None:
        """config.json, model.safetensors and the tokenizer's file."""
        save_directory(self.model, folder, self.name, tokenizers=self._tokenizers)
