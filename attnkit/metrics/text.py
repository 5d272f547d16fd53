"""BLEU and chrF of translations, by sacrebleu, so that they can be compared with published ones (Post, 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from attnkit.metrics.lengths import check_lengths

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

Metric = Literal["bleu", "chrf"]
Tokenization = Literal["13a", "none", "intl", "char", "zh", "ja-mecab", "ko-mecab", "flores200"]
METRICS: tuple[Metric, ...] = ("bleu", "chrf")
TOKENIZATIONS: tuple[Tokenization, ...] = get_args(Tokenization)


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
    """BLEU against one reference a sentence. `tokenize="none"` is for text that is tokenised already.

    Raises ValueError, which says what to install, where sacrebleu lacks what the tokenisation needs.
    """
    check_lengths("bleu", hypotheses, references)
    metric = _metric(tokenize)
    result = metric.corpus_score(list(hypotheses), [list(references)])
    return Bleu(
        score=result.score,
        precisions=tuple(result.precisions),
        brevity_penalty=result.bp,
        hypothesis_length=result.sys_len,
        reference_length=result.ref_len,
        signature=str(metric.get_signature()),
    )


def check_tokenization(tokenize: Tokenization) -> None:
    """Raises what `bleu` would, before there is anything to measure."""
    _metric(tokenize)


_EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}


def _metric(tokenize: Tokenization) -> BLEU:
    from sacrebleu.metrics.bleu import BLEU

    try:
        # `force` only keeps sacrebleu from warning that the text looks tokenised, which "none" has said already.
        return BLEU(tokenize=tokenize, force=tokenize == "none")
    except (ImportError, RuntimeError) as error:
        if tokenize not in _EXTRAS:
            raise
        what = f"a package that is not installed: pip install 'sacrebleu[{_EXTRAS[tokenize]}]'"
        raise ValueError(f"[bleu] the tokenisation {tokenize} needs {what}") from error
    except OSError as error:
        what = f"a model that sacrebleu fetches once from the internet, and could not: {error}"
        raise ValueError(f"[bleu] the tokenisation {tokenize} needs {what}") from error


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Chrf:
    """chrF2 against one reference a sentence."""
    from sacrebleu.metrics.chrf import CHRF

    check_lengths("chrf", hypotheses, references)
    metric = CHRF()
    result = metric.corpus_score(list(hypotheses), [list(references)])
    return Chrf(score=result.score, signature=str(metric.get_signature()))
