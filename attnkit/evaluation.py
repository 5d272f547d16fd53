"""Figures of quality: BLEU and chrF of translations, by sacrebleu, so that they can be compared with published ones
(Post, 2018); the alignment error rate of attention; accuracy and F1 of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from attnkit.text.alignment import AlignedPair
    from attnkit.translator import Translator

import numpy as np
import numpy.typing as npt

Classes = npt.NDArray[np.integer[Any]]
Metric = Literal["bleu", "chrf"]
Tokenization = Literal["13a", "none", "intl", "char"]
METRICS: tuple[Metric, ...] = ("bleu", "chrf")
TOKENIZATIONS: tuple[Tokenization, ...] = ("13a", "none", "intl", "char")


@dataclass(frozen=True, slots=True)
class Bleu:
    """Corpus BLEU in percent (Papineni et al., 2002) with its parts; lengths are in the metric's tokens."""

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    hypothesis_length: int
    reference_length: int
    signature: str


@dataclass(frozen=True, slots=True)
class Chrf:
    """Corpus chrF2 in percent (Popović, 2015)."""

    score: float
    signature: str


def bleu(hypotheses: Sequence[str], references: Sequence[str], tokenize: Tokenization = "13a") -> Bleu:
    """BLEU against one reference a sentence. `tokenize="none"` is for text that is tokenised already."""
    from sacrebleu.metrics.bleu import BLEU

    _check_lengths("bleu", hypotheses, references)
    # `force` only keeps sacrebleu from warning that the text looks tokenised, which "none" has said already.
    metric = BLEU(tokenize=tokenize, force=tokenize == "none")
    result = metric.corpus_score(list(hypotheses), [list(references)])
    return Bleu(
        score=result.score,
        precisions=tuple(result.precisions),
        brevity_penalty=result.bp,
        hypothesis_length=result.sys_len,
        reference_length=result.ref_len,
        signature=str(metric.get_signature()),
    )


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Chrf:
    """chrF2 against one reference a sentence."""
    from sacrebleu.metrics.chrf import CHRF

    _check_lengths("chrf", hypotheses, references)
    metric = CHRF()
    result = metric.corpus_score(list(hypotheses), [list(references)])
    return Chrf(score=result.score, signature=str(metric.get_signature()))


def alignment_error(translator: Translator, pairs: Sequence[AlignedPair], back: Translator | None = None) -> float:
    """The alignment error rate, in [0, 1], of a translator of words on pairs whose links are known.

    The reference is forced on the model, so that every sentence has the words that its links are between; each of its
    words is linked to the source word it attends to most. The end tokens take no part.

    A source word beside others that make one target word has no link then, however well the model attends. `back`, a
    translator from the target language to the source's, sees those: the weights of both directions are added up, and
    each source word without a link gets one to the target word of most weight. (Directions have been combined for this
    reason since Och & Ney 2003, section 3.4; adding up is a soft form of it.)
    """
    from attnkit.text.alignment import alignment_error_rate, hard_alignment

    weights = forced_attention(translator, pairs)
    if back is not None:
        behind = forced_attention(back, [pair.reversed() for pair in pairs])
        weights = [there + here.T for there, here in zip(weights, behind, strict=True)]
    links = [hard_alignment(each, every_source=back is not None) for each in weights]
    return alignment_error_rate(links, [pair.alignment for pair in pairs])


def forced_attention(translator: Translator, pairs: Sequence[AlignedPair]) -> list[npt.NDArray[np.float32]]:
    """The attention of each pair's target words on its source words, [target, source], the target forced."""
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    attention = []
    for pair, result in zip(pairs, translator.translate(sources, prefix=targets, attention=True, beam=1), strict=True):
        assert result.attention is not None  # it was asked for
        attention.append(result.attention[: len(pair.target.split()), : len(pair.source.split())])
    return attention


def accuracy(predicted: Classes, expected: Classes) -> float:
    """The share of right classes in percent: both int [N]."""
    _check_lengths("accuracy", predicted, expected)
    return 100.0 * float(np.mean(np.asarray(predicted) == np.asarray(expected)))


def macro_f1(predicted: Classes, expected: Classes) -> float:
    """The mean of the classes' F1 scores in percent, each class counting alike, over all that occur on either side."""
    _check_lengths("macro_f1", predicted, expected)
    got, want = np.asarray(predicted), np.asarray(expected)
    scores = []
    for each in np.union1d(got, want):
        right = np.count_nonzero((got == each) & (want == each))
        scores.append(2.0 * right / (np.count_nonzero(got == each) + np.count_nonzero(want == each)))
    return 100.0 * float(np.mean(scores))


def _check_lengths(name: str, hypotheses: Sequence[str] | Classes, references: Sequence[str] | Classes) -> None:
    if not len(hypotheses) or len(hypotheses) != len(references):
        raise ValueError(
            f"[{name}] expected one reference for each of one or more hypotheses, "
            f"got {len(references)} for {len(hypotheses)}"
        )
