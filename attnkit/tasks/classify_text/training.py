"""The task "classify" for texts: labelled documents in, a classifier out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attnkit import _core
from attnkit.data.labels import listed, numbered
from attnkit.distributed import group
from attnkit.models.document_classifier import DocumentClassifier
from attnkit.models.output import LossOutput
from attnkit.models.registry import build_model
from attnkit.tasks.classify_text.answers import answers
from attnkit.tasks.classify_text.config import ClassifyTextConfig
from attnkit.tasks.classify_text.pretrained import PretrainedEncoder
from attnkit.tasks.shared.directory import save_directory
from attnkit.tasks.shared.held_out_task import HeldOutTask
from attnkit.tasks.shared.pretrained import description, set_parts
from attnkit.tasks.shared.text_tokenizer import make_tokenizer
from attnkit.text.document_batching import DocumentBatch, DocumentIterator
from attnkit.text.documents import DocumentReader, EncodedDocuments
from attnkit.text.labelled import LabelledTexts
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.training.metrics import Figure
from attnkit.training.task import Check

Note = Callable[[str], None]


class ClassifyTextTask(HeldOutTask[EncodedDocuments]):
    """Reads the data, learns or loads the tokenizer, and builds the model, its weights drawn from the seed."""

    unit = "documents"
    final_is_usual = True

    def __init__(self, config: ClassifyTextConfig, folder: Path, note: Note, *, resumed: bool = False) -> None:
        """A new run writes its tokenizer to `folder`, a resumed one reads it there.

        Raises ValueError or OSError for data that is none.
        """
        self._config, self._note = config, note
        seed = config.training.seed
        asked = config.pretrained
        own = None if asked is None else PretrainedEncoder(asked, folder, resumed)
        train, validation = self._read_training()
        note(f"training data: {train.describe()}")
        self._tokenizers = self._make_tokenizer(train, folder, resumed) if own is None else own.tokenizers
        model_config = config.model if own is None else own.config
        assert model_config is not None  # one of the two is there: ClassifyTextConfig sees to it
        self._reader = DocumentReader(self._tokenizers.source, model_config.layout, config.data.html)
        documents = self._encode(train, "train")
        note(f"training data: {documents.report}")
        self._validation = None if validation is None else self._held_out(validation, "validation")
        test = config.data.read("test")
        self._test = None if test is None else self._held_out(test, "test")
        _core.manual_seed(seed)
        self.model: DocumentClassifier
        self.lr_factors: dict[str, float] = {}
        if own is None or asked is None:
            self.model = build_model(model_config, self._tokenizers.source.vocab_size, len(self._labels))
        else:
            self.model = own.build(len(self._labels), resumed)
            frozen, self.lr_factors = set_parts(self.model, asked)
            note(description(asked, frozen))
        self.batches = DocumentIterator(documents, config.training.batch_tokens, seed=seed)
        count = sum(parameter.size for parameter in self.model.parameters())
        note(f"model: {count:,} parameters; {config.training.precision}, {_core.get_num_threads()} thread(s)")

    def _make_tokenizer(self, train: LabelledTexts, folder: Path, resumed: bool) -> TokenizerPair:
        """Learnt from the training texts, or that of the run that goes on."""
        config = self._config
        texts = (" ".join(text.split()) for text in train.texts)  # as `DocumentReader` reads them
        return make_tokenizer(texts, config.tokenizer, config.training.seed, folder, self._note, resumed)

    def _read_training(self) -> tuple[LabelledTexts, LabelledTexts | None]:
        """The training texts and those for validation, which may be a part held out of them; sets the labels."""
        data = self._config.data
        train = data.read("train")
        assert train is not None  # the configuration demands it
        self._labels = train.classes()
        if len(self._labels) < 2:
            raise ValueError(f"[train] expected at least 2 labels in data.train, got {len(self._labels)}")
        return data.parts(train, self._config.training.seed)

    def _held_out(self, texts: LabelledTexts, split: str) -> EncodedDocuments:
        self._note(f"{split} data: {texts.describe()}")
        return self._encode(texts, split)

    def _encode(self, texts: LabelledTexts, split: str) -> EncodedDocuments:
        expected = f"[train] expected the labels of the training data ({listed(self._labels)}) in data.{split}"
        numbers = numbered(texts.labels, self._labels, expected)
        documents = EncodedDocuments.encode(self._reader, texts.texts, numbers.tolist())
        if not len(documents):
            raise ValueError(f"[train] expected documents in data.{split}, got none with a token")
        return documents

    def loss(self, batch: DocumentBatch) -> LossOutput:
        """The label-smoothed loss of a batch."""
        return self.model.loss(batch, self._config.training.label_smoothing)

    def _measure(self, data: EncodedDocuments, check: Check, final: bool) -> tuple[float, dict[str, Figure]]:
        found = answers(self.model, data, self._config.training.batch_tokens, lambda count: check(), group())
        return found.loss, found.figures()

    def save(self, folder: Path) -> None:
        """config.json with the labels, model.safetensors and the tokenizer's file."""
        html = self._config.data.html
        save_directory(self.model, folder, "classify", labels=self._labels, html=html, tokenizers=self._tokenizers)
