"""The task "translate": sentence pairs in, a translation model out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnkit import _core
from attnkit.files import atomic_write
from attnkit.metrics.text import check_tokenization
from attnkit.models.output import LossOutput
from attnkit.models.registry import build_model
from attnkit.models.transformer import Transformer
from attnkit.tasks.shared.directory import save_directory
from attnkit.tasks.shared.held_out_task import HeldOutTask
from attnkit.tasks.shared.pretrained import description, set_parts
from attnkit.tasks.translate.alignment import made_alignments
from attnkit.tasks.translate.config import PretrainedConfig, TranslateConfig, TranslationModelConfig
from attnkit.tasks.translate.languages import Languages
from attnkit.tasks.translate.pairs import encode_pairs, make_batches
from attnkit.tasks.translate.pretrained import Pretrained, check_directions
from attnkit.tasks.translate.translator import Translator
from attnkit.tasks.translate.validation import HeldOut, token_loss, translation_figures
from attnkit.text.alignment import ALIGNMENTS_FILE, pharaoh, read_alignments
from attnkit.text.batching import Batch
from attnkit.text.bpe_dropout import BpeDropout
from attnkit.text.corpus import EncodedCorpus, ParallelCorpus
from attnkit.text.languages import languages_of, split_tag, tag_of
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.word_pieces import word_finders
from attnkit.training.errors import ConfigError
from attnkit.training.metrics import Figure
from attnkit.training.task import Check

if TYPE_CHECKING:
    from attnkit.models.recurrent import Recurrent

Note = Callable[[str], None]


class TranslateTask(HeldOutTask[HeldOut]):
    """Reads the data, learns or loads the tokenizers, and builds the model, its weights drawn from the seed; or takes
    tokenizers and weights of a model that is trained on."""

    def __init__(self, config: TranslateConfig, folder: Path, note: Note, *, resumed: bool = False) -> None:
        """A new run writes its tokenizers to `folder`, a resumed one reads them there.

        Raises ValueError or OSError for data, or for a pretrained model, that is none.
        """
        self._config, self._note = config, note
        seed = config.training.seed
        if config.decoding.bleu:
            check_tokenization(config.decoding.tokenize)
        self._pretrained = None if config.pretrained is None else Pretrained(config, folder, resumed)
        self.lr_factors: dict[str, float] = {}
        loaded = self._load_pretrained(resumed)  # before the data, which may take long to read
        text = self._training_text(folder, resumed)
        if text is None or not len(text):
            raise ValueError("[train] expected sentence pairs in data.train, got none")
        self._tokenizers = self._find_tokenizers(text, folder, resumed)
        source, target = self._tokenizers.source, self._tokenizers.target
        words = word_finders(self._tokenizers) if config.guided_alignment else None
        train = encode_pairs(text, self._tokenizers, config.data.max_length, words)
        if not len(train):
            raise ValueError(f"[train] expected sentence pairs of at most data.max_length tokens, got {train.report}")
        note(f"training data: {train.report}, {len(train.target_ids):,} target tokens")
        self._validation = self._held_out("validation")
        self._test = self._held_out("test")
        _core.manual_seed(seed)
        self.model: Transformer | Recurrent = loaded or build_model(
            self._model_config, source.vocab_size, target.vocab_size
        )
        dropout, longest = config.tokenizer.bpe_dropout, config.data.max_length
        resample = BpeDropout(text, self._tokenizers, dropout, longest, seed) if dropout else None
        self.batches = make_batches(
            self.model, self._tokenizers, train, config.training.batch_tokens, seed=seed, resample=resample
        )
        self._signature_shown = False
        self._describe(train)

    @property
    def pretrained(self) -> bool:
        """Whether the model has learnt before."""
        return self._pretrained is not None

    def _find_tokenizers(self, text: ParallelCorpus, folder: Path, resumed: bool) -> TokenizerPair:
        """Learnt from the training text, or those of the model or of the run that goes on."""
        config = self._config
        languages = languages_of(text.sources) if config.data.languages else ()
        if self._pretrained is not None:
            _check_languages(text, self._pretrained.tokenizers, languages)
            return self._pretrained.tokenizers
        if resumed:
            saved = {key: getattr(config.tokenizer, key) for key in ("kind", "joint", "lowercase")}
            return TokenizerPair.load(folder, {**saved, "languages": languages})
        tokenizers = TokenizerPair.train(text.sources, text.targets, config.tokenizer, config.training.seed, languages)
        tokenizers.save(folder)
        return tokenizers

    @property
    def _model_config(self) -> TranslationModelConfig:
        found = self._config.model if self._pretrained is None else self._pretrained.config
        assert found is not None  # one of the two is there: TranslateConfig sees to it
        return found

    def _load_pretrained(self, resumed: bool) -> Transformer | Recurrent | None:
        """The model that is trained on, what is to be frozen frozen; None where a new one is made."""
        asked = self._config.pretrained
        if self._pretrained is None or asked is None:
            return None
        model = self._pretrained.load(resumed)
        self._frozen, self.lr_factors = set_parts(model, asked)
        return model

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
        check_directions(text, self._tokenizers, split)
        longest = self._model_config.max_length - 1
        held_out = HeldOut.prepare(text, self._tokenizers, split, longest)
        if count := held_out.encoded.report.too_long:
            self._note(
                f"{split} data: too long for the model, which reads {longest} tokens: {count:,}; the loss leaves them "
                "out, BLEU and chrF count what is written of them"
            )
        return held_out

    def _describe(self, train: EncodedCorpus) -> None:
        sizes = {self._tokenizers.source.vocab_size, self._tokenizers.target.vocab_size}
        vocabulary = "joint" if self._tokenizers.joint else "separate"
        self._note(f"tokenizer: {vocabulary} {self._tokenizers.kind}, {' and '.join(f'{n:,}' for n in sizes)} entries")
        spoken = Languages(self._tokenizers.source)
        if spoken.both:
            direction = spoken.direction(None, None)
            self._note(f"languages: {direction.source} to {direction.to or 'those of the tags'}")
        elif self._tokenizers.languages:
            self._note(f"target languages: {', '.join(self._tokenizers.languages)}")
        count = sum(parameter.size for parameter in self.model.parameters())
        threads = _core.get_num_threads()
        self._note(f"model: {count:,} parameters; {self._config.training.precision}, {threads} thread(s)")
        if self._config.pretrained is not None:
            self._describe_pretrained(self._config.pretrained, train)

    def _describe_pretrained(self, asked: PretrainedConfig, train: EncodedCorpus) -> None:
        self._note(description(asked, self._frozen))
        if self._pretrained is not None and self._pretrained.is_student and self._config.training.label_smoothing:
            self._note(
                "pretrained: a student learnt without label smoothing, and forgets much to please it: "
                "training.label_smoothing = 0 keeps that"
            )
        source = np.count_nonzero(train.source_ids == self._tokenizers.source.unk_id)
        target = np.count_nonzero(train.target_ids == self._tokenizers.target.unk_id)
        if source or target:
            self._note(
                f"training data: {source:,} source tokens and {target:,} target tokens are unknown to the model's "
                "vocabulary, which stays as it is"
            )

    def loss(self, batch: Batch) -> LossOutput:
        """The label-smoothed loss of a batch."""
        guided = self._config.guided_alignment
        return self.model.loss(batch, self._config.training.label_smoothing, 0.0 if guided is None else guided.weight)

    def _measure(self, data: HeldOut, check: Check, final: bool) -> tuple[float, Mapping[str, Figure]]:
        """BLEU and chrF, unless they are switched off."""
        config = self._config
        loss = token_loss(self.model, data, config.training.batch_tokens, check)
        if not config.decoding.bleu:
            return loss, {}
        own = self._pretrained
        translator = Translator(
            self.model,
            self._tokenizers.source,
            self._tokenizers.target,
            precision=config.training.precision,
            defaults=None if own is None else own.decoding,
            shortlist=None if own is None else own.shortlist(),
        )
        figures = translation_figures(translator, data, config.decoding, final, check)
        if not self._signature_shown:
            self._note(f"BLEU as {figures['bleu_signature']}")
            self._signature_shown = True
        return loss, figures

    def save(self, folder: Path) -> None:
        """config.json, model.safetensors and the tokenizers' files."""
        own = self._pretrained
        decoding = None if own is None else own.decoding
        save_directory(self.model, folder, "translate", tokenizers=self._tokenizers, decoding=decoding)
        if own is not None:
            own.save_shortlist(folder)


def _check_languages(text: ParallelCorpus, tokenizers: TokenizerPair, languages: Sequence[str]) -> None:
    """Raises ConfigError where the data and the model do not have the same way of saying the target's language."""
    if Languages(tokenizers.source).both:
        return check_directions(text, tokenizers, "train")
    known: tuple[str, ...] = getattr(tokenizers.source, "languages", ())
    if unknown := sorted(set(languages) - set(known)):
        has = f"only {', '.join(known)}" if known else "no languages"
        raise ConfigError(f"data.languages: expected those of the pretrained model, which has {has}, got {unknown[0]}")
    if tokenizers.languages and not all(split_tag(source)[0] for source in text.sources):
        raise ConfigError(
            f"data.languages: expected a tag for each source, such as {tag_of(known[0])}: the pretrained model has "
            "several languages"
        )
