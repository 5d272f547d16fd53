"""The batches of `attnkit bench train`: arrays in a file, which every contestant reads.

A batch is packed: ids one behind the other, and the length of each sequence. Ids start at 4, behind padding and the
special tokens, so that a peer may pad with 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.benchmark.train_models import CLASSES, VOCAB_SIZE, TrainedModel

BOS, EOS = 2, 3

Arrays = dict[str, npt.NDArray[Any]]
Ids = list[int]


def sentence_arrays(pairs: Iterable[tuple[Ids, Ids]], max_tokens: int) -> Arrays:
    """The middle one of the batches of similar length that `pairs` give, at most `max_tokens` padded tokens large.

    source and source_lengths: with eos behind each sentence. target and target_lengths: with bos before and eos behind.
    """
    framed = [([*s, EOS], [BOS, *t, EOS]) for s, t in pairs]
    framed.sort(key=lambda pair: (len(pair[1]), len(pair[0])))
    batches: list[list[tuple[Ids, Ids]]] = [[]]
    longest = 0
    for pair in framed:
        longest = max(longest, *map(len, pair))
        if batches[-1] and longest * (len(batches[-1]) + 1) > max_tokens:
            batches.append([])
            longest = max(map(len, pair))
        batches[-1].append(pair)
    middle = batches[len(batches) // 2]
    return {**_packed("source", [s for s, _ in middle]), **_packed("target", [t for _, t in middle])}


def synthetic_pairs(count: int = 20_000, seed: int = 1) -> list[tuple[Ids, Ids]]:
    """Random sentences with the lengths of image captions: about 14 tokens, from 4 to 40."""
    rng = _generator(seed)
    source_lengths = rng.gamma(9.0, 14 / 9.0, size=count)
    target_lengths = source_lengths + rng.normal(0.0, 2.0, size=count)
    lengths = np.clip(np.stack([source_lengths, target_lengths], axis=1).round(), 4, 40).astype(int)
    return [(_words(rng, a), _words(rng, b)) for a, b in lengths]


def file_pairs(source: str, target: str) -> list[tuple[Ids, Ids]]:
    """Sentence pairs of two files under a joint BPE vocabulary trained on them."""
    from attnkit.text import ParallelCorpus, TokenizerConfig, TokenizerPair

    corpus = ParallelCorpus.read(source, target)
    tokenizers = TokenizerPair.train(corpus.sources, corpus.targets, TokenizerConfig(kind="bpe", vocab_size=VOCAB_SIZE))
    return [
        (tokenizers.source.encode(s), tokenizers.target.encode(t))
        for s, t in zip(corpus.sources, corpus.targets, strict=True)
    ]


def image_arrays(count: int, size: int, seed: int = 1) -> Arrays:
    """images float32 [count, size, size, 3] and their labels: noise, since a step takes as long whatever they show."""
    rng = _generator(seed)
    images = rng.standard_normal((count, size, size, 3), dtype=np.float32)
    return {"images": images, "labels": rng.integers(0, CLASSES, count).astype(np.int32)}


def caption_arrays(count: int, size: int, seed: int = 1) -> Arrays:
    """Images, and a caption for each: target and target_lengths, about 12 tokens between bos and eos."""
    rng = _generator(seed + 1)
    lengths = np.clip(rng.gamma(9.0, 12 / 9.0, size=count).round(), 4, 30).astype(int)
    captions = [[BOS, *_words(rng, length), EOS] for length in lengths]
    return {**image_arrays(count, size, seed), **_packed("target", captions)}


def document_arrays(max_tokens: int, seed: int = 1) -> Arrays:
    """Documents of about 200 tokens in sentences of about 20, `max_tokens` in all: words, word_lengths of the
    sentences, sentence_lengths of the documents, labels."""
    rng = _generator(seed)
    lengths = np.clip(rng.gamma(4.0, 5.0, size=max(1, max_tokens // 20)).round(), 2, 60).astype(int)
    counts = [10] * (len(lengths) // 10) + ([len(lengths) % 10] if len(lengths) % 10 else [])
    return {
        **_packed("word", [_words(rng, length) for length in lengths]),
        "sentence_lengths": np.array(counts, np.int32),
        "labels": rng.integers(0, 2, len(counts)).astype(np.int32),
    }


def save_batch(
    path: Path, model: TrainedModel, batch_tokens: int, batch_images: int, files: tuple[str, str] | None = None
) -> None:
    """A batch for `model`; sentences are those of `files`, where given."""
    if model.inputs == "sentences":
        arrays = sentence_arrays(file_pairs(*files) if files else synthetic_pairs(), batch_tokens)
    elif model.inputs == "images":
        arrays = image_arrays(batch_images, model.image_size)
    elif model.inputs == "captions":
        arrays = caption_arrays(batch_images, model.image_size)
    else:
        arrays = document_arrays(batch_tokens)
    np.savez(path, allow_pickle=False, **arrays)


def load_batch(path: str) -> Arrays:
    with np.load(path) as arrays:
        return dict(arrays)


def units(model: TrainedModel, arrays: Arrays) -> int:
    """How much a step on this batch gets through, in the model's unit; a target counts without its bos."""
    if model.inputs == "sentences":
        return len(arrays["target"]) - len(arrays["target_lengths"])
    return len(arrays["labels"])


def rows(arrays: Arrays, name: str) -> list[npt.NDArray[np.int32]]:
    """The sequences that are packed under `name`."""
    return np.split(arrays[name], np.cumsum(arrays[f"{name}_lengths"])[:-1])


def _packed(name: str, sequences: list[Ids]) -> Arrays:
    ids = np.array([token for sequence in sequences for token in sequence], np.int32)
    return {name: ids, f"{name}_lengths": np.array([len(sequence) for sequence in sequences], np.int32)}


def _words(rng: np.random.Generator, count: int) -> Ids:
    found: Ids = rng.integers(4, VOCAB_SIZE, count).tolist()
    return found


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))
