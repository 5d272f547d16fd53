"""SigLIP of transformers with random weights, in a folder as its owners write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from marian_checkpoint import lines

LENGTH = 12
"""To which all texts are filled up."""

SHAPE = {
    "text": dict(hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2),
    "vision": dict(
        hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3, image_size=16, patch_size=8
    ),
}


def write_tokenizer(folder: Path) -> int:
    """spiece.model and what stands beside it, by the library that reads them; returns the number of its pieces."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    text = [line.lower() for line in lines("source")]
    (folder / "text").write_text("\n".join([*text, "naïve 12 5"]))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text"), model_prefix=str(folder / "spiece"), vocab_size=90, pad_id=0, eos_id=1, unk_id=2,
        bos_id=-1, hard_vocab_limit=False, minloglevel=2, num_threads=1,
    )  # fmt: skip
    for name in ("text", "spiece.vocab"):
        (folder / name).unlink()
    table = {"tokenizer_class": "SiglipTokenizer", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(table))
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    return int(processor.vocab_size())


def write_processor(folder: Path, side: int) -> None:
    table = {"image_processor_type": "SiglipImageProcessor", "size": {"height": side, "width": side}}
    (folder / "preprocessor_config.json").write_text(json.dumps(table))


def save_siglip(
    folder: Path, name: str = "SiglipModel", *, text: dict[str, Any] | None = None, vision: dict[str, Any] | None = None
) -> Any:
    """Writes a model of that class of transformers' with its tokenizer and image processor; returns it, of random
    weights that matter."""
    import torch
    import transformers

    entries = write_tokenizer(folder)
    of_text = {**SHAPE["text"], "vocab_size": entries, "max_position_embeddings": LENGTH, **(text or {})}
    of_images = {**SHAPE["vision"], **(vision or {})}
    config: Any
    if name == "SiglipTextModel":
        config = transformers.SiglipTextConfig(**of_text)
    elif name == "SiglipVisionModel":
        config = transformers.SiglipVisionConfig(**of_images)
    else:
        config = transformers.SiglipConfig(text_config=of_text, vision_config=of_images)
    torch.manual_seed(4)
    model = getattr(transformers, name)._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    write_processor(folder, of_images["image_size"])
    return model
