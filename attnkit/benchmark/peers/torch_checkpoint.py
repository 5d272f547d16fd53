"""A checkpoint as PyTorch runs it for the benches: by transformers, in inference mode, with the attention that
transformers takes by itself (PyTorch's own scaled_dot_product_attention where the model has it)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers

from attnkit.benchmark.pictures import Pictures
from attnkit.devices import CPU


def load_checkpoint(kind: str, folder: str, precision: str, device: str) -> Any:
    """The model by one of transformers' Auto classes, on a device: in float32, in bfloat16, or in float32 with the
    linear layers in int8, which is PyTorch's dynamic quantisation."""
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]
    transformers.utils.logging.set_verbosity_error()  # type: ignore[no-untyped-call, unused-ignore]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = getattr(transformers, kind).from_pretrained(folder, dtype=dtype).eval()
    if precision == "int8":
        quantize: Any = torch.ao.quantization.quantize_dynamic
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a later PyTorch has another way
            model = quantize(model, {torch.nn.Linear}, dtype=torch.qint8)
    return model.to(device)


def pixel_values(
    pictures: Pictures, images: Sequence[npt.NDArray[np.uint8]], precision: str, device: str = CPU
) -> torch.Tensor:
    """What transformers' models read of images, uint8 [rows, columns, channels] each: [B, channels, rows, columns]."""
    pixels = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).contiguous().float()
    factor, shift = (torch.from_numpy(each.reshape(-1, 1, 1)).to(device) for each in (pictures.factor, pictures.shift))
    return (pixels * factor + shift).to(torch.bfloat16 if precision == "bf16" else torch.float32)
