"""The peers of `attnkit bench embed`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attnkit.benchmark.peers.checkpoint_peers import OnnxRuntime, Torch, installed
from attnkit.benchmark.subject import Peer

_HERE = "attnkit.benchmark.peers"
PEERS: dict[str, Peer] = {
    "torch": Torch(f"{_HERE}.torch_embed_worker"),
    "onnxruntime": OnnxRuntime(f"{_HERE}.onnx_embed_worker", f"{_HERE}.onnx_embed_model"),
}


def find_peers(against: tuple[str, ...], model: Path, note: Callable[[str], None] = lambda problem: None) -> list[Peer]:
    """Those that can run the checkpoint; `note` is told of each of the others in a line. Raises ValueError for a
    checkpoint whose vectors they are not made for here."""
    from attnkit.interop.huggingface.sentence_transformers import read_modules

    if not against:
        return []
    modules = read_modules(model)
    if modules.poolings not in (("mean",), ("cls",)) or modules.projections:
        raise ValueError(f"[bench] {model}: expected the mean or the first token's state as a vector, for the peers")
    return installed(against, PEERS, note)
