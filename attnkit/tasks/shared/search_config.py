"""[decoding]: the search for the outputs that are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from attnkit.decoding.options import MAX_BEAM, DecodingOptions, Normalization
from attnkit.metrics.text import Tokenization
from attnkit.training.config import NotNegative, Positive

if TYPE_CHECKING:
    from attnkit.decoding.options import SearchArguments


Beam = Annotated[int, Meta(ge=1, le=MAX_BEAM)]

_LIBRARY = DecodingOptions()


class SearchConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[decoding] of every task that writes text: the search for the outputs that are measured."""

    validation_beam: Annotated[
        Beam, Meta(description="Hypotheses followed for an output at the validations; 1 is greedy search.")
    ] = 1

    beam: Annotated[
        Beam, Meta(description="The same for the test data, and for the validation data once training has ended.")
    ] = _LIBRARY.beam

    length_penalty: Annotated[
        float, Meta(ge=0.0, description="See `attnkit.decoding.DecodingOptions`: larger favours longer outputs.")
    ] = _LIBRARY.length_penalty

    normalization: Annotated[
        Normalization,
        Meta(
            description='What the length penalty means: "average" (the log-probability over length ** penalty) or '
            '"gnmt".'
        ),
    ] = _LIBRARY.normalization

    min_length: Annotated[NotNegative, Meta(description="Outputs have at least this many tokens.")] = (
        _LIBRARY.min_length
    )

    no_repeat_ngram: Annotated[
        NotNegative, Meta(description="No n-gram of this size occurs twice in an output; 0 for no rule.")
    ] = _LIBRARY.no_repeat_ngram

    repetition_penalty: Annotated[
        float,
        Meta(gt=0.0, description="Over 1, tokens that an output has already become less likely; 1 for no rule."),
    ] = _LIBRARY.repetition_penalty

    def search(self, final: bool) -> SearchArguments:
        """What `translate_stream` and its like take. final: after training, when a wider beam has time."""
        return {
            "beam": self.beam if final else self.validation_beam,
            "length_penalty": self.length_penalty,
            "normalization": self.normalization,
            "min_length": self.min_length,
            "no_repeat_ngram": self.no_repeat_ngram,
            "repetition_penalty": self.repetition_penalty,
        }


class DecodingConfig(SearchConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[decoding]: how validation and test sentences are translated, and how BLEU is counted."""

    bleu: Annotated[
        bool,
        Meta(
            description="Translate at every validation and measure BLEU; false validates by loss alone, which takes "
            "less time."
        ),
    ] = True

    batch_tokens: Annotated[Positive, Meta(description="About how many source tokens are translated at once.")] = 1024

    tokenize: Annotated[
        Tokenization, Meta(description='sacrebleu\'s tokenisation; "none" for text that is tokenised already.')
    ] = "13a"
