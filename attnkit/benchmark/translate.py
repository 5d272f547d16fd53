"""`attnkit bench translate`: a model beside its peers, on the same lines.

The model has random weights, and then every translation has exactly `length` tokens, so that all do the same work
whatever the weights say; or it is one of the user's, which decodes as it was made to, and translations end by
themselves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from attnkit.benchmark.decoding import DecodingMeasurement, measure_decoding
from attnkit.benchmark.peers.translate_peers import Peer, Setting
from attnkit.benchmark.roof_worker import roof_contestants
from attnkit.benchmark.runner import Contestant
from attnkit.benchmark.work import write_work
from attnkit.decoding.options import decoding_options
from attnkit.devices import CPU
from attnkit.models.transformer_config import TransformerConfig

BATCH_TOKENS = 1024  # what `Translator.translate` has for itself


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


@dataclass(frozen=True)
class Work:
    """lines: the sources. length: tokens of every translation; None lets each end by itself.

    batch: sentences at once; None for `BATCH_TOKENS`. beam: hypotheses followed. alone: how many lines are also
    translated one at a time.
    """

    lines: list[str]
    length: int | None
    batch: int | None
    beam: int
    alone: int = 16

    def batch_tokens(self) -> int:
        """What makes batches of about `batch` sentences; a source has a token a word and its end."""
        if self.batch is None:
            return BATCH_TOKENS
        tokens = self.words() + len(self.lines)
        return -(-tokens * self.batch // len(self.lines))

    def words(self) -> int:
        """Of all lines, by spaces."""
        return sum(len(line.split()) for line in self.lines)

    def units(self) -> int:
        """What is counted a second: tokens that are written, or where nobody knows how many, words that are read."""
        return self.words() if self.length is None else len(self.lines) * self.length


def own_beam(model: Path) -> int:
    """The hypotheses that a model directory follows where nobody asks for another number. Raises FileNotFoundError, or
    ValueError for a model that does not translate."""
    from attnkit.tasks.shared.directory import ModelDirectory

    directory = ModelDirectory.read(model)
    if directory.task != "translate":
        raise ValueError(f"[bench] {model}: expected a model that translates, got one of the task {directory.task!r}")
    return decoding_options(**(directory.decoding.merge({}) if directory.decoding else {})).beam


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


def bench_translate(
    model: str | Path,
    work: Work,
    precisions: tuple[str, ...],
    peers: Sequence[Peer] = (),
    runs: int = 5,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda message: None,
    device: str = CPU,
) -> list[DecodingMeasurement]:
    """The same lines through attnkit at each precision, and through each peer. `model`: a name of `SIZES`, or the path
    of a model directory."""
    from attnkit import get_num_threads

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if isinstance(model, str):
            progress("writing the model")
            size, model = SIZES[model], folder / "attnkit"
            write_model(model, size)
        write_work(folder, work)
        setting = Setting(
            folder, model.resolve(), work.batch_tokens(), precisions, threads or get_num_threads(), device
        )
        contestants = _own_contestants(setting)
        for peer in peers:
            peer.prepare(setting)
            contestants += peer.contestants(setting)
        roof = roof_contestants(precisions, setting.threads, device)
        return measure_decoding(contestants, work.units(), runs, progress, roof)


def _own_contestants(setting: Setting) -> list[Contestant]:
    module = "attnkit.benchmark.translate_worker"
    return [
        Contestant(
            f"attnkit {precision}",
            module,
            (str(setting.folder), str(setting.model), precision, str(setting.threads), setting.device),
        )
        for precision in setting.precisions
    ]
