"""`attnkit bench translate`: a translation model with random weights, beside CTranslate2 with the same weights.

Every translation has exactly `length` tokens, so that all do the same work whatever the weights say.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attnkit.benchmark.decoding import DecodingMeasurement, measure_decoding
from attnkit.benchmark.runner import Contestant
from attnkit.models.transformer_config import TransformerConfig


class Size(NamedTuple):
    """A model of the bench: that of an OPUS-MT model, or a smaller one."""

    config: TransformerConfig
    vocabulary: int


def _marian(d_model: int, ffn: int, heads: int, layers: int) -> TransformerConfig:
    return TransformerConfig(
        d_model=d_model, ffn=ffn, heads=heads, encoder_layers=layers, decoder_layers=layers, activation="silu",
        tie_embeddings="all", output_bias=True, positions="sinusoidal-halves", max_length=512,
    )  # fmt: skip


SIZES = {"tiny": Size(_marian(128, 256, 4, 4), 10_000), "base": Size(_marian(512, 2048, 8, 6), 58_100)}
PEERS = {"ctranslate2": "CTranslate2 is not installed: pip install ctranslate2"}


@dataclass(frozen=True)
class Work:
    """lines: the sources. length: tokens of every translation. batch: sentences at once. beam: hypotheses followed."""

    lines: list[str]
    length: int
    batch: int
    beam: int

    def batch_tokens(self) -> int:
        """What makes batches of about `batch` sentences; a source has a token a word and its end."""
        tokens = sum(len(line.split()) + 1 for line in self.lines)
        return -(-tokens * self.batch // len(self.lines))


def synthetic_lines(count: int, vocabulary: int, seed: int = 1) -> list[str]:
    """Random words w4, w5, ... in sentences with the lengths of image captions: about 14, from 4 to 40."""
    rng = np.random.Generator(np.random.Philox(seed))
    lengths = np.clip(rng.gamma(9.0, 14 / 9.0, size=count).round(), 4, 40).astype(int)
    return [" ".join(f"w{number}" for number in rng.integers(4, vocabulary, length)) for length in lengths]


def write_model(folder: Path, size: Size) -> None:
    """A model directory with random weights. Words w4, w5, ... are its vocabulary."""
    import attnkit
    from attnkit.models.registry import build_model
    from attnkit.tasks.shared.directory import save_directory
    from attnkit.text.tokenizers.pair import TokenizerPair
    from attnkit.text.tokenizers.vocabulary import Vocabulary
    from attnkit.text.tokenizers.words import WordTokenizer

    attnkit.manual_seed(0)
    tokenizer = WordTokenizer(Vocabulary([f"w{number}" for number in range(4, size.vocabulary)]))
    tokenizers = TokenizerPair(tokenizer, tokenizer, "word")
    model = build_model(size.config, size.vocabulary, size.vocabulary)
    save_directory(model, folder, "translate", tokenizers=tokenizers)


def peer_problems(against: tuple[str, ...]) -> list[str]:
    """Peers that are not installed, each with the command that installs it."""
    return [PEERS[peer] for peer in against if find_spec(peer) is None]


def _ct2_types(precisions: tuple[str, ...]) -> list[str]:
    """Its fastest, and float32 where ours is measured in it."""
    return ["int8_float32", *(["float32"] if "fp32" in precisions else [])]


def _contestants(folder: Path, precisions: tuple[str, ...], against: tuple[str, ...], threads: int) -> list[Contestant]:
    def arguments(*own: str) -> tuple[str, ...]:
        return (str(folder), *own)

    contestants = [
        Contestant(f"attnkit {p}", "attnkit.benchmark.translate_worker", arguments(p, str(threads))) for p in precisions
    ]
    if "ctranslate2" in against:
        # Workers of one thread each decode many sentences fastest; one worker of all threads may win on a single one.
        threadings = [(threads, 1), (1, threads)] if threads > 1 else [(1, 1)]
        contestants += [
            Contestant(
                f"ctranslate2 {kind.removesuffix('_float32')} {workers}x{each}",
                "attnkit.benchmark.peers.ct2_translate_worker",
                arguments(kind, str(workers), str(each)),
                {"OMP_NUM_THREADS": str(each)},
            )
            for kind in _ct2_types(precisions)
            for workers, each in threadings
        ]
    return contestants


def bench_translate(
    size: str,
    work: Work,
    precisions: tuple[str, ...],
    against: tuple[str, ...] = (),
    runs: int = 5,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> list[DecodingMeasurement]:
    """The same lines through the same weights: attnkit at each precision, and each peer."""
    from attnkit import get_num_threads

    installed = tuple(peer for peer in against if find_spec(peer) is not None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        progress("writing the model")
        write_model(folder / "attnkit", SIZES[size])
        (folder / "work.json").write_text(json.dumps(work.__dict__), encoding="utf-8")
        if "ctranslate2" in installed:
            command = [sys.executable, "-m", "attnkit.benchmark.peers.ct2_model", str(folder), *_ct2_types(precisions)]
            subprocess.run(command, check=True)
        contestants = _contestants(folder, precisions, installed, threads or get_num_threads())
        return measure_decoding(contestants, len(work.lines) * work.length, runs, progress)


def read_work(folder: Path) -> Work:
    """For the contestants: what the bench wrote."""
    return Work(**json.loads((folder / "work.json").read_text(encoding="utf-8")))
