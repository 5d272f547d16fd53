"""VisionEncoderDecoderModel of transformers: a ViT or DeiT that a decoder of texts reads, TrOCR's or GPT-2."""

from __future__ import annotations

import os
from collections.abc import Callable

from attnkit.interop.converted import Converted
from attnkit.interop.huggingface.captioners import Decoder, made_config, read_ends, read_part, write_captioner
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Plan, weight_and_bias
from attnkit.interop.huggingface.gpt2_decoder import gpt2_decoder
from attnkit.interop.huggingface.trocr import trocr_decoder
from attnkit.interop.huggingface.vit import read_vit_config, vit_name, vit_plan
from attnkit.printable import quoted

_ENCODERS = {"vit": "ViT", "deit": "DeiT"}
"""The `model_type` of encoders, and the class of image processors where its file names none."""

_DECODERS: dict[str, Callable[[Checkpoint, int], Decoder]] = {"trocr": trocr_decoder, "gpt2": gpt2_decoder}

_ENCODER, _PROJECTION = "encoder.", "enc_to_dec_proj"


def convert_vision_encoder_decoder(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    checkpoint = Checkpoint.open(source, directory, _canonical)
    encoder, decoder = read_part(checkpoint, "encoder"), read_part(checkpoint, "decoder")
    encoder_type = _kind(checkpoint, encoder, "encoder", tuple(_ENCODERS))
    decoder_type = _kind(checkpoint, decoder, "decoder", tuple(_DECODERS))
    vit = read_vit_config(encoder)
    # Where both have the same width, or the decoder says the encoder's, it reads the tokens as they are.
    made = _DECODERS[decoder_type](decoder, vit.sizes[0])
    projected = _PROJECTION + ".weight" in checkpoint.tensors
    config = made_config(
        checkpoint, vit, made, read_ends(checkpoint, decoder), "projected-tokens" if projected else "tokens"
    )
    plan: Plan = {
        **{f"encoder.{name}": part for name, part in vit_plan(encoder, vit, prefix=_ENCODER).items()},
        **(weight_and_bias("projection", _PROJECTION) if projected else {}),
        **made.plan,
    }
    return write_captioner(checkpoint, config, made.vocab_size, plan, _ENCODERS[encoder_type])


def _canonical(name: str) -> str:
    return _ENCODER + vit_name(name.removeprefix(_ENCODER)) if name.startswith(_ENCODER) else name


def _kind(checkpoint: Checkpoint, part: Checkpoint, name: str, known: tuple[str, ...]) -> str:
    found = part.table.get("model_type")
    if found not in known:
        raise checkpoint.refused(f"{name}.model_type: expected {' or '.join(known)}, got {quoted(found)}")
    return str(found)
