"""Checkpoints of BART, mBART and Pegasus with random weights, for tests that convert them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from marian_checkpoint import lines

ENTRIES = 240
_SMALL: dict[str, Any] = dict(
    vocab_size=ENTRIES, d_model=16, encoder_ffn_dim=32, decoder_ffn_dim=32, encoder_layers=2, decoder_layers=2,
    encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=48, init_std=0.4,
)  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "bart": dict(model_type="bart", seed=8),
    "bart deep": dict(model_type="bart", seed=2, encoder_layers=1, decoder_layers=3, activation_function="relu"),
    "bart uneven": dict(model_type="bart", seed=3, decoder_attention_heads=4, decoder_ffn_dim=20, scale_embedding=True),
    "bart untied": dict(model_type="bart", seed=4, tie_word_embeddings=False),
    "pegasus": dict(model_type="pegasus", seed=5, activation_function="relu", scale_embedding=True),
    "pegasus odd": dict(model_type="pegasus", seed=6, d_model=18, encoder_attention_heads=3, decoder_attention_heads=3),
    "mbart": dict(model_type="mbart", seed=7, scale_embedding=True, task="summarization"),
}


def write_checkpoint(
    folder: Path, model_type: str = "bart", seed: int = 8, task: str = "", generation: dict[str, Any] | None = None,
    **shape: Any,
) -> Any:  # fmt: skip
    """Writes all files of a checkpoint; returns transformers' model. generation: keys of generation_config.json. task:
    config.json has settings for it."""
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    folder.mkdir(parents=True, exist_ok=True)
    options = {**_SMALL, **shape} | ({"decoder_start_token_id": 2} if model_type == "mbart" else {})
    config = AutoConfig.for_model(model_type, **options)
    if task:
        config.task_specific_params = {task: {}}
    torch.manual_seed(seed)
    model = AutoModelForSeq2SeqLM.from_config(config).eval()
    _make_lively(model)
    settings = {"max_length": 24, "forced_eos_token_id": config.eos_token_id, **(generation or {})}
    settings.setdefault("forced_bos_token_id", _first(model))
    for name, value in settings.items():
        setattr(model.generation_config, name, value)
    model.save_pretrained(folder)
    write_tokenizer(folder, model_type)
    return model


def write_tokenizer(folder: Path, model_type: str) -> None:
    """tokenizer.json, by the library that reads it: byte-level BPE as BART has it, or the unigrams of Pegasus."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    text = [*lines("source"), *lines("target")]
    if model_type == "pegasus":
        special, unknown, frame = ["<pad>", "</s>", "<unk>"], "<unk>", "$A </s>"
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        made.decoder = decoders.Metaspace()
        trainer: Any = trainers.UnigramTrainer(
            vocab_size=ENTRIES - 10, special_tokens=special, unk_token=unknown, show_progress=False
        )
    else:
        special, unknown, frame = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>", "<s> $A </s>"
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=ENTRIES - 10, special_tokens=special, show_progress=False)
    made.train_from_iterator(text, trainer)
    made.post_processor = processors.TemplateProcessing(
        single=frame, special_tokens=[(token, made.token_to_id(token)) for token in special]
    )
    made.save(str(folder / "tokenizer.json"))
    names = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(names))


def _make_lively(model: Any) -> None:
    """Weights for which outputs differ from text to text, and have several lengths."""
    import torch

    ids, end = torch.randint(5, 200, (16, 10)), int(model.config.eos_token_id)
    free = dict(max_new_tokens=20, forced_eos_token_id=None, forced_bos_token_id=_first(model), num_beams=1)
    with torch.no_grad():
        for _ in range(40):
            _draw(model)
            output = model.generate(
                ids, bad_words_ids=[[end]], output_logits=True, return_dict_in_generate=True, **free
            )  # fmt: skip
            logits = torch.stack(output.logits)  # [steps, texts, V]
            others = torch.cat([logits[..., :end], logits[..., end + 1 :]], -1)
            model.final_logits_bias[0, end] += (others.amax(-1) - logits[..., end]).flatten().quantile(0.06)
            rows = [tuple(row[2:]) for row in model.generate(ids, **free).tolist()]
            lengths = {[*row, end].index(end) for row in rows}
            if len(lengths) > 3 and len(set(rows)) > 8 and max(len(set(row)) for row in rows) > 3:
                return
    raise AssertionError("expected outputs of several lengths; take another seed")


def _first(model: Any) -> int | None:
    """The token that outputs are forced to begin with."""
    return None if model.config.model_type == "pegasus" else 0


def _draw(model: Any) -> None:
    wide = ("embed_positions", ".fc", "encoder_attn.v")
    for name, parameter in model.named_parameters():
        if name.endswith(".bias") or any(part in name for part in ("embed_tokens", "shared", "lm_head")):
            parameter.normal_(0.0, 0.1)
        elif parameter.requires_grad and ("decoder" in name or "positions" in name) and any(map(name.count, wide)):
            parameter.normal_(0.0, 1.0)
    model.final_logits_bias.normal_(0.0, 0.1)
