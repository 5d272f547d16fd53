"""M2M-100 and NLLB-200 checkpoints with random weights, in the layouts of the public ones, for tests that convert
them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marian_checkpoint import draw_weights, lines

LAYOUTS = ("nllb json", "nllb spm", "nllb both", "m2m")
# The seeds are those of models whose outputs have many lengths.
SHAPES: dict[str, dict[str, Any]] = {
    "nllb": dict(seed=4, layout="nllb json"),
    "m2m": dict(seed=5, layout="m2m", decoder_layers=1, encoder_layers=3),
    "uneven": dict(seed=1, layout="m2m", decoder_attention_heads=4, decoder_ffn_dim=20, activation_function="gelu"),
    "odd": dict(seed=4, layout="nllb spm", d_model=18, encoder_attention_heads=3, scale_embedding=False),
    "untied": dict(seed=5, layout="m2m", tie_word_embeddings=False),
}
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


def train_pieces(folder: Path) -> list[str]:
    """Writes sentencepiece.bpe.model; returns its pieces but the special ones."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*lines("source"), *lines("target")]), model_prefix=str(folder / "sentencepiece.bpe"),
        vocab_size=150, model_type="bpe", hard_vocab_limit=False, minloglevel=2, num_threads=1,
    )  # fmt: skip
    (folder / "sentencepiece.bpe.vocab").unlink()
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "sentencepiece.bpe.model"))
    return [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]


def write_tokenizer(folder: Path, layout: str, **settings: Any) -> Any:
    """All files of a tokenizer; returns that of transformers."""
    pieces = train_pieces(folder)
    if layout == "m2m":
        return _write_m2m(folder, pieces, settings)
    from transformers import NllbTokenizer
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    vocabulary = {piece: number for number, piece in enumerate([*_SPECIAL, *pieces])}
    if layout != "nllb json":  # in the public models the languages are numbered before the mask
        vocabulary |= {name: len(vocabulary) + i for i, name in enumerate([*FAIRSEQ_LANGUAGE_CODES, "<mask>"])}
    merges = [
        (piece[:cut], piece[cut:])
        for piece in pieces
        for cut in range(1, len(piece))
        if piece[:cut] in vocabulary and piece[cut:] in vocabulary
    ]
    charsmap = _charsmap((folder / "sentencepiece.bpe.model").read_bytes())
    theirs = NllbTokenizer(vocab=vocabulary, merges=merges, _spm_precompiled_charsmap=charsmap, **settings)
    if layout != "nllb spm":
        theirs.save_pretrained(folder)
    else:
        (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "NllbTokenizer", **settings}))
    if layout == "nllb json":
        (folder / "sentencepiece.bpe.model").unlink()
    return theirs


def _write_m2m(folder: Path, pieces: list[str], settings: dict[str, Any]) -> Any:
    from transformers import M2M100Tokenizer

    # Of an order of its own, and without a few pieces of the model.
    names = [*_SPECIAL, *sorted(pieces[:-4])]
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    theirs = M2M100Tokenizer(str(folder / "vocab.json"), str(folder / "sentencepiece.bpe.model"), **settings)
    theirs.save_pretrained(folder)
    return theirs


def write_checkpoint(
    folder: Path,
    layout: str = "nllb json",
    seed: int = 4,
    shards: str = "50GB",
    dtype: str = "float32",
    tokenizer: dict[str, Any] | None = None,
    **shape: Any,
) -> tuple[Any, Any]:
    """Writes all files of a checkpoint; returns the M2M100ForConditionalGeneration of transformers and the
    tokenizer."""
    import torch
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    folder.mkdir(parents=True, exist_ok=True)
    theirs = write_tokenizer(folder, layout, **(tokenizer or {}))
    options: dict[str, Any] = dict(
        vocab_size=400, d_model=16, encoder_ffn_dim=32, decoder_ffn_dim=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=48, init_std=0.4,
    )  # fmt: skip
    options |= shape
    if "encoder_attention_heads" in shape and "decoder_attention_heads" not in shape:
        options["decoder_attention_heads"] = options["encoder_attention_heads"]
    torch.manual_seed(seed)
    model = M2M100ForConditionalGeneration(M2M100Config(**options)).eval()
    _make_lively(model)
    model.generation_config.max_length = 24
    model.generation_config.forced_eos_token_id = 2
    model.to(getattr(torch, dtype))
    model.save_pretrained(folder, max_shard_size=shards)
    return model.to(torch.float32), theirs


def _make_lively(model: Any) -> None:
    """Weights for which outputs differ from sentence to sentence, and have several lengths."""
    import torch

    with torch.no_grad():
        draw_weights(model)
        # Towards the end token, until outputs end at several lengths.
        ids, start = torch.randint(4, 150, (16, 10)), model.model.decoder.layer_norm.bias.clone()
        for step in range(60):
            model.model.decoder.layer_norm.bias.copy_(start + 0.1 * step * model.lm_head.weight[2])
            rows = model.generate(ids, max_new_tokens=22, forced_bos_token_id=200, num_beams=1)[:, 2:].tolist()
            if len({[*row, 2].index(2) for row in rows}) > 3:
                return
        raise AssertionError("expected outputs of several lengths; take another seed")


def _charsmap(model: bytes) -> bytes:
    """The normalizer_spec's precompiled_charsmap of a SentencePiece ModelProto."""
    (spec,) = [content for field, content in _fields(model) if field == 3]
    (charsmap,) = [content for field, content in _fields(spec) if field == 2]
    return charsmap


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field of a protocol buffer; content is empty for numbers."""
    place = 0

    def varint() -> int:
        nonlocal place
        number = shift = 0
        while True:
            byte = message[place]
            place += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    while place < len(message):
        key = varint()
        if key & 7 == 0:
            varint()
            yield key >> 3, b""
        else:
            length = varint() if key & 7 == 2 else {1: 8, 5: 4}[key & 7]
            yield key >> 3, message[place : place + length]
            place += length
