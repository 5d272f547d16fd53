"""How transformers' `generate` goes on with a text where nobody says otherwise, as a search of ours."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from attnkit.decoding.defaults import DecodingDefaults
from attnkit.interop.hf_config import GenerationConfig, left_out_of_search, only, read_generation
from attnkit.interop.huggingface.checkpoint import Checkpoint

TEXT_GENERATION = "text-generation"
"""The task, as it is called there."""

_TOP_K = 50
"""What `generate` samples among where no top_k is said."""

# Beside those of `left_out_of_search`, with the values with which they do nothing.
_MORE: dict[str, tuple[Any, ...]] = {
    "max_new_tokens": (),
    "min_p": (0, 0.0),
    "typical_p": (1.0,),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "penalty_alpha": (0.0,),
    "guidance_scale": (1.0,),
    "forced_bos_token_id": (),
}


class CausalGeneration(GenerationConfig, frozen=True):
    """generation_config.json of a model without sources."""

    do_sample: bool | None = None
    temperature: Annotated[float, Meta(gt=0)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None


def read_causal_search(
    checkpoint: Checkpoint, positions: int, vocab_size: int
) -> tuple[DecodingDefaults, int | None, list[str]]:
    """The search, the token that ends a text if it says one, and a line for each setting that is left out.

    positions: the tokens that the model reads. Raises ValueError that names the file and the key.
    """
    file, table, generation = read_generation(checkpoint.folder, checkpoint.table, CausalGeneration, TEXT_GENERATION)
    try:
        end = None if generation.eos_token_id is None else only(generation.eos_token_id, "eos_token_id")
        defaults = _defaults(generation, positions, vocab_size)
    except ValueError as error:
        raise ValueError(f"[convert] {file}: {error}") from None
    return defaults, end, left_out_of_search({**table, "do_sample": None}, file, _MORE)


def _defaults(generation: CausalGeneration, positions: int, vocab_size: int) -> DecodingDefaults:
    """Lengths count all tokens there, and here all but the first, which stands in the place of a start token."""
    g = generation
    around = 1 + (g.forced_eos_token_id is not None)
    longest = None if g.max_length is None else max(1, min(g.max_length, positions) - around)
    shortest = max(0, (g.min_length or 0) - 1)
    if shortest > (longest or positions - 1):
        raise ValueError(f"min_length: expected no more than the longest text, got {g.min_length}")
    sampling: dict[str, Any] = {}
    if g.do_sample:
        top_k = _TOP_K if g.top_k is None else g.top_k
        sampling = dict(beam=1, sample=True, temperature=g.temperature, top_k=top_k, top_p=g.top_p)
    return g.search(vocab_size, shortest, longest, **sampling)
