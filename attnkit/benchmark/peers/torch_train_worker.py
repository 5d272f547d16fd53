"""PyTorch's side of `attnkit bench train`: the same model from PyTorch's own layers, on padded batches."""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.nn import functional as F

from attnkit.benchmark.peers.torch_models import MAKERS, PADDING
from attnkit.benchmark.peers.torch_setting import torch_device
from attnkit.benchmark.runner import serve
from attnkit.benchmark.train_batches import load_batch, units
from attnkit.benchmark.train_models import MODELS


def main(model_name: str, precision: str, batch_path: str, threads: str, device: str) -> None:
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    finish = torch_device(device)
    trained, arrays = MODELS[model_name], load_batch(batch_path)
    model, inputs, labels = MAKERS[model_name](trained, arrays)
    ignored = PADDING if trained.inputs in ("sentences", "captions") else -100
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> None:
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            logits = model(*inputs).flatten(0, -2)
        loss = F.cross_entropy(logits.float(), labels.flatten(), ignore_index=ignored, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    serve(step, units(trained, arrays), finish)


if __name__ == "__main__":
    main(*sys.argv[1:])
