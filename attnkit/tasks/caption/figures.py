"""How good the captions of images are whose right captions are known: of validations and of `attnkit evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attnkit.metrics import captions as caption_metrics
from attnkit.metrics.transcripts import character_error_rate, word_error_rate


def caption_figures(captions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """bleu1 to bleu4, bleu (the last of them) and cider, in percent."""
    scores = caption_metrics.bleu(captions, references)
    figures = {f"bleu{n}": score for n, score in enumerate(scores, start=1)}
    return figures | {"bleu": scores[-1], "cider": caption_metrics.cider(captions, references)}


def reading_figures(captions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """cer and wer, in percent, of models that read what is written in an image: of images with one right text each.
    None where an image has several, or all are empty."""
    if any(len(of_image) != 1 for of_image in references) or not any(text.strip() for (text,) in references):
        return {}
    right = [text for (text,) in references]
    return {"cer": character_error_rate(captions, right), "wer": word_error_rate(captions, right)}


@dataclass(frozen=True, slots=True)
class CaptionReport:
    """How a captioner does on images with captions.

    images: how many. references: their captions, all together. bleu1 to bleu4 and cider (CIDEr-D): against all captions
    of an image, as in validations. exact: captions that are, to the character, one of them. All in percent. truncated:
    captions that were cut at the longest length. cer, wer: the rates of characters and words that are wrong, which may
    be over 100; None where an image has several captions.
    """

    images: int
    references: int
    bleu1: float
    bleu2: float
    bleu3: float
    bleu4: float
    cider: float
    exact: float
    truncated: int
    cer: float | None = None
    wer: float | None = None

    @classmethod
    def of(cls, captions: Sequence[str], references: Sequence[Sequence[str]], truncated: int) -> CaptionReport:
        figures = caption_figures(captions, references)
        del figures["bleu"]
        return cls(
            images=len(captions),
            references=sum(map(len, references)),
            exact=caption_metrics.exact(captions, references),
            truncated=truncated,
            **figures,
            **reading_figures(captions, references),
        )
