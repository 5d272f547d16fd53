"""`attnkit bench embed`: vectors of the same texts by attnkit and by its peers.

A checkpoint of transformers' is converted for attnkit, and is what the peers read; so all have the same weights and the
same tokenizer.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnkit.benchmark.decoding import DecodingMeasurement, measure_decoding
from attnkit.benchmark.peers.embed_peers import Peer
from attnkit.benchmark.runner import Contestant


@dataclass(frozen=True)
class EmbedWork:
    """texts: what is read. batch: texts at once. alone: how many are also read one at a time."""

    texts: list[str]
    batch: int
    alone: int = 100

    def words(self) -> int:
        """Of all texts, by spaces."""
        return sum(len(text.split()) for text in self.texts)


def bench_embed(
    model: Path,
    work: EmbedWork,
    precisions: tuple[str, ...],
    peers: Sequence[Peer] = (),
    runs: int = 5,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> list[DecodingMeasurement]:
    """The same texts through attnkit at each precision, and through each peer at those that it has. model: a model
    directory, or a checkpoint of transformers', which peers need."""
    from attnkit import get_num_threads

    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name), threads or get_num_threads()
        own = model.resolve()
        if is_checkpoint(model):
            from attnkit.interop import convert

            progress("converting the model")
            convert(model, own := folder / "attnkit")
        (folder / "work.json").write_text(json.dumps(work.__dict__), encoding="utf-8")
        contestants = [
            Contestant(
                f"attnkit {precision}",
                "attnkit.benchmark.embed_worker",
                (str(folder), str(own), precision, str(count)),
            )
            for precision in precisions
        ]
        for peer in peers:
            contestants += peer.contestants(model.resolve(), folder, precisions, count, progress)
        return measure_decoding(contestants, len(work.texts), runs, progress)


def is_checkpoint(model: Path) -> bool:
    """Whether the folder is a checkpoint of transformers', not a model directory. Raises FileNotFoundError or
    ValueError where it is neither."""
    from attnkit.interop.hf_config import CONFIG_FILE, read_table

    return "model_type" in read_table(model / CONFIG_FILE)


def read_work(folder: Path) -> EmbedWork:
    """For the contestants: what the bench wrote."""
    return EmbedWork(**json.loads((folder / "work.json").read_text(encoding="utf-8")))
