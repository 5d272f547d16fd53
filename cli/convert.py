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

    SOURCE holds a checkpoint as Hugging Face transformers keeps it (config.json, model.safetensors, tokenizer.json):
    a text encoder (BERT, RoBERTa, DistilBERT, MPNet, ELECTRA, with what sentence-transformers puts behind them), ViT,
    DeiT or CLIP, a captioner (TrOCR, ViT-GPT2, BLIP), GPT-2, BART, Pegasus or T5, or a translator (OPUS-MT, mBART,
    M2M-100, NLLB-200). Or a ViT of timm's. Or a Marian model in its own files: a student of Firefox's (model.*.bin,
    vocab.*.spm, lex.*.s2t.bin) or a release of OPUS-MT (*.npz, source.spm, target.spm, vocab.yml), each plain or as
    .gz or .zst. Or a directory of CTranslate2's, with the SentencePiece models in it, or a package of Argos
    Translate's (translate-en_de-1_0.argosmodel).

    DIRECTORY must not exist, or be empty. `attnkit inspect DIRECTORY` says which command runs it.
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
