"""`attnkit bench train`: one training step of a model, beside PyTorch's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from attnkit.benchmark.peers.torch_setting import torch_environment, torch_problem
from attnkit.benchmark.roof_worker import roof_contestants
from attnkit.benchmark.runner import Contestant, Measurement, measure
from attnkit.benchmark.train_batches import save_batch
from attnkit.benchmark.train_models import MODELS
from attnkit.devices import CPU


def _contestants(
    model: str, precisions: tuple[str, ...], against: tuple[str, ...], batch: Path, threads: int, device: str
) -> list[Contestant]:
    contestants = [
        Contestant(f"attnkit {p}", "attnkit.benchmark.train_worker", (model, p, str(batch), str(threads), device))
        for p in precisions
    ]
    if "torch" in against:
        contestants += [
            Contestant(
                f"torch {p}",
                "attnkit.benchmark.peers.torch_train_worker",
                (model, p, str(batch), str(threads), device),
                torch_environment(threads),
            )
            for p in precisions
        ]
    return contestants


def peer_problems(against: tuple[str, ...]) -> list[str]:
    """What is missing for the peers to run at their best, each with the command that installs it."""
    problems = []
    if "torch" in against and find_spec("torch") is None:
        problems.append("PyTorch is not installed: pip install torch --index-url https://download.pytorch.org/whl/cpu")
    elif "torch" in against and (problem := torch_problem()) is not None:
        problems.append(problem)
    return problems


def bench_train(
    model: str,
    precisions: tuple[str, ...] = ("fp32", "bf16"),
    against: tuple[str, ...] = (),
    files: tuple[str, str] | None = None,
    batch_tokens: int = 4096,
    batch_images: int = 64,
    runs: int = 7,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda message: None,
    device: str = CPU,
) -> list[Measurement]:
    """Seconds of a training step on the same batch for attnkit and each peer, at each precision, on one device."""
    from attnkit import get_num_threads

    if model not in MODELS:
        raise ValueError(f"[bench] expected a model of {', '.join(MODELS)}, got {model!r}")
    progress("making the batch")
    installed = tuple(peer for peer in against if find_spec(peer) is not None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batch.npz"
        save_batch(path, MODELS[model], batch_tokens, batch_images, files)
        count = threads or get_num_threads()
        contestants = _contestants(model, precisions, installed, path, count, device)
        return measure(contestants, runs, 2, progress, roof_contestants(precisions, count, device))
