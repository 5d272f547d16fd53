"""The choices of a search, checked once, before any model runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypedDict, Unpack

import msgspec
import numpy as np

from attnkit.decoding.protocol import Ids
from attnkit.printable import quoted

Normalization = Literal["average", "gnmt"]
Rules = Literal["attnkit", "transformers"]
EarlyStopping = bool | Literal["never"]

MAX_BEAM = 1024
"""Far beyond what helps a search, and yet what a computer can follow."""


class DecodingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How text is searched for. Lengths count target tokens, without the end token.

    beam: hypotheses followed for a sentence, at most 1024; 1 is greedy search.
    nbest: hypotheses returned for a sentence, best first; at most `beam`. Of samples as many as are asked for, in the
        order in which they are drawn: the first is what nbest 1 gives.
    min_length, max_length: `max_length=None` allows 2 n + 10 tokens for a source of n, as far as the model can go.
    length_penalty, normalization: a hypothesis of log-probability s and length L (its end token counted) scores
        "average": s / L ** length_penalty, the mean log-probability at 1.0;
        "gnmt":    s / ((5 + L) / 6) ** length_penalty (Wu et al., 2016, equation 14; they use 0.6 or so).
        0 compares plain log-probabilities, which favours short output; below 0, which only the rules of transformers
        allow, favours it more.
    rules: when a search is over.
        "attnkit": a finished hypothesis holds one of `beam` places, and the search ends when no live one can win;
        "transformers": as `generate` of Hugging Face transformers. `beam` hypotheses live on beside the `beam` best
        finished ones, for as long as early_stopping says; an end that max_length forces costs nothing. With beam 1
        both write the same.
    early_stopping: when, by the rules of transformers, a search with `beam` finished hypotheses is over. False: when
        the best live one, at its length now, scores no better than any of those; True: at once; "never": when it could
        score no better at any length, which for a length_penalty over 0 is that of max_length.
    forced_end: by the rules of transformers, whether an output that max_length cuts gets an end, which its length
        counts (`forced_eos_token_id` there), or is scored by its tokens alone.
    renormalize: the probabilities of a step sum to one again after tokens were forbidden (`renormalize_logits` there).
    no_repeat_ngram: no n-gram of this size occurs twice in a hypothesis; 0 for no rule (Paulus et al., 2018).
    repetition_penalty: divides the score of a token that the hypothesis has already, or multiplies it where it is
        negative, so that over 1 it becomes less likely; 1 for no rule (Keskar et al., 2019). Scores are, as in
        transformers, the logits with beam 1 and log-probabilities in a beam.
    sample: draws each token at random instead of searching; needs beam 1.
    temperature: log-probabilities are divided by it before sampling.
    top_k: samples among the k likeliest tokens; 0 for all.
    top_p: samples among the fewest tokens that have this share of the mass (Holtzman et al., 2020).
    seed: of the samples. A sentence's samples depend on the seed and on its number in the input, not on its batch.
    """

    beam: int = 5
    nbest: int = 1
    min_length: int = 1
    max_length: int | None = None
    length_penalty: float = 1.0
    normalization: Normalization = "average"
    rules: Rules = "attnkit"
    early_stopping: EarlyStopping = False
    forced_end: bool = True
    renormalize: bool = False
    no_repeat_ngram: int = 0
    repetition_penalty: float = 1.0
    sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_ranges()
        if self.sample and self.nbest > MAX_BEAM:
            raise ValueError(f"[decode] expected nbest <= {MAX_BEAM}, got {self.nbest}")
        if not self.sample and self.nbest > self.beam:
            raise ValueError(f"[decode] expected nbest <= beam, got nbest {self.nbest} and beam {self.beam}")
        if self.max_length is not None and self.max_length < self.min_length:
            raise ValueError(f"[decode] expected min_length <= max_length, got {self.min_length} and {self.max_length}")
        for name, own in (("early_stopping", False), ("forced_end", True)):
            if self.rules != "transformers" and getattr(self, name) != own:
                raise ValueError(f'[decode] expected rules "transformers" with {name}, got "attnkit"')
        if self.sample and self.beam != 1:
            raise ValueError(f"[decode] expected beam 1 with sample, got beam {self.beam}")
        if not self.sample and (self.temperature, self.top_k, self.top_p, self.seed) != (1.0, 0, 1.0, 0):
            raise ValueError("[decode] expected sample with temperature, top_k, top_p or seed, got a search")

    def _check_ranges(self) -> None:
        at_least = {"beam": 1, "nbest": 1, "min_length": 0, "no_repeat_ngram": 0, "top_k": 0, "seed": 0}
        for name, low in at_least.items():
            _check_integer(name, getattr(self, name), low)
        if self.beam > MAX_BEAM:
            raise ValueError(f"[decode] expected beam <= {MAX_BEAM}, got {self.beam}")
        if self.max_length is not None:
            _check_integer("max_length", self.max_length, 1)
        if self.seed >= 2**64:
            raise ValueError(f"[decode] expected seed below 2**64, got {self.seed}")
        # The rules of attnkit end a search by a bound that holds only where longer hypotheses are not punished.
        if not math.isfinite(self.length_penalty) or (self.length_penalty < 0 and self.rules == "attnkit"):
            raise ValueError(f"[decode] expected length_penalty >= 0, got {self.length_penalty}")
        if not (math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0):
            raise ValueError(f"[decode] expected repetition_penalty > 0, got {self.repetition_penalty}")
        if self.normalization not in ("average", "gnmt"):
            raise ValueError(f'[decode] expected normalization "average" or "gnmt", got {quoted(self.normalization)}')
        if self.rules not in ("attnkit", "transformers"):
            raise ValueError(f'[decode] expected rules "attnkit" or "transformers", got {quoted(self.rules)}')
        if self.early_stopping not in (False, True, "never"):
            raise ValueError(
                f'[decode] expected early_stopping to be False, True or "never", got {quoted(self.early_stopping)}'
            )
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ValueError(f"[decode] expected temperature > 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"[decode] expected 0 < top_p <= 1, got {self.top_p}")

    def max_lengths(
        self,
        source_lengths: Ids,
        prefix_lengths: Ids,
        limit: int | None,
        name: Callable[[int], str] = lambda b: f"sentence {b + 1}",
    ) -> Ids:
        """The longest output of each sentence [B]; `limit` is the most tokens that the model can write, `name` what an
        error calls sentence b."""
        if limit is None:
            limit = 2**31 - 2
        if self.max_length is not None:
            if self.max_length > limit:
                raise ValueError(
                    f"[decode] expected max_length <= {limit}, the most that this model writes, got {self.max_length}"
                )
            longest = np.full(len(source_lengths), self.max_length, np.int64)
        else:
            longest = np.minimum(2 * source_lengths.astype(np.int64) + 10, limit)
            longest = np.maximum(longest, np.maximum(prefix_lengths, self.min_length))
        if self.min_length > limit:
            raise ValueError(f"[decode] expected min_length <= {limit}, got {self.min_length}")
        too_long = np.flatnonzero(prefix_lengths > np.minimum(longest, limit))
        if too_long.size:
            b = int(too_long[0])
            raise ValueError(
                f"[decode] expected prefixes of at most {min(int(longest[b]), limit)} tokens, "
                f"got {int(prefix_lengths[b])} in {name(b)}"
            )
        return longest.astype(np.int32)


def _check_integer(name: str, value: object, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"[decode] expected {name} to be an integer, got {quoted(value)}")
    if not value >= low:
        raise ValueError(f"[decode] expected {name} >= {low}, got {value}")
    if value >= 2**31 and name != "seed":
        raise ValueError(f"[decode] expected {name} below 2**31, got {value}")


class SearchArguments(TypedDict, total=False):
    """The keyword arguments of `translate` that choose the search; `DecodingOptions` explains them."""

    beam: int
    nbest: int
    min_length: int
    max_length: int | None
    length_penalty: float
    normalization: Normalization
    rules: Rules
    early_stopping: EarlyStopping
    forced_end: bool
    renormalize: bool
    no_repeat_ngram: int
    repetition_penalty: float
    sample: bool
    temperature: float
    top_k: int
    top_p: float
    seed: int


def decoding_options(**search: Unpack[SearchArguments]) -> DecodingOptions:
    """`DecodingOptions` with a beam of 5, or of 1 where `sample` is set. Raises ValueError for nonsense."""
    if search.get("sample"):
        search.setdefault("beam", 1)
    return DecodingOptions(**search)
