"""`attnkit convert`: a public checkpoint becomes a model directory."""

from __future__ import annotations

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
    c = converted.config
    errors.tell(
        f"{directory}: {converted.parameters:,} parameters, {c.encoder_layers} + {c.decoder_layers} layers of width "
        f"{c.d_model}"
    )
