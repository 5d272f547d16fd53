"""What models that describe images have in common: how they search, their output layer, and what is written of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np

from attnkit import typed
from attnkit.decoding.defaults import DecodingDefaults
from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import GenerationConfig, Ids, left_out_of_search, only, read_generation
from attnkit.interop.hf_weights import left_out_tensors
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Plan, filled_model
from attnkit.interop.huggingface.image_processor import read_image_processor
from attnkit.interop.huggingface.text_tokenizer import read_text_tokenizer
from attnkit.models.captioner_config import CaptionerConfig, TransformerDecoderConfig
from attnkit.models.config import NotNegative
from attnkit.models.vit_config import ViTConfig
from attnkit.tasks.shared.directory import save_directory

_NOTHING = (
    ".position_ids", "._float_tensor", ".attn.bias", ".attn.masked_bias", ".crossattention.bias",
    ".crossattention.masked_bias", ".cls.predictions.decoder.bias",
)  # fmt: skip
"""How the names of tensors of older files end that are numbered places, masks, or a bias again."""


class CaptionGeneration(GenerationConfig, frozen=True):
    """bos_token_id: what the decoder reads first where no token is named for that alone."""

    bos_token_id: NotNegative | None = None


class _Ends(msgspec.Struct, frozen=True):
    """What stands around a text, as config.json says it."""

    decoder_start_token_id: NotNegative | None = None
    bos_token_id: NotNegative | None = None
    eos_token_id: Ids | None = None


class Ends(NamedTuple):
    """The tokens that a caption stands between."""

    bos_id: int
    eos_id: int


class Decoder(NamedTuple):
    """keys: of `TransformerDecoderConfig`. vocab_size: entries of the vocabulary. plan: of our parameters below
    `decoder` and `output`."""

    keys: dict[str, Any]
    vocab_size: int
    plan: Plan


def read_part(checkpoint: Checkpoint, name: str) -> Checkpoint:
    """The checkpoint as one of the models that it consists of sees it: with the table `name` of config.json. Raises
    ValueError where there is none."""
    table = checkpoint.table.get(name)
    if not isinstance(table, dict):
        raise checkpoint.refused(f"{name}: expected a table, got {type(table).__name__}")
    return checkpoint._replace(table=table)


def read_ends(checkpoint: Checkpoint, decoder: Checkpoint) -> Ends:
    """As `generate` of transformers chooses them: what says how to search comes first, then the whole model's
    configuration, then the decoder's."""
    file, _, said = read_generation(checkpoint.folder, checkpoint.table, CaptionGeneration)
    where = [said, checkpoint.config(_Ends), decoder.config(_Ends)]

    def first(name: str) -> Any:
        return next((found for each in where if (found := getattr(each, name)) is not None), None)

    start = first("decoder_start_token_id")
    bos, eos = first("bos_token_id") if start is None else start, first("eos_token_id")
    if bos is None or eos is None:
        raise checkpoint.refused("decoder_start_token_id, eos_token_id: expected a token each, got none")
    try:
        return Ends(bos, only(eos, "eos_token_id"))
    except ValueError as error:
        raise ValueError(f"[convert] {file}: {error}") from None


def is_tied(checkpoint: Checkpoint, output: str, embedding: str, shape: tuple[int, int]) -> bool:
    """Whether the output layer's matrix [V, width] is the embedding's: it is not there, or it is the same."""
    tensors = checkpoint.tensors
    return output not in tensors or bool(np.array_equal(tensors.read(output, shape), tensors.read(embedding, shape)))


def made_config(
    checkpoint: Checkpoint, encoder: ViTConfig, decoder: Decoder, ends: Ends, memory: str = "tokens"
) -> CaptionerConfig:
    """Raises ValueError, naming config.json, for an architecture that none can have."""
    if max(ends) >= decoder.vocab_size:
        raise checkpoint.refused(f"vocab_size: expected more than the tokens {ends.bos_id} and {ends.eos_id}")
    if decoder.keys["width"] ** 2 > checkpoint.tensors.tensors.total_size():
        raise checkpoint.refused(f"expected a decoder of the tensors' size, got one of width {decoder.keys['width']}")
    keys: dict[str, Any] = {"memory": memory, "bos_id": ends.bos_id, "eos_id": ends.eos_id}
    try:
        made = typed.convert({"type": "transformer", **decoder.keys}, TransformerDecoderConfig)
        return CaptionerConfig(encoder=encoder, decoder=made, **keys)
    except (msgspec.ValidationError, ValueError) as error:
        raise checkpoint.refused(str(error)) from None


def write_captioner(
    checkpoint: Checkpoint, config: CaptionerConfig, vocab_size: int, plan: Plan, processor: str
) -> Converted:
    """Writes the model directory. plan: of the whole model. processor: the class of image processors of a file that
    names none."""
    assert isinstance(config.encoder, ViTConfig)  # no other is converted
    image = read_image_processor(checkpoint.folder, config.encoder.channels, processor)
    if image.shape != (side := config.encoder.image_size, side):
        raise checkpoint.refused(
            f"image_size: expected that of the images, {image.shape[0]} x {image.shape[1]} as they are prepared, got "
            f"{side}"
        )
    tokenizer = read_text_tokenizer(checkpoint.folder, vocab_size)
    defaults, left_out = _read_search(checkpoint, config.decoder.max_length, vocab_size)
    model, unread = filled_model(checkpoint.tensors, config, (vocab_size,), plan)
    with atomic_folder(checkpoint.target) as new:
        save_directory(
            model, new, "caption", reads="images", image=image, tokenizers=tokenizer.tokenizers, decoding=defaults
        )
    tensors = checkpoint.tensors.tensors
    unread = [name for name in unread if not name.endswith(_NOTHING)]
    left_out += [*tensors.notes, *left_out_tensors(tensors, unread, "the model that is made of it")]
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)


def _read_search(checkpoint: Checkpoint, positions: int, vocab_size: int) -> tuple[DecodingDefaults, list[str]]:
    """How captions are searched for, and a line for each setting that attnkit does not follow."""
    file, table, said = read_generation(checkpoint.folder, checkpoint.table, CaptionGeneration)
    try:
        defaults = said.to_defaults(positions, vocab_size)
    except ValueError as error:
        raise ValueError(f"[convert] {file}: {error}") from None
    return defaults, left_out_of_search(table, file)
