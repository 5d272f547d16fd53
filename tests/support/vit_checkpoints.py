"""Vision Transformers of transformers with random weights, in a folder as their owners write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SHAPE = dict(
    hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=16, patch_size=4,
)  # fmt: skip
IMAGES = {"image_processor_type": "ViTImageProcessor", "size": {"height": 16, "width": 16}}


def save_vit(folder: Path, name: str = "ViTForImageClassification", classes: int = 5, **options: Any) -> Any:
    """Writes a model of that class of transformers' with its image processor; returns it, of random weights that
    matter: biases, norms and positions that are not what they are at first."""
    import torch
    import transformers

    torch.manual_seed(3)
    config_class = transformers.DeiTConfig if name.startswith("DeiT") else transformers.ViTConfig
    config = config_class(**{**SHAPE, "num_labels": classes, **options})
    model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    model.save_pretrained(folder)
    write_processor(folder, config.image_size)
    return model


def write_processor(folder: Path, side: int, **keys: Any) -> None:
    table = {**IMAGES, "size": {"height": side, "width": side}, **keys}
    (folder / "preprocessor_config.json").write_text(json.dumps(table))
