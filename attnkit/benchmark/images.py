"""`attnkit bench classify` and `attnkit bench caption`: the same images through attnkit and through PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attnkit.benchmark.decoding import DecodingMeasurement
from attnkit.benchmark.pictures import Pictures, write_pictures
from attnkit.benchmark.subject import Peer, Progress, Subject, measure_subject
from attnkit.benchmark.work import CaptionWork, ClassifyWork
from attnkit.devices import CPU


def bench_images(
    subject: Subject,
    pictures: Pictures,
    work: ClassifyWork | CaptionWork,
    precisions: tuple[str, ...],
    peers: Sequence[Peer] = (),
    runs: int = 5,
    threads: int | None = None,
    progress: Progress = lambda message: None,
    device: str = CPU,
) -> list[DecodingMeasurement]:
    """Through attnkit at each precision, and through each peer at those that it has; units are images. pictures: as
    `pictures_for` makes them for the subject. The work says what is done with them."""

    def prepare(folder: Path) -> None:
        write_pictures(folder, pictures)

    task = "caption" if isinstance(work, CaptionWork) else "classify"
    worker, count = f"attnkit.benchmark.{task}_worker", len(pictures.pixels)
    return measure_subject(subject, worker, work, count, precisions, peers, runs, threads, progress, prepare, device)
