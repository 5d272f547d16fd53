"""Texts for the benches: of a file, random words in the lengths of image captions, or the built-in corpus's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from attnkit.data.lines import read_lines
from attnkit.printable import quoted
from attnkit.tasks.shared.directory import ModelDirectory
from attnkit.text.languages import add_tag, split_tag, tag_of
from attnkit.text.tokenizers.base import Tokenizer


def synthetic_lines(count: int, vocabulary: int, seed: int = 1) -> list[str]:
    """Random words w4, w5, ... as the models of the bench know them."""
    return _sentences([f"w{number}" for number in range(4, vocabulary)], count, seed)


def lines_for_model(model: Path, count: int, seed: int = 1) -> list[str]:
    """Random words that are one token each for the model of a directory, after the tag of its first language where it
    asks for one. Raises ValueError where its vocabulary has none: text in which words are not set apart by spaces."""
    tokenizers = ModelDirectory.read(model).tokenizers()
    words = list(_whole_words(tokenizers.source))
    if not words:
        raise ValueError(f"[bench] {model}: expected words among the tokens of the model, got none; give it text")
    lines = _sentences(words, count, seed)
    return [add_tag(tokenizers.languages[0], line) for line in lines] if tokenizers.languages else lines


def lines_of_file(path: str, model: Path, count: int | None) -> list[str]:
    """The first `count` lines of a file that are not blank, for a model to read. Raises ValueError where there are
    none, or where one does not say what language the model shall write that has several; OSError."""
    lines = list(islice((line for line in read_lines(path) if line.strip()), count))
    if not lines:
        raise ValueError(f"[bench] {path}: expected text, got none")
    languages = ModelDirectory.read(model).tokenizers().languages
    for line in lines:
        if languages and split_tag(line)[0] not in languages:
            raise ValueError(f"[bench] {path}: expected a tag such as {tag_of(languages[0])} before {quoted(line)}")
    return lines


def mixed_texts(count: int, seed: int = 1) -> list[str]:
    """English of the built-in corpus in texts of 1 to 12 sentences, most of them short; no sentence comes twice."""
    from attnkit.text.en_it import corpus

    rng = np.random.Generator(np.random.Philox(seed))
    lengths = np.minimum(rng.geometric(0.4, count), 12)
    sentences = iter(corpus(int(lengths.sum()), 0, 0)["train"])
    return [" ".join(pair.source for pair in islice(sentences, int(length))) for length in lengths]


def _sentences(words: Sequence[str], count: int, seed: int) -> list[str]:
    """About 14 words each, from 4 to 40."""
    rng = np.random.Generator(np.random.Philox(seed))
    lengths = np.clip(rng.gamma(9.0, 14 / 9.0, size=count).round(), 4, 40).astype(int)
    return [" ".join(words[number] for number in rng.integers(0, len(words), length)) for length in lengths]


def _whole_words(tokenizer: Tokenizer) -> Iterator[str]:
    for number in range(tokenizer.vocab_size):
        text = tokenizer.decode([number])
        if text.isalnum() and tokenizer.encode(text) == [number]:
            yield text
