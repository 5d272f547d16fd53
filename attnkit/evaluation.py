"""Quality of translations: BLEU and chrF, by sacrebleu so figures can be compared with published ones (Post, 2018),
and the alignment error rate of attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from attnkit.text.alignment import AlignedPair
    from attnkit.translator import Translator

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


def alignment_error(translator: Translator, pairs: Sequence[AlignedPair]) -> float:
    """The alignment error rate, in [0, 1], of a translator of words on pairs whose links are known.

    The reference is forced on the model, so that every sentence has the words that its links are between; each of its
    words is linked to the source word it attends to most. The end tokens take no part.
    """
    from attnkit.text.alignment import alignment_error_rate, hard_alignment

    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    links = []
    for pair, result in zip(pairs, translator.translate(sources, prefix=targets, attention=True, beam=1), strict=True):
        assert result.attention is not None  # it was asked for
        links.append(hard_alignment(result.attention[: len(pair.target.split()), : len(pair.source.split())]))
    return alignment_error_rate(links, [pair.alignment for pair in pairs])


def _check_lengths(name: str, hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"[{name}] expected one reference for each of one or more hypotheses, "
            f"got {len(references)} for {len(hypotheses)}"
        )
