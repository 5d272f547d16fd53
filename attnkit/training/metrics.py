"""metrics.jsonl: one JSON object a line, appended as the run goes.

A training line has `step`, `epoch`, `loss` (as optimised, smoothed), `perplexity`, `gradient_norm` (mean, before
clipping), `learning_rate`, `tokens` (so far), and the times `tokens_per_second` and `seconds`. A validation line has
`step`, `epoch`, `validation_loss` (per token, unsmoothed) and what else the task measures, such as `bleu`. Where the
task has one label for a document or an image, read that for "token". The last line of a finished run names the weights
that became the model (`final`, `final_steps`) and has their figures.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

Figure = float | int | str | list[int]

TIMES = frozenset({"seconds", "tokens_per_second"})
"""The keys in which a resumed run's file differs from an unbroken one's."""

SCORES: Mapping[str, tuple[str, float]] = {
    "loss": ("validation_loss", -1.0),
    "bleu": ("bleu", 1.0),
    "accuracy": ("accuracy", 1.0),
    "cider": ("cider", 1.0),
}
"""What `training.metric` may be: the figure of a validation, and the sign that makes larger better."""


class MetricsFile:
    """The open file. Every line is written at once, so that whoever follows the file sees whole lines."""

    def __init__(self, path: Path | None, keep: int = 0) -> None:
        """Opens the file and cuts it to its first `keep` bytes: what came after them will be done again. No path: a
        process that is not the one who writes, and writes nowhere."""
        self._file: BinaryIO = open(path or os.devnull, "ab")  # noqa: SIM115 (closed by close)
        if path is None:
            return
        if self._file.tell() > keep:
            self._file.truncate(keep)

    def write(self, row: Mapping[str, Figure]) -> None:
        """Appends a line."""
        self._file.write(msgspec.json.encode(row) + b"\n")
        self._file.flush()

    def sync(self) -> int:
        """Makes what was written durable; returns the length in bytes."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        self._file.close()
