"""The encoder of a T5 alone, `T5EncoderModel`, which makes vectors of texts: sentence-T5 (Ni et al., 2022), GTR."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attnkit.interop.converted import Converted
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.encoders import EncoderFamily, Stack, convert_encoder
from attnkit.interop.huggingface.filling import Part, Plan, Renamed, check_one
from attnkit.interop.huggingface.sentence_transformers import has_modules
from attnkit.interop.huggingface.t5_parts import EMBEDDINGS, encoder_plan

if TYPE_CHECKING:
    from attnkit.interop.huggingface.t5 import T5Config

_LONGEST = 1024  # tokens of a text where nobody says: relative positions have no end


def is_t5_encoder(checkpoint: Checkpoint) -> bool:
    """Whether it is for vectors, by its class, or because sentence-transformers keeps how they are made beside it."""
    return checkpoint.architecture.endswith("EncoderModel") or has_modules(checkpoint.folder)


def convert_t5_encoder(checkpoint: Checkpoint, config: T5Config) -> Converted:
    """As `convert_t5`, of what makes vectors of texts; a decoder that stands beside it is left out."""
    keys = {**config.alike, "layers": config.num_layers, "max_length": _LONGEST}
    stack = Stack(keys, config.vocab_size, _plan(checkpoint, config))
    return convert_encoder(checkpoint, stack, EncoderFamily(None, None))


def _plan(checkpoint: Checkpoint, config: T5Config) -> Plan:
    found = tuple(name for name in EMBEDDINGS if name in checkpoint.tensors)
    embedding = Part(found or EMBEDDINGS[:1], make=_one if len(found) > 1 else None)
    return {"embedding.weight": embedding, **encoder_plan(config)}


def _one(tensors: Renamed, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """The matrix that stands in the file by several names."""
    check_one(tensors, EMBEDDINGS, shape)
    return tensors.read(next(name for name in EMBEDDINGS if name in tensors), shape)
