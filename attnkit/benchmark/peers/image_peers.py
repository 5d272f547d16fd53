"""The peers of `attnkit bench classify` and `attnkit bench caption`."""

from __future__ import annotations

from attnkit.benchmark.peers.checkpoint_peers import Torch
from attnkit.benchmark.subject import Peer

CLASSIFY_PEERS: dict[str, Peer] = {"torch": Torch("attnkit.benchmark.peers.torch_classify_worker")}
CAPTION_PEERS: dict[str, Peer] = {"torch": Torch("attnkit.benchmark.peers.torch_caption_worker")}
