"""A translation model that is trained on: its weights, its vocabulary, and how it is searched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from attnkit.files import atomic_write
from attnkit.models.files import Described
from attnkit.models.registry import build_model
from attnkit.printable import quoted
from attnkit.tasks.shared.directory import PRETRAINED_FOLDER, SHORTLIST_FILE
from attnkit.tasks.shared.pretrained import PretrainedText
from attnkit.tasks.translate.config import TranslateConfig, TranslationModelConfig
from attnkit.tasks.translate.languages import Languages
from attnkit.text.language_names import expected_language, find_language
from attnkit.text.languages import languages_of, split_tag
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.registry import tokenizer_class
from attnkit.training.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnkit.decoding.shortlist import Shortlist
    from attnkit.models.recurrent import Recurrent
    from attnkit.models.transformer import Transformer
    from attnkit.text.corpus import ParallelCorpus

_LANGUAGES = ("source_language", "target_language")


class Pretrained(PretrainedText):
    """The model of `[pretrained]`: its configuration, with the dropout that is asked for, and what reads and writes its
    text.

    tokenizers: its own; one that is told both languages takes those that it learns where nobody says which. decoding:
    its defaults, for the model that comes of it too. shortlist_file: of its shortlist, None where it has none or it is
    not to be kept.
    """

    def __init__(self, config: TranslateConfig, folder: Path, resumed: bool) -> None:
        """A new run reads the model directory and keeps a copy in `folder`, a resumed one reads that.

        Raises FileNotFoundError or ValueError for a directory that is none, ConfigError where the rest of the
        configuration does not fit its model.
        """
        assert config.pretrained is not None
        self._asked = config.pretrained
        super().__init__(config.pretrained, folder, resumed, {"translate": "a translation model"})
        directory = self._directory
        self.tokenizers = self._with_languages(self.tokenizers)
        self._check_sizes()
        if config.tokenizer.bpe_dropout and not tokenizer_class(self.tokenizers.kind).has_merges:
            kind = self.tokenizers.kind
            raise ConfigError(f'tokenizer.bpe_dropout: expected 0 for the kind "{kind}", which has no merges')
        # Marian's files do not say a student's dropout, so that config.json has a rate that it never saw.
        rates = {"dropout": 0.0} if self.is_student else {}
        self.config: TranslationModelConfig = self.with_dropout(directory.described.config, rates)
        try:
            config.check_model(self.config)
        except ValueError as error:
            raise ConfigError(f"{error} (the model is that of {self._asked.model})") from None
        self.decoding = directory.decoding
        file = directory.folder / SHORTLIST_FILE
        self.shortlist_file = file if file.is_file() and self._asked.shortlist else None
        if self.decoding is not None and self.decoding.shortlist and self.shortlist_file is None:
            self.decoding = msgspec.structs.replace(self.decoding, shortlist=None)
        if not resumed:
            self.keep(folder)

    def _with_languages(self, pair: TokenizerPair) -> TokenizerPair:
        """The tokenizers, the languages that are asked for being what they take where nobody says which."""
        given: dict[str, str] = {name: language for name in _LANGUAGES if (language := getattr(self._asked, name))}
        languages = Languages(pair.source)
        if not languages.both:
            for name, language in given.items():
                raise ConfigError(
                    f"pretrained.{name}: expected none, which this model is not told, got {quoted(language)}"
                )
            return pair
        found = {name: _found_language(name, language, languages.sources) for name, language in given.items()}
        saved = {**self._directory.required("tokenizer"), **found}
        if not saved.get("source_language"):
            raise _no_language("source_language", languages.sources)
        return TokenizerPair.load(self._directory.folder, saved) if found else pair

    def _check_sizes(self) -> None:
        pair, expected = self.tokenizers, tuple(self._directory.described.sizes.values())
        if (got := (pair.source.vocab_size, pair.target.vocab_size)) != expected:
            raise ValueError(
                f"[pretrained] {self._directory.folder}: expected tokenizers of {expected[0]} and {expected[1]} "
                f"entries, as the model has, got {got[0]} and {got[1]}"
            )

    @property
    def is_student(self) -> bool:
        """Whether it learnt to be quantised, of a teacher's regular sentences: without dropout and smoothed labels."""
        return self._directory.precision == "int8"

    def keep(self, folder: Path) -> None:
        """Takes the shortlist from there, too."""
        super().keep(folder)
        if self.shortlist_file is not None:
            self.shortlist_file = folder / PRETRAINED_FOLDER / SHORTLIST_FILE

    def _copy(self, to: Path) -> None:
        super()._copy(to)
        self.save_shortlist(to)

    def load(self, resumed: bool) -> Transformer | Recurrent:
        """The model to be trained, its weights float32; those of a resumed run come from its checkpoint. Raises
        FileNotFoundError, ValueError, or ConfigError for a wrong pattern."""
        described = Described(self.config, self._directory.described.sizes)
        if resumed:
            model: Any = build_model(self.config, *described.sizes.values())
        else:
            model = msgspec.structs.replace(self._directory, described=described).load_model()
        model.to("float32")
        model.train()
        return model  # type: ignore[no-any-return]

    def shortlist(self) -> Shortlist | None:
        """The shortlist that translations are searched with unless their user says otherwise."""
        if self.shortlist_file is None or self.decoding is None or not self.decoding.shortlist:
            return None
        from attnkit.decoding.shortlist import Shortlist

        return Shortlist.load(self.shortlist_file)

    def save_shortlist(self, folder: Path) -> None:
        """Puts the model's shortlist, where it has one, into a model directory."""
        if self.shortlist_file is not None:
            with atomic_write(folder / SHORTLIST_FILE) as file:
                file.write(self.shortlist_file.read_bytes())


def check_directions(text: ParallelCorpus, tokenizers: TokenizerPair, split: str) -> None:
    """Raises ConfigError where a model that is told both languages is not told the target's of each pair of
    `data.SPLIT`, or is told one that it does not have; other models are not looked at."""
    languages = Languages(tokenizers.source)
    if not languages.both:
        return
    for tag in languages_of(text.sources):
        if find_language(tag, languages.targets) is None:
            expected = expected_language(languages.targets, tag)
            raise ConfigError(f"data.{split}: expected {expected}, got {quoted(tag)} in a source's tag")
    if languages.direction(None, None).to is None and not all(split_tag(source)[0] for source in text.sources):
        raise _no_language("target_language", languages.targets)


def _found_language(key: str, name: str, languages: Sequence[str]) -> str:
    found = find_language(name, languages)
    if found is None:
        raise ConfigError(f"pretrained.{key}: expected {expected_language(languages, name)}, got {quoted(name)}")
    return found


def _no_language(key: str, languages: Sequence[str]) -> ConfigError:
    return ConfigError(f"pretrained.{key}: expected {expected_language(languages)}, for the model has none, got none")
