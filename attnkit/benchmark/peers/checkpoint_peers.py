"""Libraries that read a checkpoint of transformers' as it is: which of them can run here, and what runs then."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from attnkit.benchmark.peers.torch_setting import torch_environment, torch_problem
from attnkit.benchmark.runner import Contestant
from attnkit.benchmark.subject import Peer, Setting
from attnkit.devices import CPU

_PACKAGES = {"torch": ("torch", "transformers"), "onnxruntime": ("onnxruntime", "onnx", "torch", "transformers")}


@dataclass(frozen=True)
class Torch:
    """PyTorch, by transformers. worker: the module that its processes run."""

    worker: str

    def contestants(self, setting: Setting) -> list[Contestant]:
        """Its int8 is for CPUs alone."""
        assert setting.subject.checkpoint is not None
        taken = [each for each in setting.precisions if each != "int8" or setting.device == CPU]
        environment = torch_environment(setting.threads) | {"TOKENIZERS_PARALLELISM": "true"}
        return [
            setting.contestant("torch", self.worker, setting.subject.checkpoint, precision, **environment)
            for precision in taken
        ]


@dataclass(frozen=True)
class OnnxRuntime:
    """worker: the module that its processes run. exporter: the module that makes what they read."""

    worker: str
    exporter: str

    def contestants(self, setting: Setting) -> list[Contestant]:
        """It has no bf16 for processors."""
        checkpoint = setting.subject.checkpoint
        assert checkpoint is not None
        taken = [precision for precision in setting.precisions if precision != "bf16"]
        setting.progress("exporting the model for ONNX Runtime")
        subprocess.run([sys.executable, "-m", self.exporter, str(checkpoint), str(setting.folder), *taken], check=True)
        environment = {"OMP_NUM_THREADS": str(setting.threads), "TOKENIZERS_PARALLELISM": "true"}
        return [
            setting.contestant("onnxruntime", self.worker, checkpoint, precision, **environment) for precision in taken
        ]


def installed(
    against: tuple[str, ...], peers: Mapping[str, Peer], note: Callable[[str], None] = lambda problem: None
) -> list[Peer]:
    """Those of the peers that are asked for and can run; `note` is told of each of the others in a line, and of what
    one has to do without."""
    found = []
    for name in against:
        if missing := [package for package in _PACKAGES[name] if find_spec(package) is None]:
            note(f"{name} is left out: pip install {' '.join(missing)}")
        else:
            found.append(peers[name])
    if "torch" in against and (problem := torch_problem()) is not None:
        note(problem)
    return found
