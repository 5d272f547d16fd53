"""What every drawing of a classified document starts from: its words and sentences, and how much each counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnkit._tensor import float_array
from attnkit.explain.drawing.pieces import SPECIAL, WORD_START, labels
from attnkit.explain.weights import Weights

# Marks that stand against the word before them, or before the word behind them.
_CLOSES, _OPENS = frozenset(".,!?;:)]}%…'\"”’»"), frozenset("([{«“‘$£€#")
_QUOTES = frozenset("'\"")  # stand before words as well as behind them


@dataclass(frozen=True, eq=False)
class DocumentMap:
    """A document and the attention that decided its class.

    `sentences` are lists of tokens; `words` has an array [n] of weights for each of them; `sentence_weights` is [S].
    All weights are finite and not negative. `classes` are the likeliest, best first, with their probabilities. Errors:
    ValueError for weights of another shape, negative or not finite.
    """

    sentences: Sequence[Sequence[str]]
    words: Sequence[Weights]
    sentence_weights: Weights
    classes: Sequence[tuple[str, float]] = ()
    title: str = ""

    def __post_init__(self) -> None:
        sentences = [list(sentence) for sentence in self.sentences]
        words = [float_array(weights) for weights in self.words]
        of_sentences = float_array(self.sentence_weights)
        lengths, got = [len(sentence) for sentence in sentences], [list(weights.shape) for weights in words]
        if got != [[length] for length in lengths] or of_sentences.shape != (len(sentences),):
            raise ValueError(
                f"[document_map] expected weights for sentences of {lengths} words and [{len(sentences)}] sentence "
                f"weights, got {got} and {list(of_sentences.shape)}"
            )
        if not all(np.isfinite(weights).all() and (weights >= 0).all() for weights in (*words, of_sentences)):
            raise ValueError("[document_map] expected weights that are finite and not negative")
        object.__setattr__(self, "sentences", sentences)
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "sentence_weights", of_sentences)

    def word_strengths(self) -> list[Weights]:
        """How strongly to mark each word, from 0 to 1 for the strongest of the document.

        √p_s · p_w of its sentence's weight and its own, so that only important words of important sentences stand out
        (Yang et al., 2016, section 3.5), where p_w counts from the even share 1/n: in a sentence of one word, or where
        all count alike, attention has chosen nothing.
        """
        strengths = []
        for p, words in zip(self.sentence_weights, self.words, strict=True):
            excess = words - 1.0 / max(len(words), 1)
            strengths.append(np.sqrt(p) * np.where(excess > 1e-6, excess, 0.0))
        largest = max((float(each.max(initial=0.0)) for each in strengths), default=0.0)
        return [each / largest if largest else each for each in strengths]

    def sentence_strengths(self) -> Weights:
        """The sentence weights, from 0 to 1 for the largest."""
        largest = float(self.sentence_weights.max(initial=0.0))
        return self.sentence_weights / largest if largest else self.sentence_weights


def readable(tokens: Sequence[str]) -> list[tuple[str, str]]:
    """(gap, token) for each token: as people read it, and what stands before it, a space or nothing.

    Spaces go by the marks of pieces, and stand around special tokens; between characters they are tokens; they stand
    between words, but for punctuation.
    """
    if any(token.startswith(WORD_START) for token in tokens):
        gaps = [bool(i) and _begins(tokens[i - 1], token) for i, token in enumerate(tokens)]
    elif " " in tokens:
        gaps = [False] * len(tokens)
    else:
        gaps = [bool(i) and token not in _CLOSES and tokens[i - 1] not in _OPENS for i, token in enumerate(tokens)]
    return [(" " if gap else "", _shown(token)) for gap, token in zip(gaps, tokens, strict=True)]


def _begins(before: str, piece: str) -> bool:
    """Whether a space stands before a piece. WordPiece marks signs of punctuation as words of their own."""
    if before in SPECIAL or piece in SPECIAL:
        return True
    opened = before.removeprefix(WORD_START) in _OPENS - _QUOTES
    return piece.startswith(WORD_START) and piece[1:] not in _CLOSES - _QUOTES and not opened


def _shown(token: str) -> str:
    if token in (" ", WORD_START):
        return " " if token == " " else ""
    return labels([token])[0]  # alone, so that a piece inside a word has no mark of it
