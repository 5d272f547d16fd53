"""Checkpoints of T5's family with random weights, for tests that convert them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seq2seq_checkpoint import ENTRIES, write_tokenizer

SHAPES: dict[str, dict[str, Any]] = {
    "v1.0": dict(num_layers=2, d_kv=8, num_heads=2),
    "wide heads": dict(num_layers=1, num_decoder_layers=3, d_kv=10, num_heads=3, relative_attention_num_buckets=8),
    "deep encoder": dict(num_layers=3, num_decoder_layers=1, d_kv=8, num_heads=2, feed_forward_proj="gelu", seed=4),
    "v1.1": dict(
        num_layers=2, d_kv=8, num_heads=2, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        relative_attention_max_distance=20,
    ),
    "own output": dict(
        num_layers=2, d_kv=4, num_heads=2, feed_forward_proj="gated-silu", tie_word_embeddings=False, own_output=True
    ),
    "mt5": dict(model_type="mt5", num_layers=1, d_kv=12, num_heads=2, own_output=True),
}  # fmt: skip
PARAMS = {
    "summarization": {"prefix": "summarize: ", "num_beams": 4, "min_length": 5, "max_length": 12},
    "translation_en_to_de": {"prefix": "translate English to German: ", "num_beams": 2, "max_length": 20},
}


def checkpoint(
    folder: Path, model_type: str = "t5", own_output: bool = False, old: bool = False, seed: int = 3, **shape: Any
) -> Any:  # fmt: skip
    """A model of random weights, written to a folder with a tokenizer of unigrams. old: config.json says what those of
    before 2026 say."""
    import torch
    import transformers

    keys = dict(vocab_size=ENTRIES, d_model=16, d_ff=32, eos_token_id=1, pad_token_id=0, decoder_start_token_id=0)
    torch.manual_seed(seed)
    config = transformers.AutoConfig.for_model(model_type, **(keys | shape))
    model = transformers.AutoModelForSeq2SeqLM.from_config(config).eval()
    if own_output:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "layer_norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                # Scores are not divided by the root of a head's width.
                scale = 0.3 / config.d_kv**0.5 if name.endswith("q.weight") else 0.4
                parameter.copy_(torch.randn_like(parameter) * (1.0 if "bias" in name or "shared" in name else scale))
    model.generation_config.max_length = 24
    model.save_pretrained(folder)
    written = json.loads((folder / "config.json").read_text()) | {"task_specific_params": PARAMS}
    if old:
        del written["scale_decoder_outputs"]
        written["tie_word_embeddings"] = shape.get("tie_word_embeddings", True)
    (folder / "config.json").write_text(json.dumps(written))
    write_tokenizer(folder, "pegasus")
    return model
