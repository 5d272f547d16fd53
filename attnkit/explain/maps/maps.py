"""All attention of one run of a model, by kind."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from attnkit.explain.maps.weights import AttentionWeights
from attnkit.printable import quoted

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class AttentionMaps(Mapping[str, AttentionWeights]):
    """What a model looked at in one input, made by `model.attention(input)`.

    A mapping from kind to `AttentionWeights`, in the order in which the model computes them: "encoder" (self-attention
    of what is read), "decoder" (of what is written), "cross" (of what is written to what is read), "pooling", "words"
    and "sentences", "rollout", "memory", "excitation", "gates.<name>", as the model has them.
    title: what was read; output: what the model made of it (a translation, a caption, a class); image: the square that
    the model saw, of a model that reads images.
    Errors: KeyError that names the kinds for one that there is not.
    """

    kinds: Sequence[AttentionWeights]
    title: str = ""
    output: str = ""
    image: Image | None = None

    def __getitem__(self, kind: str) -> AttentionWeights:
        for each in self.kinds:
            if each.kind == kind:
                return each
        raise KeyError(f"[attention] expected {self._named()}, got {quoted(kind)}")

    def __iter__(self) -> Iterator[str]:
        return (each.kind for each in self.kinds)

    def __len__(self) -> int:
        return len(self.kinds)

    def select(
        self, kind: str | None = None, layer: int | None = None, head: int | None = None, word: str | None = None
    ) -> AttentionMaps:
        """Those of a kind, layer and head alone (counted from 1), and the rows of a word alone, where one is named.

        A kind may be the first part of several: "gates" stands for "gates.input", "gates.forget" and so on. A layer,
        head or word that only some of the kinds have leaves those. Errors: ValueError for what there is nowhere.
        """
        kept = [each for each in self.kinds if kind is None or each.kind == kind or each.kind.startswith(f"{kind}.")]
        if not kept:
            raise ValueError(f"[attention] expected {self._named()}, got {quoted(str(kind))}")
        for name, number in (("layer", layer), ("head", head)):
            counts = [getattr(each, f"{name}s") for each in kept]
            if number is not None and not 1 <= number <= max(counts):
                raise ValueError(f"[attention] expected a {name} from 1 to {max(counts)}, got {number}")
            kept = [each for each, count in zip(kept, counts, strict=True) if number is None or number <= count]
        kept = [each.chosen(layer, head) for each in kept]
        return replace(self, kinds=kept if word is None else _of_word(kept, word))

    def save(self, path: str | os.PathLike[str]) -> list[Path]:
        """Writes a page (.html), a picture (.png, .svg) or data (.json), as the path ends; returns the files written.

        Errors: ValueError for another suffix, OSError.
        """
        from attnkit.explain.maps.write import write_maps

        return write_maps(path, [self])

    def _named(self) -> str:
        return " or ".join(self) if self.kinds else "a model that attends to something"


def _of_word(kinds: Sequence[AttentionWeights], word: str) -> list[AttentionWeights]:
    """The rows of the queries that are a word, or the pieces of one: "sat" is also that of "sat." and of "Sat"."""
    found = []
    for each in kinds:
        rows = _rows_of(each, word.strip())
        if rows:
            queries = [each.queries[row] for row in rows]
            centres = None if each.centres is None else each.centres[rows]
            weights = each.weights[:, :, rows]
            # Some patches are no grid any more.
            found.append(replace(each, weights=weights, queries=queries, centres=centres, query_grid=None))
    if not found:
        words = dict.fromkeys(word for each in kinds for word in each.query_words)
        some = ", ".join(list(words)[:20])
        raise ValueError(f"[attention] expected a word that looks at something ({some}), got {quoted(word)}")
    return found


def _rows_of(kind: AttentionWeights, word: str) -> list[int]:
    from attnkit.explain.drawing.pieces import word_spans

    spans = word_spans(kind.queries) if kind.queries else []
    for alike in (str.casefold, _bare):
        rows: list[int] = []
        for whole, (start, end) in zip(kind.query_words, spans, strict=True):
            if alike(whole) == alike(word) != "":
                # Marks around the word, which pieces of their own may be, are not what is asked for.
                rows += [row for row in range(start, end) if alike is not _bare or _bare(kind.queries[row])]
        if rows:
            return rows
    return [row for row, query in enumerate(kind.queries) if query == word]


def _bare(text: str) -> str:
    """In small letters, without the marks of punctuation and of pieces around it."""
    first = next((place for place, character in enumerate(text) if character.isalnum()), len(text))
    last = next((place for place, character in enumerate(reversed(text)) if character.isalnum()), len(text))
    return text[first : len(text) - last].casefold()
