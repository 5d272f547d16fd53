"""CLIP of transformers with random weights, in a folder as its owners write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MERGES = ["a t</w>", "c at</w>", "d o", "do g</w>", "p h", "o t", "ph ot", "phot o</w>", "Ã ¼", "1 2", "' s</w>"]
LENGTH = 24
"""The longest text in tokens, those around it counted."""

SHAPE = {
    "text": dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2),
    "vision": dict(
        hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=16, patch_size=8
    ),
}


def write_tokenizer(folder: Path, more: int = 0) -> dict[str, int]:
    """vocab.json and merges.txt, and `more` tokens whose numbers lie above that of the end; returns the vocabulary."""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in MERGES)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    entries = {piece: number for number, piece in enumerate(pieces)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(entries, ensure_ascii=False))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    if more:
        added = {f"<more{number}>": len(entries) + number for number in range(more)}
        (folder / "added_tokens.json").write_text(json.dumps(added))
        entries |= added
    return entries


def write_processor(folder: Path, side: int) -> None:
    table = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": side}, "crop_size": side}
    (folder / "preprocessor_config.json").write_text(json.dumps(table))


def save_clip(
    folder: Path,
    name: str = "CLIPModel",
    *,
    old_end: bool = False,
    more: int = 0,
    width: int = 8,
    text: dict[str, Any] | None = None,
    vision: dict[str, Any] | None = None,
) -> Any:
    """Writes a model of that class of transformers' with its tokenizer and image processor; returns it, of random
    weights that matter. old_end: its configuration calls the end token 2, as those of before 2023 do."""
    import torch
    import transformers

    entries = write_tokenizer(folder, more)
    of_text = {
        **SHAPE["text"], "vocab_size": len(entries), "max_position_embeddings": LENGTH, "projection_dim": width,
        "bos_token_id": entries["<|startoftext|>"], "eos_token_id": 2 if old_end else entries["<|endoftext|>"],
        **(text or {}),
    }  # fmt: skip
    of_images = {**SHAPE["vision"], "projection_dim": width, **(vision or {})}
    if name.startswith("CLIPText"):
        config: Any = transformers.CLIPTextConfig(**of_text)
    elif name.startswith("CLIPVision"):
        config = transformers.CLIPVisionConfig(**of_images)
    else:
        config = transformers.CLIPConfig(text_config=of_text, vision_config=of_images, projection_dim=width)
    torch.manual_seed(4)
    model = getattr(transformers, name)._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    write_processor(folder, of_images["image_size"])
    return model
