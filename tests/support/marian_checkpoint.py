"""Marian checkpoints with random weights, in the layout of the public OPUS-MT models, for tests that convert them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attnkit.text import en_it

TAGS = (">>ita<<", ">>fra<<")
# The seeds are those of models whose outputs have many lengths.
SHAPES: dict[str, dict[str, Any]] = {
    "plain": dict(seed=1),
    "deep encoder": dict(seed=3, encoder_layers=3, decoder_layers=1, activation_function="relu", scale_embedding=False),
    "uneven": dict(seed=3, decoder_attention_heads=4, decoder_ffn_dim=20, activation_function="gelu"),
    "separate": dict(seed=2, share_encoder_decoder_embeddings=False, decoder_vocab_size=140),
    "untied": dict(seed=1, tie_word_embeddings=False),
    "all separate": dict(
        seed=2, share_encoder_decoder_embeddings=False, decoder_vocab_size=140, tie_word_embeddings=False
    ),
}
GENERATION: dict[str, Any] = dict(max_length=24, renormalize_logits=True)


def lines(side: str) -> list[str]:
    """Some hundred sentences of the built-in corpus."""
    return [getattr(pair, side) for pair in en_it.corpus(train=400, validation=0, test=0, seed=1)["train"]]


def write_tokenizers(folder: Path, vocab_size: int, target_vocab_size: int | None = None) -> None:
    """source.spm, target.spm, vocab.json and tokenizer_config.json; with a target size target_vocab.json as well."""
    import sentencepiece

    pieces: dict[str, list[str]] = {}
    for name, side in (("source", "source"), ("target", "target")):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines(side)), model_prefix=str(folder / name), vocab_size=80, model_type="unigram",
            hard_vocab_limit=False, minloglevel=2, num_threads=1,
        )  # fmt: skip
        (folder / f"{name}.model").rename(folder / f"{name}.spm")
        (folder / f"{name}.vocab").unlink()
        processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.spm"))
        pieces[name] = [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]
    separate = target_vocab_size is not None
    # A few pieces of the models are not in the vocabulary, as with some public models.
    source = pieces["source"][:-4] if separate else sorted({*pieces["source"][:-4], *pieces["target"][:-4]})
    _write_vocabulary(folder / "vocab.json", [*source, *TAGS], vocab_size)
    if target_vocab_size is not None:
        _write_vocabulary(folder / "target_vocab.json", pieces["target"][:-4], target_vocab_size)
    settings = {"source_lang": "en", "target_lang": "it", "separate_vocabs": separate}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "MarianTokenizer", **settings}))


def _write_vocabulary(file: Path, pieces: list[str], size: int) -> None:
    names = ["</s>", "<unk>", *pieces]
    assert len(names) < size, len(names)
    names += [f"filler{i}" for i in range(size - 1 - len(names))]
    file.write_text(json.dumps({name: i for i, name in enumerate([*names, "<pad>"])}, ensure_ascii=False))


def write_checkpoint(folder: Path, seed: int = 1, shards: str = "50GB", dtype: str = "float32", **shape: Any) -> Any:
    """Writes all files of a checkpoint; returns the MarianMTModel of transformers."""
    import torch
    from transformers import MarianConfig, MarianMTModel

    folder.mkdir(parents=True, exist_ok=True)
    size = 160
    options: dict[str, Any] = dict(
        vocab_size=size, d_model=16, encoder_ffn_dim=32, decoder_ffn_dim=32, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=48, eos_token_id=0,
        forced_eos_token_id=0, activation_function="swish", scale_embedding=True, init_std=0.4,
    )  # fmt: skip
    options |= shape
    options["decoder_vocab_size"] = options.get("decoder_vocab_size", size)
    target_size = options["decoder_vocab_size"]
    options |= dict(pad_token_id=target_size - 1, decoder_start_token_id=target_size - 1)
    torch.manual_seed(seed)
    model = MarianMTModel(MarianConfig(**options)).eval()
    _make_lively(model)
    generation = GENERATION | dict(bad_words_ids=[[target_size - 1]])
    for name, value in generation.items():
        setattr(model.generation_config, name, value)
    model.to(getattr(torch, dtype))
    model.save_pretrained(folder, max_shard_size=shards)
    shared = options.get("share_encoder_decoder_embeddings", True)
    write_tokenizers(folder, size, None if shared else target_size)
    return model.to(torch.float32)


def draw_weights(model: Any) -> None:
    """Weights of transformers' model for which outputs differ from sentence to sentence."""
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            parameter.normal_(0.0, 0.1)
        elif "embed_tokens" in name or "shared" in name or "lm_head" in name:
            parameter.normal_(0.0, 0.3)
        elif "decoder" in name and ".fc" in name:
            parameter.normal_(0.0, 1.0)


def _make_lively(model: Any) -> None:
    """Weights for which outputs differ from sentence to sentence and about one token in ten is the end."""
    import torch

    with torch.no_grad():
        draw_weights(model)
        model.final_logits_bias.normal_(0.0, 0.1)
        ids = torch.randint(2, 100, (16, 10))
        endless = [[0], [model.config.pad_token_id]]
        output = model.generate(
            ids, max_new_tokens=20, bad_words_ids=endless, forced_eos_token_id=None, output_logits=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        logits = torch.stack(output.logits)  # [steps, sentences, V]
        behind = logits[..., 1:-1].amax(-1) - logits[..., 0]
        model.final_logits_bias[0, 0] += behind.flatten().quantile(0.1)
