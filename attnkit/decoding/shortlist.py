"""Vocabulary shortlists: the target tokens that a source can need, so that the output layer makes no others.

Each source token brings the target tokens that it is seen with in translations, found by their Dice coefficient
2 c(s, t) / (c(s) + c(t)) over sentence pairs (after Jean et al., 2015, section 3.2, who count alignments); the most
frequent target tokens are always there. A sentence may write what its own tokens bring, whatever batch it is in.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attnkit import ops
from attnkit._core import Restriction
from attnkit._tensor import index_array
from attnkit.decoding.protocol import Floats, Ids
from attnkit.decoding.sources import Packed

_CHUNK = 2_000_000  # pairs of tokens that are counted at a time
_NAMES = ("offsets", "ids", "always", "target_size")


class Shortlist:
    """For each source token its target tokens: ids[offsets[s] : offsets[s + 1]], and those that are always there."""

    def __init__(self, offsets: Ids, ids: Ids, always: Ids, target_size: int) -> None:
        """offsets int32 [source vocabulary + 1], ids and always int32 below target_size. ValueError for others."""
        rising = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(ids) and (np.diff(offsets) >= 0).all()
        for tokens in (ids, always):
            rising = rising and (len(tokens) == 0 or 0 <= tokens.min() <= tokens.max() < target_size)
        if not rising:
            raise ValueError(f"[shortlist] expected offsets up to {len(ids)} and ids below {target_size}, got others")
        # A search reads them for every batch.
        self.offsets, self.ids = index_array(offsets, "offsets"), index_array(ids, "ids")
        self.always = always.copy()
        self.target_size = target_size

    @classmethod
    def count(
        cls,
        pairs: Iterable[tuple[Ids, Ids]],
        source_size: int,
        target_size: int,
        per_token: int = 50,
        frequent: int = 200,
    ) -> Shortlist:
        """From the ids of sentence pairs: the `per_token` best of each source token, and the `frequent` ones."""
        counts = _Counts(source_size, target_size)
        for source_ids, target_ids in pairs:
            counts.add(np.unique(source_ids), np.unique(target_ids))
        keys, together = counts.totals()
        source, target = keys // target_size, keys % target_size
        dice = 2.0 * together / (counts.source[source] + counts.target[target])
        order = np.lexsort((target, -dice, source))
        source, target = source[order], target[order]
        rank = np.arange(len(source)) - np.searchsorted(source, source)
        kept = rank < per_token
        offsets = np.searchsorted(source[kept], np.arange(source_size + 1)).astype(np.int32)
        seen = np.argsort(-counts.target, kind="stable")[:frequent]
        always = np.sort(seen[counts.target[seen] > 0]).astype(np.int32)
        return cls(offsets, target[kept].astype(np.int32), always, target_size)

    def restrict(self, source: Packed, needed: Ids, prefixes: tuple[Ids, Ids] | None = None) -> Restriction:
        """For a batch: `needed` tokens (the end token, say) and a sentence's own prefix are always among its own.

        prefixes: their ids, and offsets [B + 1].
        """
        ids, offsets = prefixes or (np.zeros(0, np.int32), np.zeros(len(source) + 1, np.int32))
        return Restriction(
            offsets=self.offsets,
            ids=self.ids,
            always=np.concatenate([self.always, needed]),
            source_offsets=source.offsets,
            source_ids=source.ids,
            prefix_offsets=offsets,
            prefix_ids=ids,
            vocabulary=self.target_size,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes safetensors, atomically."""
        from attnkit.weights import save_weights

        size = np.array([self.target_size], np.int32)
        save_weights(dict(zip(_NAMES, (self.offsets, self.ids, self.always, size), strict=True)), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Shortlist:
        """Raises FileNotFoundError, or ValueError for a file that is none."""
        from attnkit.weights import map_arrays

        if not Path(path).is_file():
            raise FileNotFoundError(f"{path}: no such file; `attnkit shortlist` makes one")
        arrays = map_arrays(path)
        if sorted(arrays) != sorted(_NAMES) or any(a.dtype != np.int32 or a.ndim != 1 for a in arrays.values()):
            raise ValueError(f"{path}: expected a shortlist, got {', '.join(arrays) or 'nothing'}")
        try:
            return cls(arrays["offsets"], arrays["ids"], arrays["always"], int(arrays["target_size"].max(initial=0)))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def restricted(log_probs: Floats, restriction: Restriction, sentences: Ids) -> Floats:
    """log_probs [R, V] of a step over each sentence's own tokens alone, -inf for the others."""
    own = np.full_like(log_probs, -np.inf)
    for row, sentence in enumerate(sentences.tolist()):
        tokens = restriction.tokens_of(sentence)
        own[row, tokens] = log_probs[row, tokens]
    own[...] = ops.log_softmax(own)
    return own


class _Counts:
    """In how many sentence pairs tokens and pairs of tokens occur."""

    def __init__(self, source_size: int, target_size: int) -> None:
        self.source = np.zeros(source_size, np.int64)
        self.target = np.zeros(target_size, np.int64)
        self._keys, self._together = np.zeros((2, 0), np.int64)
        self._waiting: list[npt.NDArray[np.int64]] = []
        self._size = 0

    def add(self, source: Ids, target: Ids) -> None:
        self.source[source] += 1
        self.target[target] += 1
        self._waiting.append((source.astype(np.int64)[:, None] * len(self.target) + target).ravel())
        self._size += len(self._waiting[-1])
        if self._size >= _CHUNK:
            self._merge()

    def totals(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """source · target_size + target of each pair that was seen, rising, and how often."""
        self._merge()
        return self._keys, self._together

    def _merge(self) -> None:
        waiting, self._waiting, self._size = self._waiting, [], 0
        keys, counts = np.unique(np.concatenate([self._keys[:0], *waiting]), return_counts=True)
        merged, places = np.unique(np.concatenate([self._keys, keys]), return_inverse=True)
        totals = np.zeros(len(merged), np.int64)
        np.add.at(totals, places, np.concatenate([self._together, counts]))
        self._keys, self._together = merged, totals
