"""`attnkit convert`: a public checkpoint becomes a model directory."""

from __future__ import annotations

from typing import Any

import click

from .shared import errors


@click.command("convert")
@click.argument("source", type=click.Path())
@click.argument("directory", type=click.Path())
def command(source: str, directory: str) -> None:
    """Convert the model in SOURCE, a folder or a package, into a model DIRECTORY.

    SOURCE holds a Marian model: a student of Firefox's or Bergamot's (model.*.bin, vocab.*.spm, lex.*.s2t.bin), a
    release of OPUS-MT (*.npz, source.spm, target.spm, vocab.yml), each plain or as .gz or .zst, or one as Hugging Face
    keeps it, such as Helsinki-NLP/opus-mt-en-de (config.json, model.safetensors, source.spm, target.spm, vocab.json).
    Or a model of many languages as Hugging Face keeps it: NLLB-200 or M2M-100 (sentencepiece.bpe.model or
    tokenizer.json). Or it is a directory of CTranslate2's, with the SentencePiece models in it, or a package of Argos
    Translate's (translate-en_de-1_0.argosmodel).
    DIRECTORY must not exist, or be empty. Then: attnkit translate DIRECTORY.
    """
    from attnkit.interop import convert

    converted = convert(source, directory)
    for line in converted.left_out:
        errors.say(line)
    errors.tell(f"{directory}: {converted.parameters:,} parameters, {_shape(converted.config)}")


def _shape(config: Any) -> str:
    """Layers and width, of a model that has them."""
    if hasattr(config, "encoder_layers"):
        return f"{config.encoder_layers} + {config.decoder_layers} layers of width {config.d_model}"
    if hasattr(config, "layers") and hasattr(config, "d_model"):
        return f"{config.layers} layers of width {config.d_model}"
    return f"a model of type {config.__struct_config__.tag}"
