"""`attnkit bench train`: one training step of a Transformer, beside PyTorch's."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from glob import glob
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from attnkit.benchmark.runner import Contestant, Measurement, measure
from attnkit.models.transformer_config import TransformerConfig

VOCAB_SIZE = 10_000
BOS, EOS = 2, 3

MODELS = {
    "transformer-tiny": TransformerConfig(
        d_model=128, ffn=256, heads=4, encoder_layers=4, decoder_layers=4, dropout=0.3, tie_embeddings="all"
    ),
    "transformer-base": TransformerConfig(
        d_model=512, ffn=2048, heads=8, encoder_layers=6, decoder_layers=6, dropout=0.1, tie_embeddings="all"
    ),
}


@dataclass(frozen=True)
class SentenceBatch:
    """Sentence pairs as ids: eos behind each source, bos before and eos behind each target."""

    sources: list[list[int]]
    targets: list[list[int]]

    @property
    def target_tokens(self) -> int:
        return sum(len(target) - 1 for target in self.targets)

    def save(self, path: Path) -> None:
        arrays = {}
        for name, rows in (("source", self.sources), ("target", self.targets)):
            arrays[name] = np.concatenate([np.asarray(row, dtype=np.int32) for row in rows])
            arrays[f"{name}_lengths"] = np.asarray([len(row) for row in rows], dtype=np.int32)
        np.savez(path, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: str) -> SentenceBatch:
        with np.load(path) as arrays:

            def rows(name: str) -> list[list[int]]:
                return [row.tolist() for row in np.split(arrays[name], np.cumsum(arrays[f"{name}_lengths"])[:-1])]

            return cls(rows("source"), rows("target"))


def typical_batch(pairs: Iterable[tuple[list[int], list[int]]], max_tokens: int) -> SentenceBatch:
    """The middle one of the batches of similar length that `pairs` give, at most `max_tokens` padded tokens large."""
    framed = [([*s, EOS], [BOS, *t, EOS]) for s, t in pairs]
    framed.sort(key=lambda pair: (len(pair[1]), len(pair[0])))
    batches: list[list[tuple[list[int], list[int]]]] = [[]]
    longest = 0
    for pair in framed:
        longest = max(longest, *map(len, pair))
        if batches[-1] and longest * (len(batches[-1]) + 1) > max_tokens:
            batches.append([])
            longest = max(map(len, pair))
        batches[-1].append(pair)
    middle = batches[len(batches) // 2]
    return SentenceBatch([s for s, _ in middle], [t for _, t in middle])


def synthetic_pairs(count: int = 20_000, seed: int = 1) -> list[tuple[list[int], list[int]]]:
    """Random sentences with the lengths of image captions: about 14 tokens, from 4 to 40."""
    rng = np.random.Generator(np.random.Philox(seed))
    source_lengths = rng.gamma(9.0, 14 / 9.0, size=count)
    target_lengths = source_lengths + rng.normal(0.0, 2.0, size=count)
    lengths = np.clip(np.stack([source_lengths, target_lengths], axis=1).round(), 4, 40).astype(int)
    return [(rng.integers(4, VOCAB_SIZE, a).tolist(), rng.integers(4, VOCAB_SIZE, b).tolist()) for a, b in lengths]


def file_pairs(source: str, target: str) -> list[tuple[list[int], list[int]]]:
    """Sentence pairs of two files under a joint BPE vocabulary trained on them."""
    from attnkit.text import ParallelCorpus, TokenizerConfig, TokenizerPair

    corpus = ParallelCorpus.read(source, target)
    tokenizers = TokenizerPair.train(corpus.sources, corpus.targets, TokenizerConfig(kind="bpe", vocab_size=VOCAB_SIZE))
    return [
        (tokenizers.source.encode(s), tokenizers.target.encode(t))
        for s, t in zip(corpus.sources, corpus.targets, strict=True)
    ]


def tcmalloc() -> str | None:
    """Debian's libtcmalloc-minimal4, under which PyTorch's training step takes about half the time."""
    found = sorted(glob("/usr/lib/*/libtcmalloc_minimal.so.4") + glob("/usr/lib*/libtcmalloc_minimal.so.4"))
    return found[0] if found else None


def _contestants(
    model: str, precisions: tuple[str, ...], against: tuple[str, ...], batch: Path, threads: int
) -> list[Contestant]:
    contestants = [
        Contestant(f"attnkit {p}", "attnkit.benchmark.train_worker", (model, p, str(batch), str(threads)))
        for p in precisions
    ]
    if "torch" in against:
        preload = tcmalloc()
        environment = {"LD_PRELOAD": preload} if preload else {}
        environment["OMP_NUM_THREADS"] = str(threads)
        contestants += [
            Contestant(
                f"torch {p}", "attnkit.benchmark.torch_train_worker", (model, p, str(batch), str(threads)), environment
            )
            for p in precisions
        ]
    return contestants


def peer_problems(against: tuple[str, ...]) -> list[str]:
    """What is missing for the peers to run at their best, each with the command that installs it."""
    problems = []
    if "torch" in against and find_spec("torch") is None:
        problems.append("PyTorch is not installed: pip install torch --index-url https://download.pytorch.org/whl/cpu")
    elif "torch" in against and tcmalloc() is None:
        problems.append("PyTorch runs without tcmalloc, under which it is faster: apt-get install libtcmalloc-minimal4")
    return problems


def bench_train(
    model: str,
    precisions: tuple[str, ...] = ("fp32", "bf16"),
    against: tuple[str, ...] = (),
    files: tuple[str, str] | None = None,
    batch_tokens: int = 4096,
    runs: int = 7,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> list[Measurement]:
    """Seconds of a training step on the same sentences for attnkit and each peer, at each precision."""
    from attnkit import get_num_threads

    if model not in MODELS:
        raise ValueError(f"[bench] expected a model of {', '.join(MODELS)}, got {model!r}")
    progress("making the batch")
    pairs = file_pairs(*files) if files else synthetic_pairs()
    batch = typical_batch(pairs, batch_tokens)
    installed = tuple(peer for peer in against if find_spec(peer) is not None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "batch.npz"
        batch.save(path)
        contestants = _contestants(model, precisions, installed, path, threads or get_num_threads())
        return measure(contestants, runs, warmup=2, progress=progress)
