"""Token-counted batches of sentence pairs, packed without padding, in an order that can be resumed exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from attnkit._batching import pack
from attnkit._tensor import hold_indices
from attnkit.data.order import Int32Array, Int64Array
from attnkit.text.batch_order import TokenBatches
from attnkit.text.corpus import EncodedCorpus


def _none() -> Int32Array:
    return np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Batch:
    """B sentence pairs in the packed layout, every array int32. What ops read is made Indices once, so read-only.

    `source_ids [S]` and `source_offsets [B + 1]`; `target_input_ids [T]` (bos, then the sentence) and
    `target_labels [T]` (the sentence, then eos) share `target_offsets [B + 1]`. `tokens` is T, the number of labels;
    `sentences` is B.
    `indices [B]` says which sentences of the corpus they are.
    `link_sources [L]` and `link_targets [L]`: the aligned tokens, of `source_ids` and of `target_labels`; none where
    the corpus has no links.
    """

    source_ids: Int32Array
    source_offsets: Int32Array
    target_input_ids: Int32Array
    target_labels: Int32Array
    target_offsets: Int32Array
    indices: Int32Array
    tokens: int
    sentences: int
    link_sources: Int32Array = field(default_factory=_none)
    link_targets: Int32Array = field(default_factory=_none)

    def __post_init__(self) -> None:
        hold_indices(self, "source_ids", "source_offsets", "target_input_ids", "target_labels", "target_offsets")


class BatchIterator(TokenBatches[Batch]):
    """Batches of sentence pairs, in the order of `TokenBatches`; end tokens count.

    A language model has no sources: in a corpus whose sources are all empty, with `source_eos=False`, so are those of a
    batch.

    `resample(epoch)` gives the same sentences as other ids, as BPE-dropout does; without it every epoch has those of
    `corpus`.

    `eos` ends targets and, without `source_end`, sources: a converted model may have two vocabularies.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        max_tokens: int,
        *,
        bos: int,
        eos: int,
        seed: int = 1,
        shuffle: bool = True,
        bucket_size: int = 8192,
        max_sentences: int = 1 << 30,
        source_eos: bool = True,
        source_end: int | None = None,
        resample: Callable[[int], EncodedCorpus] | None = None,
    ) -> None:
        super().__init__(
            *_lengths(corpus, source_eos),
            {
                "sentences": len(corpus),
                "source_tokens": int(corpus.source_offsets[-1]),
                "target_tokens": int(corpus.target_offsets[-1]),
            },
            max_tokens,
            seed,
            shuffle,
            bucket_size,
            max_sentences,
        )
        self._corpus, self._resample = corpus, resample
        self._bos, self._eos = bos, eos
        self._source_eos = (eos if source_end is None else source_end) if source_eos else -1

    def _begin(self, epoch: int) -> None:
        if self._resample is not None:
            self._corpus = self._resample(epoch)
            self._source_lengths, self._target_lengths = _lengths(self._corpus, self._source_eos >= 0)

    def _gather(self, chosen: Int64Array) -> Batch:
        corpus = self._corpus
        source_ids, source_offsets = pack(corpus.source_ids, corpus.source_offsets, chosen, -1, self._source_eos)
        inputs, target_offsets = pack(corpus.target_ids, corpus.target_offsets, chosen, self._bos, -1)
        labels, _ = pack(corpus.target_ids, corpus.target_offsets, chosen, -1, self._eos)
        return Batch(
            source_ids=source_ids,
            source_offsets=source_offsets,
            target_input_ids=inputs,
            target_labels=labels,
            target_offsets=target_offsets,
            indices=chosen.astype(np.int32),
            tokens=len(labels),
            sentences=len(chosen),
            **_links(corpus, chosen, source_offsets, target_offsets),
        )


def _links(
    corpus: EncodedCorpus, chosen: Int64Array, source_offsets: Int32Array, target_offsets: Int32Array
) -> dict[str, Int32Array]:
    """The links of the chosen sentences, by the tokens of the batch."""
    if corpus.links is None:
        return {}
    links, result = corpus.links, {}
    for name, tokens, begins in (
        ("link_sources", links.sources, source_offsets),
        ("link_targets", links.targets, target_offsets),
    ):
        found, offsets = pack(tokens, links.offsets, chosen)
        result[name] = found + np.repeat(begins[:-1], np.diff(offsets))
    return result


def _lengths(corpus: EncodedCorpus, source_eos: bool) -> tuple[Int32Array, Int32Array]:
    """What each pair costs: the tokens of its source and its target, with those at their ends."""
    return (
        np.diff(corpus.source_offsets).astype(np.int32) + np.int32(source_eos),
        np.diff(corpus.target_offsets).astype(np.int32) + np.int32(1),
    )
