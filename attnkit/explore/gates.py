"""The gates of an LSTM over what it reads: it counts open brackets, and it predicts the next word.

Input, forget and output gate are numbers between 0 and 1 that say for each unit and each symbol what is let in, what is
kept and what is shown: maps, as those of attention are (Hochreiter and Schmidhuber, 1997; Gers et al., 2000). One
network reads letters and brackets and says after each how many brackets are open. Nobody tells it that letters do not
matter, and yet its gates take them otherwise than brackets. Another one reads sentences, as a language model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnkit import nn
from attnkit._core import Tensor, manual_seed
from attnkit._tensor import no_grad
from attnkit.explain.drawing.chart import BLUE, GREEN, ORANGE, BarPanel
from attnkit.explain.drawing.matrix import MatrixPanel
from attnkit.explore.laboratory import Laboratory, held_out
from attnkit.explore.small import accuracy, fit
from attnkit.tasks.shared.recurrent_kinds import gates
from attnkit.text import en_it

GATES = ("input", "forget", "output")
_COLOURS = (BLUE, ORANGE, GREEN)
_STEPS = 1000
_LETTERS, _OPEN, _CLOSE = "abcdefgh", "(", ")"
_SYMBOLS = _LETTERS + _OPEN + _CLOSE
_DEEPEST, _LENGTH, _BATCH = 6, 32, 32  # open brackets at the most; symbols of a text, texts of a batch
_UNITS, _WORD_UNITS = 12, 64  # as many as a slide can show, and as many as words need
_SHOWN = 20  # symbols of the text that is drawn
_TESTED = 10  # batches
_FLOOR = 90.0


class Reader(nn.Module):
    """Symbols, an LSTM, and a class for each symbol that is read."""

    def __init__(self, symbols: int, units: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, units, units**0.5)
        self.lstm = nn.LSTM(units, units)
        self.output = nn.Linear(units, classes)

    def forward(self, ids: np.ndarray, offsets: np.ndarray) -> Tensor:
        """ids int32 [T], offsets int32 [B + 1] → logits [T, classes]."""
        states, _ = self.lstm(self.embedding(ids), offsets)
        return self.output(states)


def run(laboratory: Laboratory) -> list[Path]:
    """Trains the counter and the language model, and draws the gates of both."""
    steps = laboratory.steps or _STEPS
    counter, right = _counter(laboratory, steps)
    laboratory.expect(right >= _FLOOR, f"{_FLOOR:.0f} % of the brackets counted, got {right:.0f} %")
    texts = draw_texts(np.random.default_rng(laboratory.seed + 2), 200)
    measured = measure(counter, texts)
    figure = _draw_counter(laboratory, counter, texts[0], measured)
    model, words, perplexity = _language_model(laboratory, steps)
    sentence = max((pair.source.split() for pair in held_out() if set(pair.source.split()) <= words.keys()), key=len)
    drawn = _draw_sentence(laboratory, model, words, sentence)
    numbers = {"counter": {"accuracy": right, **measured}, "language_model": {"perplexity": perplexity}, "steps": steps}
    return [figure, drawn, laboratory.save(numbers)]


# ----- Brackets


def draw_texts(random: np.random.Generator, count: int, length: int = _LENGTH) -> list[str]:
    """Letters and brackets, half and half; no bracket closes that was not opened, and no more than 6 are open."""
    texts = []
    for _ in range(count):
        text, depth = "", 0
        for kind in random.integers(0, 4, length):  # 0, 1: a letter; 2: opens; 3: closes
            if (kind == 2 and depth < _DEEPEST) or (kind == 3 and depth == 0):
                text, depth = text + _OPEN, depth + 1
            elif kind >= 2:
                text, depth = text + _CLOSE, depth - 1
            else:
                text += _LETTERS[random.integers(len(_LETTERS))]
        texts.append(text)
    return texts


def depths(text: str) -> np.ndarray:
    """How many brackets are open after each symbol, int [symbols]."""
    return np.cumsum([(symbol == _OPEN) - (symbol == _CLOSE) for symbol in text])


def _ids(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    ids = np.array([_SYMBOLS.index(symbol) for text in texts for symbol in text], np.int32)
    return ids, np.cumsum([0, *map(len, texts)]).astype(np.int32)


def _counter(laboratory: Laboratory, steps: int) -> tuple[Reader, float]:
    """The network, and how often it is right, in percent."""
    laboratory.note("training a counter of brackets")
    manual_seed(laboratory.seed)
    counter = Reader(len(_SYMBOLS), _UNITS, _DEEPEST + 1)

    def logits(random: np.random.Generator) -> tuple[Tensor, np.ndarray]:
        texts = draw_texts(random, _BATCH)
        return counter(*_ids(texts)), np.concatenate([depths(text) for text in texts]).astype(np.int32)

    fit(counter, logits, steps, 0.01, laboratory.seed)
    return counter, accuracy(logits, _TESTED, laboratory.seed + 1)


def gates_of(model: Reader, ids: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """Each gate of the LSTM, [units, T]."""
    with no_grad(), nn.watching(model) as seen:
        model(ids, offsets)
    kinds = gates(seen, "lstm", [""] * len(ids), "")
    return {kind.kind.removeprefix("gates."): kind.weights[0, 0] for kind in kinds}


def measure(counter: Reader, texts: Sequence[str]) -> dict[str, Any]:
    """by_symbol: the mean of each gate at brackets that open, that close, and at letters. correlation: of each gate of
    each unit with the number of open brackets. of_the_deepest: gate, unit and correlation of the one that follows it
    most."""
    found = gates_of(counter, *_ids(texts))
    symbols = np.array(list("".join(texts)))
    places = {"opens": symbols == _OPEN, "closes": symbols == _CLOSE}
    places["letter"] = ~(places["opens"] | places["closes"])
    depth = np.concatenate([depths(text) for text in texts])
    means = {gate: {what: float(found[gate][:, at].mean()) for what, at in places.items()} for gate in GATES}
    correlations = {gate: [float(np.corrcoef(unit, depth)[0, 1]) for unit in found[gate]] for gate in GATES}
    gate, unit = max(
        ((gate, unit) for gate in GATES for unit in range(len(found[gate]))),
        key=lambda each: abs(correlations[each[0]][each[1]]),
    )
    deepest = {"gate": gate, "unit": unit + 1, "correlation": correlations[gate][unit]}
    return {"by_symbol": means, "correlation": correlations, "of_the_deepest": deepest}


def _draw_counter(laboratory: Laboratory, counter: Reader, text: str, measured: Mapping[str, Any]) -> Path:
    text = text[:_SHOWN]
    found, columns = gates_of(counter, *_ids([text])), [f"{a} {b}" for a, b in zip(text, depths(text), strict=True)]
    names, best = [f"unit {unit + 1}" for unit in range(_UNITS)], measured["of_the_deepest"]
    followed = f"{best['correlation']:.2f}".replace("-", "−")
    notes = {best["gate"]: f"; unit {best['unit']} counts: r = {followed}"}
    titles = {gate: f"{gate.capitalize()} gate{notes.get(gate, '')}" for gate in GATES}
    maps = [
        MatrixPanel(titles[gate], found[gate], names if gate == "input" else (), columns, numbers=False)
        for gate in GATES
    ]
    bars = [
        BarPanel(f"{gate.capitalize()} gate, mean", list(measured["by_symbol"][gate].items()), 2, colour, full=1.0)
        for gate, colour in zip(GATES, _COLOURS, strict=True)
    ]
    title = "An LSTM that counts open brackets; above, each symbol and how many are open after it"
    return laboratory.draw("gates.png", title, [maps, bars], heights=[2.4, 1.0])


# ----- Words


def _language_model(laboratory: Laboratory, steps: int) -> tuple[Reader, dict[str, int], float]:
    """A model that predicts the next word of the corpus's English; its words by number, and its perplexity on test
    sentences of known words."""
    laboratory.note("training a language model of words")
    manual_seed(laboratory.seed)
    train = [pair.source.split() for pair in en_it.corpus(train=2000, validation=0, test=0)["train"]]
    words = {word: number for number, word in enumerate(sorted({word for each in train for word in each}), start=1)}
    model = Reader(len(words) + 1, _WORD_UNITS, len(words) + 1)

    def read(sentences: Sequence[Sequence[str]]) -> tuple[Tensor, np.ndarray]:
        numbers = [[words[word] for word in sentence] for sentence in sentences]
        inputs = np.array([number for each in numbers for number in (0, *each)], np.int32)
        labels = np.array([number for each in numbers for number in (*each, 0)], np.int32)
        return model(inputs, np.cumsum([0, *(len(each) + 1 for each in numbers)]).astype(np.int32)), labels

    fit(model, lambda random: read([train[i] for i in random.integers(0, len(train), _BATCH)]), steps, 0.005,
        laboratory.seed)  # fmt: skip
    known = [pair.source.split() for pair in held_out() if set(pair.source.split()) <= words.keys()]
    with no_grad():
        found, labels = read(known)
        losses = (
            np.log(np.exp(found.numpy().astype(np.float64)).sum(axis=1)) - found.numpy()[range(len(labels)), labels]
        )
    return model, words, float(np.exp(losses.mean()))


def _draw_sentence(laboratory: Laboratory, model: Reader, words: Mapping[str, int], sentence: Sequence[str]) -> Path:
    """The gates of the units whose input gate differs most from word to word."""
    ids = np.array([0, *(words[word] for word in sentence)], np.int32)
    found = gates_of(model, ids, np.array([0, len(ids)], np.int32))
    chosen = np.argsort(-found["input"].std(axis=1), kind="stable")[:16]
    names = [f"unit {unit + 1}" for unit in chosen]
    maps = [
        MatrixPanel(f"{gate.capitalize()} gate", found[gate][chosen], names if gate == "input" else (),
                    ["<s>", *sentence], numbers=False)
        for gate in GATES
    ]  # fmt: skip
    title = "An LSTM that predicts the next word: its gates over a sentence"
    return laboratory.draw("sentence.png", title, [maps], widths=(1.2, 1.0, 1.0))
