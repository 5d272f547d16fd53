"""The peers of `attnkit bench embed`: which of them can run here, and what runs then."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from attnkit.benchmark.runner import Contestant
from attnkit.benchmark.train import tcmalloc

PEERS = ("torch", "onnxruntime")
_PRECISIONS = {"torch": ("fp32", "bf16", "int8"), "onnxruntime": ("fp32", "int8")}


@dataclass(frozen=True)
class Peer:
    """A library that can run here."""

    name: str

    def contestants(
        self, model: Path, folder: Path, precisions: tuple[str, ...], threads: int, progress: Callable[[str], None]
    ) -> list[Contestant]:
        """What runs, once what it reads is made. model: the checkpoint. folder: has work.json."""
        module = f"attnkit.benchmark.peers.{'torch' if self.name == 'torch' else 'onnx'}_embed_worker"
        taken = [precision for precision in precisions if precision in _PRECISIONS[self.name]]
        if self.name == "onnxruntime":
            progress("exporting the model for ONNX Runtime")
            exporter = "attnkit.benchmark.peers.onnx_embed_model"
            subprocess.run([sys.executable, "-m", exporter, str(model), str(folder), *taken], check=True)
        environment = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"}
        if self.name == "torch" and (preload := tcmalloc()):
            environment["LD_PRELOAD"] = preload
        return [
            Contestant(f"{self.name} {each}", module, (str(folder), str(model), each, str(threads)), environment)
            for each in taken
        ]


def find_peers(against: tuple[str, ...], model: Path, note: Callable[[str], None] = lambda problem: None) -> list[Peer]:
    """Those that can run the checkpoint; `note` is told of each of the others in a line. Raises ValueError for a
    checkpoint whose vectors they are not made for here."""
    from attnkit.interop.huggingface.sentence_transformers import read_modules

    if not against:
        return []
    modules = read_modules(model)
    if modules.poolings not in (("mean",), ("cls",)) or modules.projections:
        raise ValueError(f"[bench] {model}: expected the mean or the first token's state as a vector, for the peers")
    found = []
    for name in against:
        if (problem := _problem(name)) is not None:
            note(problem)
        else:
            found.append(Peer(name))
    if "torch" in against and tcmalloc() is None:
        note("PyTorch runs without tcmalloc, under which it is faster: apt-get install libtcmalloc-minimal4")
    return found


def _problem(name: str) -> str | None:
    """Why a peer cannot run; None where it can."""
    wanted = {"torch": ("torch", "transformers"), "onnxruntime": ("onnxruntime", "onnx", "torch", "transformers")}
    missing = [package for package in wanted[name] if find_spec(package) is None]
    return f"{name} is left out: pip install {' '.join(missing)}" if missing else None
