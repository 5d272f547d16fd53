"""The tokenizers of a model: trained, saved and loaded together, whatever their kind."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from attnkit import typed
from attnkit.printable import quoted, shortened
from attnkit.text.languages import split_tag, tag_of
from attnkit.text.tokenizers.base import SavedTokenizer, Tokenizer
from attnkit.text.tokenizers.registry import KINDS, tokenizer_class
from attnkit.text.tokenizers.tagged import TaggedTokenizer
from attnkit.text.tokenizers.vocabulary import MASK_TOKEN

if TYPE_CHECKING:
    from attnkit.text.tokenizers.config import TokenizerConfig


class TokenizerPair(NamedTuple):
    """The tokenizers of a translation model; the same object twice when the vocabulary is joint.

    Where the sources are tagged with languages, `source` is a `TaggedTokenizer` around it. Those of a converted Marian
    model are two, and joint when both number their pieces by one vocabulary.
    """

    source: Tokenizer
    target: Tokenizer
    kind: str
    lowercase: bool = False
    mask: bool = False
    """Whether the vocabulary has an entry for hidden tokens, `MASK_TOKEN`."""

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that sources are tagged with, those of the target or, where the kind `marks_both`, their own;
        none where there is one."""
        return self.source.languages if isinstance(self.source, TaggedTokenizer) else ()

    @property
    def joint(self) -> bool:
        return _untagged(self.source).shares_vocabulary(self.target)

    @classmethod
    def train(
        cls,
        sources: Iterable[str],
        targets: Iterable[str],
        config: TokenizerConfig,
        seed: int = 1,
        languages: Sequence[str] = (),
        mask: bool = False,
    ) -> TokenizerPair:
        """Learns the vocabularies from the training text, or reads the model files that the configuration names.

        `languages`: those of the tags that the sources start with. mask: with an entry for hidden tokens. Raises
        ValueError when the text is too little for the vocabulary, or a given model is none; OSError when it cannot be
        read.
        """
        masks = [MASK_TOKEN] if mask else []
        tags = [*masks, *(tag_of(language) for language in languages)]
        if languages:
            sources = (split_tag(source)[1] for source in sources)
        kind = tokenizer_class(config.kind)
        if config.models:
            read = [kind.read(Path(path), config.lowercase) for path in config.models]
            source, target = read[0], read[-1]
        elif config.joint:
            source = target = kind.train(_chain(sources, targets), config, seed, tags)
        else:
            source, target = kind.train(sources, config, seed, tags), kind.train(targets, config, seed, masks)
        return cls.tagged(source, target, config.kind, languages, config.lowercase, mask)

    @classmethod
    def tagged(
        cls,
        source: Tokenizer,
        target: Tokenizer,
        kind: str,
        languages: Sequence[str],
        lowercase: bool = False,
        mask: bool = False,
    ) -> TokenizerPair:
        """The pair, its source with the tags of the languages. Raises ValueError where it has no entry for one, or for
        hidden tokens."""
        if mask and source.reserved_id(MASK_TOKEN) is None:
            raise ValueError(f"[tokenizer] expected a vocabulary with {MASK_TOKEN} as a control symbol, got none")
        if not languages:
            return cls(source, target, kind, lowercase, mask)
        ids = {}
        for language in languages:
            number = source.reserved_id(tag_of(language))
            if number is None:
                raise ValueError(
                    f"[tokenizer] expected a vocabulary with the tag {tag_of(language)} as a control symbol, got none"
                )
            ids[language] = number
        return cls(TaggedTokenizer(source, ids), target, kind, lowercase, mask)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes the files of the one tokenizer, named tokenizer, or of the two, source and target."""
        if _untagged(self.source) is self.target:
            self.source.save(Path(directory), "tokenizer")
        else:
            self.source.save(Path(directory), "source")
            self.target.save(Path(directory), "target")

    def to_config(self) -> dict[str, Any]:
        """What `load` needs beside the files: the tokenizer's part of config.json."""
        config: dict[str, Any] = {"kind": self.kind, "joint": self.joint, "lowercase": self.lowercase}
        config |= {"languages": list(self.languages)} if self.languages else {}
        config |= {"mask": True} if self.mask else {}
        return config | _untagged(self.source).saved()

    @classmethod
    def load(cls, directory: str | os.PathLike[str], config: Mapping[str, Any]) -> TokenizerPair:
        """Reads what `save` wrote, with what `to_config` gave. Raises OSError for a missing file, ValueError for a file
        or a configuration that is not one of ours."""
        try:
            saved = typed.convert(config, SavedTokenizer)
        except msgspec.ValidationError as error:
            raise ValueError(f"[tokenizer] config.json: {shortened(str(error), 500)}") from None
        if saved.kind not in KINDS:
            raise ValueError(f"[tokenizer] config.json: Invalid enum value {quoted(saved.kind)} - at `$.kind`")
        source, target = tokenizer_class(saved.kind).load_pair(Path(directory), saved)
        return cls.tagged(source, target, saved.kind, saved.languages, saved.lowercase, saved.mask)


def _chain(sources: Iterable[str], targets: Iterable[str]) -> Iterator[str]:
    yield from sources
    yield from targets


def _untagged(tokenizer: Tokenizer) -> Tokenizer:
    return tokenizer.inner if isinstance(tokenizer, TaggedTokenizer) else tokenizer
