"""PyTorch's side of `attnkit bench train`: the same model from PyTorch's own layers, on padded batches."""

from __future__ import annotations

import sys

import torch
from torch import nn
from torch.nn import functional as F

from attnkit.benchmark.runner import serve
from attnkit.benchmark.train import MODELS, VOCAB_SIZE, SentenceBatch
from attnkit.models.transformer_config import TransformerConfig

PADDING = 0


class Translator(nn.Module):
    """nn.Transformer with one embedding for source, target and output."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB_SIZE, config.d_model, padding_idx=PADDING)
        self.transformer = nn.Transformer(
            config.d_model,
            config.heads,
            config.encoder_layers,
            config.decoder_layers,
            config.ffn,
            config.dropout,
            batch_first=True,
        )
        self.scale = config.d_model**0.5

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        padded = source == PADDING
        states = self.transformer(
            self.embedding(source) * self.scale,
            self.embedding(target) * self.scale,
            tgt_mask=nn.Transformer.generate_square_subsequent_mask(target.shape[1]),
            src_key_padding_mask=padded,
            memory_key_padding_mask=padded,
            tgt_is_causal=True,
        )
        return F.linear(states, self.embedding.weight)


def pad(rows: list[list[int]]) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [PADDING] * (width - len(row)) for row in rows])


def main(model_name: str, precision: str, batch_path: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    sentences = SentenceBatch.load(batch_path)
    source, target = pad(sentences.sources), pad(sentences.targets)
    inputs, labels = target[:, :-1], target[:, 1:].flatten()
    model = Translator(MODELS[model_name])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
            logits = model(source, inputs)
        loss = F.cross_entropy(logits.float().flatten(0, 1), labels, ignore_index=PADDING, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    serve(step, sentences.target_tokens)


if __name__ == "__main__":
    main(*sys.argv[1:])
