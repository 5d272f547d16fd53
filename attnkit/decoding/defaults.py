"""How a model's text is searched for unless its user says otherwise: the part `decoding` of config.json."""

# Annotations are no text here: msgspec would compile each of them when a model is loaded.

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from attnkit.decoding.options import EarlyStopping, Normalization, Rules

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]


class DecodingDefaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fields of `DecodingOptions`, each None where attnkit's own default holds; a converted model brings its own."""

    beam: Positive | None = None
    min_length: Count | None = None
    max_length: Positive | None = None
    length_penalty: float | None = None
    normalization: Normalization | None = None
    rules: Rules | None = None
    early_stopping: EarlyStopping | None = None
    forced_end: bool | None = None
    renormalize: bool | None = None
    no_repeat_ngram: Count | None = None
    repetition_penalty: float | None = None
    sample: bool | None = None
    temperature: Annotated[float, Meta(gt=0)] | None = None
    top_k: Count | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None

    suppress: tuple[Count, ...] | None = None
    """Tokens that are never written; padding, unknown and beginning of sentence where not given."""

    first: Count | None = None
    """The token that every output begins with, where the model has one that is no text: it costs nothing."""

    shortlist: bool | None = None
    """Whether the shortlist in the model directory is used unless its user says otherwise."""

    def merge(self, search: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a search: those given, and these for the others. Sampling follows one hypothesis, and a
        beam that is asked for does not sample."""
        own = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        for name in ("suppress", "first", "shortlist"):  # which `decode` takes beside the options
            own.pop(name, None)
        if search.get("sample"):
            own.pop("beam", None)
        elif search.get("sample") is False or "beam" in search:
            for name in ("sample", "temperature", "top_k", "top_p"):
                own.pop(name, None)
        if search.get("rules") == "attnkit":
            for name in ("early_stopping", "forced_end"):
                own.pop(name, None)
        return own | search
