"""PyTorch's side of `attnkit bench embed`, by transformers: python -m ... FOLDER CHECKPOINT PRECISION THREADS DEVICE
[once].

It does what sentence-transformers does: batches by length, one vector of the states, all in inference mode.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import normalize


def main(folder: str, model_name: str, precision: str, threads: str, device: str, mode: str = "serve") -> None:
    torch.set_num_threads(int(threads))
    import transformers

    from attnkit.benchmark.peers.torch_checkpoint import load_checkpoint

    begin = time.perf_counter()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_name)
    model = load_checkpoint("AutoModel", model_name, precision, device)
    load_seconds = time.perf_counter() - begin

    from attnkit.benchmark.peers.pooled_texts import serve
    from attnkit.interop.huggingface.sentence_transformers import read_modules

    modules = read_modules(Path(model_name))

    def vectors(batch: Any) -> Any:
        batch = batch.to(device)
        with torch.inference_mode():
            states = model(**batch).last_hidden_state.float()
            if modules.poolings == ("cls",):
                found = states[:, 0]
            else:
                mask = batch["attention_mask"].unsqueeze(-1).float()
                found = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return (normalize(found, dim=1) if modules.normalize else found).cpu().numpy()

    serve(folder, mode, load_seconds, tokenizer, "pt", vectors)


if __name__ == "__main__":
    main(*sys.argv[1:])
