"""How well a language model foretells texts that are given: -log p a token, and its exponential."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnkit import _tensor
from attnkit.tasks.shared.by_length import batches_by_length
from attnkit.tasks.shared.progress import Done, unseen
from attnkit.text.batching import Batch

if TYPE_CHECKING:
    from attnkit.tasks.language_model.generator import Generator


@dataclass(frozen=True, slots=True)
class Perplexity:
    """loss: -log p a token, in nats. tokens: how many were foretold. texts: that had any. cut: the texts that the model
    reads in several parts, each from its beginning, because they are longer than it."""

    loss: float
    tokens: int
    texts: int
    cut: int

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 700.0))


def perplexity(generator: Generator, texts: Iterable[str], batch_tokens: int = 4096, done: Done = unseen) -> Perplexity:
    """Of all tokens of the texts together. A model with a start token foretells the first token of a text, too, and its
    end, as in training; others read the first, and what they foretell is what stands behind it, as transformers has it.

    done: called with the number of tokens of each batch once they are foretold. Raises ValueError where there is
    nothing to foretell.
    """
    parts, count, cut = [], 0, 0
    for text in texts:
        found = list(_parts(generator, text))
        parts += found
        count += bool(found)
        cut += len(found) > 1
    if not parts:
        raise ValueError("[evaluate] expected texts with something to foretell, got none")
    nll, tokens = 0.0, 0
    with _tensor.no_grad(), _tensor.precision(generator.precision):
        for batch in batches_by_length(parts, len, batch_tokens):
            output = generator.model.loss(_batch(batch))
            nll += output.nll_sum
            tokens += output.tokens
            done(output.tokens)
    return Perplexity(nll / tokens, tokens, count, cut)


def _parts(generator: Generator, text: str) -> Iterator[list[int]]:
    """The tokens of a text, with the start token and the end where the model has both: each foretells the next."""
    model, ids = generator.model, generator.ids(text)
    start = model.config.bos_id
    if start is not None and ids:
        ids = [start, *ids, model.eos_id]
    room = model.max_target_length
    for begin in range(0, len(ids) - 1, room):
        yield ids[begin : begin + room + 1]  # the last is only foretold


def _batch(parts: list[list[int]]) -> Batch:
    lengths = [len(part) - 1 for part in parts]
    none = np.zeros(0, np.int32)
    return Batch(
        source_ids=none,
        source_offsets=np.zeros(len(parts) + 1, np.int32),
        target_input_ids=np.concatenate([part[:-1] for part in parts]).astype(np.int32),
        target_labels=np.concatenate([part[1:] for part in parts]).astype(np.int32),
        target_offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        indices=np.arange(len(parts), dtype=np.int32),
        tokens=sum(lengths),
        sentences=len(parts),
    )
