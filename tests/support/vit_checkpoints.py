"""Vision Transformers of transformers and of timm with random weights, in a folder as their owners write it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

SHAPE = dict(
    hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, image_size=16, patch_size=4,
)  # fmt: skip


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
    side = config.image_size
    write_processor(folder, side if isinstance(side, int) else side[0], config.num_channels)
    return model


def write_processor(folder: Path, side: int, channels: int = 3, **keys: Any) -> None:
    table = {"image_processor_type": "ViTImageProcessor", "size": {"height": side, "width": side}}
    numbers = {"image_mean": [0.5] * channels, "image_std": [0.5] * channels}
    write_json(folder / "preprocessor_config.json", {**table, **numbers, **keys})


def write_json(file: Path, table: Any) -> None:
    file.write_text(json.dumps(table))


def changed(file: Path, **keys: Any) -> None:
    """Changes keys of a JSON file; None takes one away."""
    table = {**json.loads(file.read_text()), **keys}
    write_json(file, {key: value for key, value in table.items() if value is not None})


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def write_weights(folder: Path, weights: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save_file

    whole = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})


_TIMM = {
    "embeddings.cls_token": "cls_token",
    "embeddings.distillation_token": "dist_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.": "patch_embed.proj.",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
    "layernorm.": "norm.",
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "distillation_classifier": "head_dist",
    "cls_classifier": "head",
    "classifier": "head",
}


def save_timm(source: Path, folder: Path, **keys: Any) -> dict[str, np.ndarray]:
    """Writes what `save_vit` wrote to `source` in timm's layout, with more keys of config.json; returns the weights."""
    weights = {}
    for name, array in read_weights(source).items():
        name = re.sub(r"^(vit|deit)\.", "", name).replace("encoder.layer.", "blocks.")
        for theirs, own in _TIMM.items():
            name = name.replace(theirs, own)
        weights[name] = array
    for name in [name for name in weights if ".attention.query." in name]:
        parts = [name.replace(".query.", f".{each}.") for each in ("query", "key", "value")]
        joined = np.concatenate([weights.pop(part) for part in parts])
        weights[name.replace("attention.attention.query", "attn.qkv")] = joined
    folder.mkdir()
    write_weights(folder, weights)
    side = json.loads((source / "config.json").read_text())["image_size"]
    table = {
        "architecture": "vit_tiny_patch16_224", "num_classes": len(weights["head.bias"]), "global_pool": "token",
        "pretrained_cfg": {
            "input_size": [3, side, side], "interpolation": "bilinear", "crop_pct": 0.9, "crop_mode": "center",
            "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.5],
        },
    }  # fmt: skip
    write_json(folder / "config.json", {**table, **keys})
    return weights
