"""The peers of `attnkit bench translate`: which of them can run here, and what runs then."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import msgspec

from attnkit.benchmark.runner import Contestant, file_of
from attnkit.devices import CPU

PEERS = ("ctranslate2", "bergamot")

_BERGAMOT = "bergamot==0.4.5"  # the last, whose wheel is for Python 3.10 and no newer
_BERGAMOT_WORKER = "attnkit.benchmark.peers.bergamot_worker"


@dataclass(frozen=True)
class Setting:
    """What all contestants are told. folder: has work.json. model: the model directory, with its whole path."""

    folder: Path
    model: Path
    batch_tokens: int
    precisions: tuple[str, ...]
    threads: int
    device: str = CPU


class Peer(Protocol):
    """A library that can run here."""

    def prepare(self, setting: Setting) -> None:
        """Makes what its contestants read."""
        ...

    def contestants(self, setting: Setting) -> list[Contestant]: ...


@dataclass(frozen=True)
class CTranslate2:
    def prepare(self, setting: Setting) -> None:
        module = "attnkit.benchmark.peers.ct2_model"
        command = [sys.executable, "-m", module, str(setting.model), str(setting.folder), *self._types(setting)]
        subprocess.run(command, check=True)

    def contestants(self, setting: Setting) -> list[Contestant]:
        return [
            Contestant(
                f"ctranslate2 {kind.removesuffix('_float32')} {workers}x{each}",
                "attnkit.benchmark.peers.ct2_translate_worker",
                (str(setting.folder), str(setting.model), kind, str(workers), str(each), setting.device),
                {"OMP_NUM_THREADS": str(each)},
            )
            for kind in self._types(setting)
            for workers, each in _threadings(setting.threads)
        ]

    def _types(self, setting: Setting) -> list[str]:
        """Its fastest, and float32 where ours is measured in it."""
        return ["int8_float32", *(["float32"] if "fp32" in setting.precisions else [])]


@dataclass(frozen=True)
class Bergamot:
    """model: the folder, with Bergamot's configuration, that the model directory was converted from. python: has it."""

    model: Path
    python: str

    def prepare(self, setting: Setting) -> None:
        """Its folder is ready as it is."""

    def contestants(self, setting: Setting) -> list[Contestant]:
        """Its threads are workers of one thread each."""
        return [
            Contestant(
                f"bergamot {workers} {'worker' if workers == 1 else 'workers'}",
                _BERGAMOT_WORKER,
                (str(setting.folder), str(self.model.resolve()), str(workers), str(setting.batch_tokens)),
                python=self.python,
            )
            for workers in dict.fromkeys((setting.threads, 1))
        ]


def _threadings(threads: int) -> list[tuple[int, int]]:
    """Workers of one thread each decode many sentences fastest; one worker of all threads may win on a single one."""
    return [(threads, 1), (1, threads)] if threads > 1 else [(1, 1)]


def find_peers(
    against: tuple[str, ...],
    model: Path | None = None,
    bergamot_model: Path | None = None,
    bergamot_python: str | None = None,
    note: Callable[[str], None] = lambda problem: None,
) -> list[Peer]:
    """Those that can run the model, of a directory or, where None, one of the bench. `note` is told of each of the
    others in a line: how it is installed, or why it cannot. Raises ValueError for a folder that is not Bergamot's."""
    asked: list[tuple[Peer, str | None]] = []
    if "ctranslate2" in against:
        asked.append((CTranslate2(), _ctranslate2_problem(model)))
    if "bergamot" in against and bergamot_model is not None:
        if not list(bergamot_model.glob("config*.yml")):
            raise ValueError(f"[bench] {bergamot_model}: expected config*.yml beside Bergamot's model, got none")
        python = bergamot_python or os.environ.get("ATTNKIT_BERGAMOT_PYTHON") or shutil.which("python3.10")
        asked.append((Bergamot(bergamot_model, str(python)), _bergamot_problem(python)))
    for _, problem in asked:
        if problem is not None:
            note(problem)
    return [peer for peer, problem in asked if problem is None]


# ----- CTranslate2


# What `ct2_model` carries over, field by field of TransformerConfig; a field that is not here must have its default.
_CARRIED: dict[str, tuple[Any, ...] | None] = {
    "activation": ("relu", "silu"),
    "tie_embeddings": ("all",),
    "positions": ("sinusoidal", "sinusoidal-halves"),
} | dict.fromkeys(
    ("d_model", "ffn", "heads", "decoder_ffn", "encoder_layers", "decoder_layers", "output_bias", "scale_embeddings",
     "position_spacing", "position_offset", "max_length", "bos_id", "eos_id", "dropout", "attention_dropout",
     "activation_dropout")
)  # fmt: skip


def _ctranslate2_problem(model: Path | None) -> str | None:
    if find_spec("ctranslate2") is None:
        return "CTranslate2 is not installed: pip install ctranslate2"
    if model is None:
        return None
    from attnkit.tasks.shared.directory import ModelDirectory

    odd = not_carried(ModelDirectory.read(model).described.config)
    return None if odd is None else f"CTranslate2 goes without: it is given no model with {odd}"


def not_carried(config: msgspec.Struct) -> str | None:
    """The first choice of a configuration that `ct2_model` does not carry over, such as `norm = "pre"`."""
    tag = config.__struct_config__.tag
    if tag != "transformer":
        return f'type = "{tag}"'
    if getattr(config, "decoder", None) == "ssru":
        return "an SSRU decoder"
    for field in msgspec.structs.fields(config):
        value = getattr(config, field.name)
        allowed = _CARRIED.get(field.name, (field.default,))
        if allowed is not None and value not in allowed:
            return f"{field.name} = {msgspec.json.encode(value).decode()}"
    return None


# ----- Bergamot


def _bergamot_problem(python: str | None) -> str | None:
    """Asks its Python; what that says itself, such as that it is a newer one, is of no more use than the command."""
    if python is None:
        return (
            "Bergamot's wheel is for Python 3.10, and there is no python3.10: uv venv --python 3.10 py310 && uv pip "
            f"install --python py310 --no-deps {_BERGAMOT}, then --bergamot-python py310/bin/python"
        )
    try:
        asked = subprocess.run([python, file_of(_BERGAMOT_WORKER), "check"], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return f"{python} does not run: --bergamot-python takes a Python 3.10, which Bergamot's wheel is for"
    if asked.returncode == 0:
        return None
    return f"Bergamot is not installed for Python 3.10 as {python}: {python} -m pip install --no-deps {_BERGAMOT}"
