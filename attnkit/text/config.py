"""The parts of a training configuration that concern text: `[tokenizer]` and `[data]`.

Decoded strictly by msgspec: an unknown key, a wrong type or an impossible value is an error that names the key.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.text.corpus import Links, ParallelCorpus

Split = Literal["train", "validation", "test"]
Positive = Annotated[int, Meta(ge=1)]
# All are drawn before the first step: 2^63 of them for ever.
Drawn = Annotated[int, Meta(ge=1, le=1_000_000)]


class DataConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the sentence pairs come from: files, or the corpus that is built in."""

    builtin: Annotated[
        Literal["en-it", "it-en"] | None,
        Meta(description="The built-in corpus, English to Italian or the other way round, instead of files."),
    ] = None

    builtin_train: Annotated[Drawn, Meta(description="Training pairs to draw from the built-in corpus.")] = 30_000

    builtin_held_out: Annotated[
        Drawn, Meta(description="Validation pairs, and as many test pairs, to draw from the built-in corpus.")
    ] = 500

    builtin_seed: Annotated[
        int, Meta(ge=0, description="The draw. Training and held-out sentences are disjoint whatever the seed.")
    ] = 1

    format: Annotated[
        Literal["parallel", "tsv", "jsonl"],
        Meta(
            description='"parallel": two files, line by line; "tsv": source, tab, target; "jsonl": one object a line. '
            '".gz" works.'
        ),
    ] = "parallel"

    train: Annotated[
        tuple[str, ...],
        Meta(description='Training files: [source, target] when parallel, else one file. "-" is standard input.'),
    ] = ()

    validation: Annotated[
        tuple[str, ...], Meta(description="Validation files, in the same format; none: no validation.")
    ] = ()

    test: Annotated[tuple[str, ...], Meta(description="Test files, evaluated once at the end; none: no test.")] = ()

    source_key: Annotated[str, Meta(description="The key of the source sentence in JSON lines.")] = "source"

    target_key: Annotated[str, Meta(description="The key of the target sentence in JSON lines.")] = "target"

    languages: Annotated[
        bool,
        Meta(
            description="The data has several target languages: a third field of TSV, or a key of JSON lines, names "
            "that of each pair. Its tag, such as >>de<<, becomes the first token of the source."
        ),
    ] = False

    language_key: Annotated[str, Meta(description="The key of the target language in JSON lines.")] = "language"

    max_length: Annotated[
        Positive,
        Meta(
            description="Training pairs with more tokens than this on either side are left out, and counted in the log."
        ),
    ] = 256

    def __post_init__(self) -> None:
        if self.languages and (self.builtin or self.format == "parallel"):
            raise ValueError('languages: expected the format "tsv" or "jsonl", which can name a language for each pair')
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if self.builtin:
            named = [split for split, files in splits.items() if files]
            if named:
                raise ValueError(f"{named[0]}: expected no files beside builtin = {self.builtin!r}")
            return
        if not self.train:
            raise ValueError('train: expected files, or builtin = "en-it" or "it-en"')
        need = 2 if self.format == "parallel" else 1
        for split, files in splits.items():
            if files and len(files) != need:
                raise ValueError(f"{split}: expected {need} file(s) for format {self.format!r}, got {len(files)}")

    def corpus(
        self, split: Split, links: Iterable[Links] | None = None, links_name: str = "links"
    ) -> ParallelCorpus | None:
        """Reads or generates one split; None when it is not configured. Errors are those of `ParallelCorpus.read`.

        links: those of each pair; the built-in corpus has its own where none are given."""
        if self.builtin:
            return self._builtin(split, links, links_name)
        files = {"train": self.train, "validation": self.validation, "test": self.test}[split]
        if not files:
            return None
        target = files[1] if self.format == "parallel" else None
        return ParallelCorpus.read(
            files[0],
            target,
            self.format,
            source_key=self.source_key,
            target_key=self.target_key,
            language_key=self.language_key,
            languages=self.languages,
            links=links,
            links_name=links_name,
        )

    def _builtin(self, split: Split, links: Iterable[Links] | None, links_name: str) -> ParallelCorpus:
        from attnkit.text import en_it

        sizes = {"train": self.builtin_train, "validation": self.builtin_held_out, "test": self.builtin_held_out}
        # Each split is the same whether drawn alone or with the others.
        wanted = {name: size if name == split else 0 for name, size in sizes.items()}
        pairs = en_it.corpus(**wanted, seed=self.builtin_seed)[split]
        if self.builtin == "it-en":
            pairs = [pair.reversed() for pair in pairs]
        known = [pair.alignment for pair in pairs] if links is None else links
        return ParallelCorpus.from_pairs(((pair.source, pair.target) for pair in pairs), known, links_name)
