"""Measuring a translation model on sentence pairs: loss a token, BLEU and chrF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnkit.distributed import group, shared
from attnkit.metrics import text as text_metrics
from attnkit.models.transformer import Transformer
from attnkit.tasks.shared.measured import mean_loss
from attnkit.tasks.shared.search_config import DecodingConfig
from attnkit.tasks.translate.pairs import encode_pairs, make_batches
from attnkit.tasks.translate.translator import Translator
from attnkit.text.corpus import EncodedCorpus, ParallelCorpus
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.training.metrics import Figure
from attnkit.training.task import Check

if TYPE_CHECKING:
    from attnkit.models.recurrent import Recurrent

# Sentences that are sorted by length and translated between two looks at the signals.
_WINDOW = 512


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Sentence pairs to measure on: all of them as text, and as ids those that the model can read."""

    text: ParallelCorpus
    encoded: EncodedCorpus
    tokenizers: TokenizerPair

    @classmethod
    def prepare(cls, text: ParallelCorpus, tokenizers: TokenizerPair, split: str, max_length: int) -> HeldOut:
        """Encodes the pairs of at most `max_length` tokens on either side. Raises ValueError when there is none."""
        encoded = encode_pairs(text, tokenizers, max_length)
        if not len(encoded):
            limit = f" of at most {max_length} tokens, which the model can read," if len(text) else ""
            raise ValueError(f"[train] expected sentence pairs{limit} in data.{split}, got none")
        return cls(text, encoded, tokenizers)


def token_loss(model: Transformer | Recurrent, pairs: HeldOut, batch_tokens: int, check: Check) -> float:
    """-log p a target token (its end token counted), without smoothing or dropout."""
    batches = make_batches(model, pairs.tokenizers, pairs.encoded, batch_tokens, shuffle=False)
    return mean_loss(batches, model.loss, check)


def translation_figures(
    translator: Translator,
    pairs: HeldOut,
    config: DecodingConfig,
    final: bool,
    check: Check,
) -> Mapping[str, Figure]:
    """bleu, chrf and bleu_signature of the translator's translations, which processes that train together share out."""

    def translated(sources: Sequence[str]) -> list[str]:
        texts = []
        for result in translator.translate_stream(
            sources,
            window=_WINDOW,
            batch_tokens=config.batch_tokens,
            **config.search(final),
        ):
            check()
            texts.append(result.text)
        return texts

    texts = shared(group(), pairs.text.sources, translated)
    bleu = text_metrics.bleu(texts, pairs.text.targets, config.tokenize)
    chrf = text_metrics.chrf(texts, pairs.text.targets)
    return {"bleu": bleu.score, "chrf": chrf.score, "bleu_signature": bleu.signature}
