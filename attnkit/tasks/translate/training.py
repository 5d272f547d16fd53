"""The task "translate": sentence pairs in, a translation model out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attnkit import _core
from attnkit.files import atomic_write
from attnkit.metrics.text import check_tokenization
from attnkit.models.output import LossOutput
from attnkit.models.registry import build_model
from attnkit.models.transformer import Transformer
from attnkit.tasks.shared.directory import save_directory
from attnkit.tasks.shared.held_out_task import HeldOutTask
from attnkit.tasks.translate.alignment import made_alignments
from attnkit.tasks.translate.config import TranslateConfig
from attnkit.tasks.translate.validation import HeldOut, mean_loss, translation_figures
from attnkit.text.alignment import ALIGNMENTS_FILE, pharaoh, read_alignments
from attnkit.text.batching import Batch, BatchIterator
from attnkit.text.bpe_dropout import BpeDropout
from attnkit.text.corpus import ParallelCorpus
from attnkit.text.languages import languages_of
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.vocabulary import BOS, EOS
from attnkit.text.word_pieces import word_finders
from attnkit.training.metrics import Figure
from attnkit.training.task import Check

if TYPE_CHECKING:
    from attnkit.models.recurrent import Recurrent

Note = Callable[[str], None]


class TranslateTask(HeldOutTask[HeldOut]):
    """Reads the data, learns or loads the tokenizers, and builds the model, its weights drawn from the seed."""

    def __init__(self, config: TranslateConfig, folder: Path, note: Note, *, resumed: bool = False) -> None:
        """A new run writes its tokenizers to `folder`, a resumed one reads them there.

        Raises ValueError or OSError for data that is none.
        """
        self._config, self._note = config, note
        seed = config.training.seed
        if config.decoding.bleu:
            check_tokenization(config.decoding.tokenize)
        text = self._training_text(folder, resumed)
        if text is None or not len(text):
            raise ValueError("[train] expected sentence pairs in data.train, got none")
        languages = languages_of(text.sources) if config.data.languages else ()
        if resumed:
            saved = {key: getattr(config.tokenizer, key) for key in ("kind", "joint", "lowercase")}
            self._tokenizers = TokenizerPair.load(folder, {**saved, "languages": languages})
        else:
            self._tokenizers = TokenizerPair.train(text.sources, text.targets, config.tokenizer, seed, languages)
            self._tokenizers.save(folder)
        source, target = self._tokenizers.source, self._tokenizers.target
        words = word_finders(self._tokenizers) if config.guided_alignment else None
        train = text.encode(source.encode, target.encode, config.data.max_length, words)
        if not len(train):
            raise ValueError(f"[train] expected sentence pairs of at most data.max_length tokens, got {train.report}")
        note(f"training data: {train.report}, {len(train.target_ids):,} target tokens")
        self._validation = self._held_out("validation")
        self._test = self._held_out("test")
        _core.manual_seed(seed)
        self.model: Transformer | Recurrent = build_model(config.model, source.vocab_size, target.vocab_size)
        dropout, longest = config.tokenizer.bpe_dropout, config.data.max_length
        resample = BpeDropout(text, self._tokenizers, dropout, longest, seed) if dropout else None
        self.batches = BatchIterator(
            train, config.training.batch_tokens, bos=BOS, eos=EOS, seed=seed, resample=resample
        )
        self._signature_shown = False
        self._describe()

    def _training_text(self, folder: Path, resumed: bool) -> ParallelCorpus | None:
        """The training pairs, with their word alignments where attention is to learn them."""
        data, guided = self._config.data, self._config.guided_alignment
        if guided is None or not (guided.file or guided.models):
            return data.corpus("train")
        if guided.file:
            return data.corpus("train", read_alignments(guided.file), guided.file)
        text, file = data.corpus("train"), folder / ALIGNMENTS_FILE
        if text is None:
            return None
        if not resumed:
            links = made_alignments(guided.models, text, data.languages, self._note)
            with atomic_write(file, "w") as written:
                written.writelines(f"{pharaoh(each)}\n" for each in links)
        # From the file in either case, so that a run goes on with what it began with, whatever became of the models.
        text.links = ParallelCorpus.from_pairs(text, read_alignments(file), str(file), data.languages).links
        return text

    def _held_out(self, split: str) -> HeldOut | None:
        text = self._config.data.corpus(split)  # type: ignore[arg-type]
        if text is None:
            return None
        self._note(f"{split} data: {text.report}")
        longest = self._config.model.max_length - 1
        held_out = HeldOut.prepare(text, self._tokenizers, split, longest)
        if count := held_out.encoded.report.too_long:
            self._note(
                f"{split} data: too long for the model, which reads {longest} tokens: {count:,}; the loss leaves them "
                "out, BLEU and chrF count what is written of them"
            )
        return held_out

    def _describe(self) -> None:
        sizes = {self._tokenizers.source.vocab_size, self._tokenizers.target.vocab_size}
        vocabulary = "joint" if self._tokenizers.joint else "separate"
        self._note(f"tokenizer: {vocabulary} {self._tokenizers.kind}, {' and '.join(f'{n:,}' for n in sizes)} entries")
        if self._tokenizers.languages:
            self._note(f"target languages: {', '.join(self._tokenizers.languages)}")
        count = sum(parameter.size for parameter in self.model.parameters())
        threads = _core.get_num_threads()
        self._note(f"model: {count:,} parameters; {self._config.training.precision}, {threads} thread(s)")

    def loss(self, batch: Batch) -> LossOutput:
        """The label-smoothed loss of a batch."""
        guided = self._config.guided_alignment
        return self.model.loss(batch, self._config.training.label_smoothing, 0.0 if guided is None else guided.weight)

    def _measure(self, data: HeldOut, check: Check, final: bool) -> tuple[float, Mapping[str, Figure]]:
        """BLEU and chrF, unless they are switched off."""
        config = self._config
        loss = mean_loss(self.model, data, config.training.batch_tokens, check)
        if not config.decoding.bleu:
            return loss, {}
        precision = config.training.precision
        figures = translation_figures(self.model, data, self._tokenizers, config.decoding, precision, final, check)
        if not self._signature_shown:
            self._note(f"BLEU as {figures['bleu_signature']}")
            self._signature_shown = True
        return loss, figures

    def save(self, folder: Path) -> None:
        """config.json, model.safetensors and the tokenizers' files."""
        save_directory(self.model, folder, "translate", tokenizers=self._tokenizers)
