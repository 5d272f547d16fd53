"""The corpus itself: an endless stream of sentence pairs, fixed splits, and files."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from attnkit.text.alignment import AlignedPair
from attnkit.text.en_it import grammar, lexicon
from attnkit.text.en_it.sampler import Sampler

Split = Literal["train", "validation", "test"]


def _showcase() -> tuple[AlignedPair, ...]:
    def the(noun: str, preposition: str | None = None, plural: bool = False) -> grammar.Nominal:
        where = lexicon.PREPOSITIONS[preposition] if preposition else None
        return grammar.noun_phrase("the", lexicon.NOUNS[noun], plural, preposition=where)

    def a(noun: str, adjective: str) -> grammar.Nominal:
        return grammar.noun_phrase("a", lexicon.NOUNS[noun], adjective=lexicon.ADJECTIVES[adjective])

    verbs = lexicon.TRANSITIVE | lexicon.MOTION
    houses, girls = the("house", plural=True), the("girl", plural=True)
    white = grammar.adjective_complement(lexicon.ADJECTIVES["white"], houses)
    my_friend = grammar.noun_phrase("my", lexicon.NOUNS["friend"])
    you = grammar.pronoun("you")
    her_sister = grammar.noun_phrase("her", lexicon.NOUNS["sister"])
    built = (
        grammar.clause(the("cat"), grammar.copula(the("table", "on"))),
        grammar.clause(houses, grammar.copula(white)),
        grammar.clause(the("student"), grammar.simple(verbs["buy"], a("backpack", "red"))),
        grammar.clause(my_friend, grammar.simple(verbs["read"], a("book", "beautiful")), negated=True),
        grammar.clause(girls, grammar.perfect(verbs["arrive"], girls, the("airport", "from"))),
        grammar.question(grammar.clause(you, grammar.simple(verbs["see"], clitic="me"), inverted=True)),
        grammar.clause(her_sister, grammar.progressive(verbs["eat"], the("ice cream"))),
        grammar.where(the("key", plural=True)),
    )
    return tuple(grammar.sentence(phrase) for phrase in built)


SHOWCASE = _showcase()
"""A few sentences for demonstrations, with the cat on the table first. They are in no split but "test"."""

_SHOWN = frozenset(pair.source for pair in SHOWCASE)


def split_of(source: str) -> Split:
    """The split that an English sentence belongs to, whatever the seed and the sizes: 1 in 16 is for testing, 1 in 16
    for validation."""
    if source in _SHOWN:
        return "test"
    bucket = zlib.crc32(source.encode()) % 16
    return "test" if bucket == 0 else "validation" if bucket == 1 else "train"


def generate(seed: int = 1) -> Iterator[AlignedPair]:
    """An endless stream of distinct pairs of all splits, the same for the same seed.

    English and Italian are lower-cased and tokenised by spaces; the only punctuation is the question mark. An elided
    article is one token with its noun ("l'amico") and linked to both English words, as is a contracted one ("sul").
    Every token of both sides has a link. Each English sentence has exactly one translation.
    """
    sampler = Sampler(random.Random(seed))
    seen: set[str] = set()
    while True:
        pair = sampler.sentence()
        if pair.source not in seen:
            seen.add(pair.source)
            yield pair


def corpus(
    train: int = 30_000, validation: int = 500, test: int = 500, seed: int = 1
) -> dict[Split, list[AlignedPair]]:
    """Splits of the given sizes, disjoint by English sentence for any seeds and sizes; `SHOWCASE` opens the test split.

    Raises ValueError for a negative size.
    """
    sizes: dict[Split, int] = {"train": train, "validation": validation, "test": test}
    if min(sizes.values()) < 0:
        raise ValueError(f"[corpus] expected sizes of at least 0, got {sizes}")
    splits: dict[Split, list[AlignedPair]] = {"train": [], "validation": [], "test": list(SHOWCASE[:test])}
    missing = sum(sizes.values()) - len(splits["test"])
    stream = generate(seed)
    while missing:
        pair = next(stream)
        split = split_of(pair.source)
        if len(splits[split]) < sizes[split] and pair.source not in _SHOWN:
            splits[split].append(pair)
            missing -= 1
    return splits


def write(
    directory: str | os.PathLike[str], train: int = 30_000, validation: int = 500, test: int = 500, seed: int = 1
) -> list[Path]:
    """Writes each split as NAME.en, NAME.it and NAME.align (Pharaoh format), and returns the paths."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, pairs in corpus(train, validation, test, seed).items():
        columns = {
            "en": (pair.source for pair in pairs),
            "it": (pair.target for pair in pairs),
            "align": (pair.pharaoh() for pair in pairs),
        }
        for suffix, lines in columns.items():
            path = folder / f"{name}.{suffix}"
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
            written.append(path)
    return written
