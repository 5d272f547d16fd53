"""`attnkit bench embed`: vectors of the same texts by attnkit and by its peers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from attnkit.benchmark.decoding import DecodingMeasurement
from attnkit.benchmark.subject import Peer, Progress, measure_subject, opened
from attnkit.benchmark.work import EmbedWork
from attnkit.devices import CPU


def bench_embed(
    model: Path,
    work: EmbedWork,
    precisions: tuple[str, ...],
    peers: Sequence[Peer] = (),
    runs: int = 5,
    threads: int | None = None,
    progress: Progress = lambda message: None,
    device: str = CPU,
) -> list[DecodingMeasurement]:
    """The same texts through attnkit at each precision, and through each peer at those that it has. model: a model
    directory, or a checkpoint of transformers', which peers need."""
    worker = "attnkit.benchmark.embed_worker"
    with opened(model, progress) as subject:
        work = replace(work, longest=_longest(subject.directory))
        return measure_subject(
            subject, worker, work, len(work.texts), precisions, peers, runs, threads, progress, device=device
        )


def _longest(directory: Path) -> int:
    """The longest text that the model reads, in tokens with those around it. A peer reads as much: the tokenizers of
    some checkpoints name no bound, and positions end."""
    from attnkit.tasks.shared.directory import ModelDirectory

    config: Any = ModelDirectory.read(directory).described.config
    longest: int = getattr(config, "text", config).max_length
    return longest
