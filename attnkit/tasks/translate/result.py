"""What a translator gives for a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from attnkit.text.alignment import Link


class Result(msgspec.Struct, frozen=True, eq=False):
    """One translated line.

    text: the translation; empty for an empty line.
    score: the normalised log-probability that hypotheses are compared by; 0 for an empty line.
    tokens: the pieces of `text`, N of them; an unknown one of the prefix is as it was given.
    attention: cross-attention float32 [N, M], averaged over heads as the model does; None unless asked for.
    source_tokens: the M pieces that the model read, its end token included, so that rows of attention sum to one.
    truncated: the line was longer than the model reads, or the translation reached max_length.
    unread: how many tokens of the line the model did not read, because it is longer.
    unknown: the words or pieces of the line, and then of its prefix, that the vocabulary does not have.
    source_words, target_words: the word of the line, and of `text`, that each of source_tokens and tokens belongs to,
    counted from 0, words being what white space separates; -1 for one of none, such as the end token. With attention.
    alternatives: the second to the nbest-th translation, best first (samples as drawn), where nbest > 1.
    looped: the translation repeats a few tokens to its end, and the line does not.
    unkept: of what `keep` keeps, what does not stand in the text as often as in the line.
    sentences: of a line translated with `paragraphs`, its sentences and their results, which have the attention. The
    score of the line is then the sum of theirs, and its tokens are theirs, one after the other.
    """

    text: str
    score: float
    tokens: list[str]
    attention: npt.NDArray[np.float32] | None
    source_tokens: list[str]
    truncated: bool = False
    unknown: list[str] = []
    alternatives: tuple[Result, ...] = ()
    source_words: list[int] = []
    target_words: list[int] = []
    looped: bool = False
    unkept: list[str] = []
    sentences: tuple[Sentence, ...] = ()
    unread: int = 0

    @property
    def alignment(self) -> list[Link]:
        """Links (source word, target word), sorted: of each target word to the source word that it attends to most.

        Raises ValueError where the attention was not asked for."""
        return self.links()

    def links(self, threshold: float | None = None) -> list[Link]:
        """`alignment`, and with a `threshold` in (0, 1] every other link whose weight is as large: where a model was
        trained with guided alignment, its attention says where several source words make one target word."""
        if self.sentences:
            found = [(each.result.links(threshold), each.first_words) for each in self.sentences]
            return sorted({(i + source, j + target) for links, (source, target) in found for i, j in links})
        from attnkit.text.alignment import hard_alignment

        return hard_alignment(self.word_attention(), threshold=threshold)

    def word_attention(self) -> npt.NDArray[np.float32]:
        """Attention between words, [target words, source words]: the sum over the pieces of a source word, the mean
        over those of a target word. Raises ValueError where the attention was not asked for."""
        if self.attention is None:
            raise ValueError("[translate] expected a result with attention=True for an alignment, got one without")
        source, target = (np.array(words, np.int64) for words in (self.source_words, self.target_words))
        weights = np.zeros((target.max(initial=-1) + 1, source.max(initial=-1) + 1))
        rows, columns = np.flatnonzero(target >= 0), np.flatnonzero(source >= 0)
        np.add.at(weights, np.ix_(target[rows], source[columns]), self.attention[np.ix_(rows, columns)])
        pieces = np.bincount(target[rows], minlength=len(weights))
        return (weights / np.maximum(pieces, 1)[:, None]).astype(np.float32)


class Sentence(NamedTuple):
    """A sentence of a paragraph and its translation. first_words: the words of the line, and of its translation, that
    its first words are."""

    source: str
    result: Result
    first_words: tuple[int, int]
