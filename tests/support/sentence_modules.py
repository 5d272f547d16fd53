"""What sentence-transformers keeps beside a checkpoint, and what it makes of the states of a text, in float64."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
ACTIVATIONS = {
    "torch.nn.modules.linear.Identity": lambda x: x,
    "torch.nn.modules.activation.Tanh": np.tanh,
    "torch.nn.modules.activation.ReLU": lambda x: np.maximum(x, 0),
}


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_modules(
    folder: Path,
    pooling: dict[str, Any],
    dense: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None, str]] = (),
    normalize: bool = False,
    place: str = "sentence_transformers.models",
) -> None:
    """pooling: its config.json. dense: weight, bias and activation of each layer. place: of the classes."""
    from safetensors.numpy import save_file

    kinds = ["Pooling", *("Dense" for _ in dense), *(["Normalize"] if normalize else [])]
    modules = [{"idx": 0, "name": "0", "path": "", "type": f"{place}.Transformer"}]
    for number, kind in enumerate(kinds, start=1):
        modules.append({"idx": number, "name": str(number), "path": f"{number}_{kind}", "type": f"{place}.{kind}"})
    write_json(folder / "modules.json", modules)
    write_json(folder / "1_Pooling" / "config.json", pooling)
    for number, (weight, bias, activation) in enumerate(dense, start=2):
        config = {
            "in_features": weight.shape[1],
            "out_features": weight.shape[0],
            "bias": bias is not None,
            "activation_function": activation,
        }
        write_json(folder / f"{number}_Dense" / "config.json", config)
        tensors = {"linear.weight": weight} | ({} if bias is None else {"linear.bias": bias})
        save_file(tensors, folder / f"{number}_Dense" / "model.safetensors")


def pooled(states: Floats, mode: str) -> Floats:
    """One vector [width] of the states [n, width] of a text, by the name that sentence-transformers has for it."""
    count = len(states)
    places = np.arange(1, count + 1)[:, None]
    return {
        "cls": states[0],
        "max": states.max(axis=0),
        "mean": states.sum(axis=0) / count,
        "mean_sqrt_len_tokens": states.sum(axis=0) / np.sqrt(count),
        "weightedmean": (states * places).sum(axis=0) / places.sum(),
        "lasttoken": states[-1],
    }[mode]


def unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
