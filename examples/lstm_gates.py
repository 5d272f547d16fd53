"""An LSTM language model of one's own, and what its gates let in, keep and show: `python lstm_gates.py [FILE.html]`.

No layer is rewritten to look inside: `nn.watching` collects what every layer computes, by hooks, while the model runs
as it always does.
"""

from __future__ import annotations

import sys

import numpy as np

import attnkit
from attnkit import nn, ops, optim
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.tasks.shared.recurrent_kinds import gates

ONE, MANY = "the {0} sleeps", "the {0}s sleep"
NOUNS, OTHERS = ("dog", "cat", "bird"), ("", " that sees the {0}", " that sees the {0}s", " near the {0}s")


def sentences() -> list[list[str]]:
    """The verb agrees with the first noun, whatever stands between them."""
    made = []
    for verb in (ONE, MANY):
        for noun in NOUNS:
            subject, _, rest = verb.format(noun).rpartition(" ")
            made += [f"{subject}{between.format(other)} {rest}".split() for between in OTHERS for other in NOUNS]
    return made


class LanguageModel(nn.Module):
    def __init__(self, words: int, units: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, units, units**0.5)
        self.lstm = nn.LSTM(units, units)
        self.output = nn.Linear(units, words)

    def forward(self, ids: np.ndarray, offsets: np.ndarray) -> attnkit.Tensor:
        states, _ = self.lstm(self.embedding(ids), offsets)
        return self.output(states)


def main() -> None:
    attnkit.manual_seed(1)
    texts = sentences()
    words = {word: number for number, word in enumerate(sorted({word for text in texts for word in text}))}
    model = LanguageModel(len(words), 16)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    inputs = np.array([words[word] for text in texts for word in text[:-1]], np.int32)
    labels = np.array([words[word] for text in texts for word in text[1:]], np.int32)
    offsets = np.cumsum([0, *(len(text) - 1 for text in texts)]).astype(np.int32)
    for _ in range(150):
        optimizer.zero_grad()
        loss = ops.cross_entropy(model(inputs, offsets), labels)
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.2f}")

    text = ["the", "dog", "that", "sees", "the", "cats", "sleeps"]
    ids = np.array([words[word] for word in text], np.int32)
    with attnkit.no_grad(), nn.watching(model) as seen:
        model(ids, np.array([0, len(ids)], np.int32))
    maps = AttentionMaps(gates(seen, "lstm", text, "text (read)"), title=" ".join(text))
    forget = maps["gates.forget"]
    print(f"{forget.kind:<14}" + " ".join(f"{word:>6}" for word in text))
    moving = np.argsort(-forget.weights[0, 0].std(axis=1))[:4]  # the units that change most from word to word
    for unit in moving:
        numbers = " ".join(f"{number:6.2f}" for number in forget.weights[0, 0, unit])
        print(f"{forget.queries[unit]:<14}{numbers}")
    if len(sys.argv) > 1:
        maps.save(sys.argv[1])


if __name__ == "__main__":
    main()
