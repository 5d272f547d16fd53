"""The Transformer of Marian's models in plain float64 NumPy, to be read as mathematics: Vaswani et al. (2017), and for
the SSRU decoder Kim et al. (2019), "From Research to Production and Back: Ludicrously Fast Neural Machine Translation".

Names of tensors and options are Marian's; `x` is [N, d], a row for each token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

EOS, UNK = 0, 1


class MarianReference:
    """A model: its tensors by name, and the options of its `special:model.yml`."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]], options: Mapping[str, Any]) -> None:
        self.tensors = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
        self.options = options

    def encode(self, source: Sequence[int]) -> Array:
        """What the decoder looks at, [N, d]: of tokens with the end token behind them."""
        x = bottom = self._embed("encoder", [self._embedding("encoder")[id] for id in source])
        for i in range(1, self.options["enc-depth"] + 1):
            x = self._attention(f"encoder_l{i}_self", x, None)
            x = self._feed_forward(f"encoder_l{i}_ffn", x)
        return self._post("encoder_top", self.options["transformer-postprocess-top"], x, bottom)

    def logits(self, memory: Array, target: Sequence[int]) -> Array:
        """Of the token behind each prefix of `target`, the empty one first: [len(target) + 1, V]. There is no start
        token: the first input is a zero vector."""
        table = self._embedding("decoder")
        x = bottom = self._embed("decoder", [np.zeros(table.shape[1]), *(table[id] for id in target)])
        for i in range(1, self.options["dec-depth"] + 1):
            if self.options["transformer-decoder-autoreg"] == "rnn":
                x = self._ssru(f"decoder_l{i}_rnn", x)
            else:
                x = self._attention(f"decoder_l{i}_self", x, None, causal=True)
            x = self._attention(f"decoder_l{i}_context", x, memory)
            x = self._feed_forward(f"decoder_l{i}_ffn", x)
        x = self._post("decoder_top", self.options["transformer-postprocess-top"], x, bottom)
        return x @ self._output().T + self.tensors["decoder_ff_logit_out_b"][0]

    def translate(self, source: Sequence[int], longest: int, allowed: Sequence[int] | None = None) -> list[int]:
        """The most probable token at each step, never the unknown one, up to the end token, which is left out. allowed:
        the tokens of a shortlist."""
        memory, target = self.encode(source), list[int]()
        out = np.zeros(self.options["dim-vocabs"][1])
        if allowed is not None:
            out[:] = -np.inf
            out[list(allowed)] = 0.0
        out[UNK] = -np.inf
        while len(target) < longest:
            best = int(np.argmax(self.logits(memory, target)[-1] + out))
            if best == EOS:
                break
            target.append(best)
        return target

    # ----- Embeddings

    def _embedding(self, side: str) -> Array:
        return self.tensors["Wemb" if "Wemb" in self.tensors else f"{side}_Wemb"]

    def _output(self) -> Array:
        """[V, d]: the decoder's embeddings where they are tied."""
        if self.options["tied-embeddings"] or self.options["tied-embeddings-all"]:
            return self._embedding("decoder")
        name = "decoder_ff_logit_out_W"
        return self.tensors[f"{name}t"] if f"{name}t" in self.tensors else self.tensors[name].T

    def _embed(self, side: str, rows: list[Array]) -> Array:
        x = np.stack(rows)
        x = np.sqrt(x.shape[1]) * x + positions(*x.shape)
        return self._pre(f"{side}_emb", self.options["transformer-postprocess-emb"], x)

    # ----- Layers

    def _attention(self, prefix: str, x: Array, memory: Array | None, causal: bool = False) -> Array:
        """softmax(q kᵀ / √(d / H)) v for each of H heads, side by side, of the rows themselves or of `memory`."""
        heads = self.options["transformer-heads"]
        y = self._pre(f"{prefix}_Wo", self.options["transformer-preprocess"], x)
        # Self-attention sees what is normalised as keys and values as well.
        seen = y if memory is None else memory
        q, k, v = (
            np.stack(np.split(self._linear(prefix, letter, rows), heads, axis=1))  # [H, N, d / H]
            for letter, rows in (("q", y), ("k", seen), ("v", seen))
        )
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        if causal:
            scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
        y = np.concatenate(list(softmax(scores) @ v), axis=1)
        return self._post(f"{prefix}_Wo", self.options["transformer-postprocess"], self._linear(prefix, "o", y), x)

    def _ssru(self, prefix: str, x: Array) -> Array:
        """f = σ(x W_f + b_f), c = f c + (1 − f) x W, relu(c): the cell c goes from row to row, from zero on."""
        y = self._pre(prefix, self.options["transformer-preprocess"], x)
        forget, new = sigmoid(self._linear(prefix, "f", y)), y @ self.tensors[f"{prefix}_W"]
        cell, cells = np.zeros(y.shape[1]), []
        for f, w in zip(forget, new, strict=True):
            cell = f * cell + (1.0 - f) * w
            cells.append(cell)
        y = np.maximum(np.stack(cells), 0.0)
        return self._post(f"{prefix}_ffn", self.options["transformer-postprocess"], y, x)

    def _feed_forward(self, prefix: str, x: Array) -> Array:
        y = self._pre(f"{prefix}_ffn", self.options["transformer-preprocess"], x)
        depth = self.options["transformer-ffn-depth"]
        for i in range(1, depth):
            y = ACTIVATIONS[self.options["transformer-ffn-activation"]](self._linear(prefix, str(i), y))
        y = self._linear(prefix, str(depth), y)
        return self._post(f"{prefix}_ffn", self.options["transformer-postprocess"], y, x)

    def _linear(self, prefix: str, end: str, x: Array) -> Array:
        return x @ self.tensors[f"{prefix}_W{end}"] + self.tensors[f"{prefix}_b{end}"][0]

    # ----- Operations before and behind each layer: d dropout, which only training has, a the residual, n layer norm

    def _pre(self, prefix: str, operations: str, x: Array) -> Array:
        for operation in operations:
            x = self._norm(prefix, "_pre", x) if operation == "n" else x
        return x

    def _post(self, prefix: str, operations: str, y: Array, x: Array) -> Array:
        for operation in operations:
            y = {"d": lambda y: y, "a": lambda y: y + x, "n": lambda y: self._norm(prefix, "", y)}[operation](y)
        return y

    def _norm(self, prefix: str, end: str, x: Array) -> Array:
        scale, bias = (self.tensors[f"{prefix}_ln_{part}{end}"][0] for part in ("scale", "bias"))
        centred = x - x.mean(axis=1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-6) * scale + bias


def positions(count: int, d: int) -> Array:
    """[sin | cos] of position · 10000^(−i / (d/2 − 1)), from position 0 on: [N, d]."""
    angles = np.arange(count)[:, None] * np.exp(-np.log(10000.0) / (d // 2 - 1) * np.arange(d // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def softmax(x: Array) -> Array:
    y = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(y / y.sum(axis=-1, keepdims=True))


def sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0.0),
    "swish": lambda x: x * sigmoid(x),
    "gelu": lambda x: x * sigmoid(1.702 * x),  # the approximation that Marian takes
}
