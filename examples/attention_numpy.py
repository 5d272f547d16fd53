"""Attention on plain NumPy arrays: two heads, four words that look at each other, and the weights printed.

python examples/attention_numpy.py
"""

import numpy as np

from attnkit import ops

WORDS = ["the", "cat", "sees", "itself"]
HEADS, SIZE = 2, 8


def main() -> None:
    random = np.random.default_rng(0)
    query, key, value = (random.standard_normal((1, HEADS, len(WORDS), SIZE)).astype(np.float32) for _ in range(3))

    # causal: a word sees itself and the words before it.
    output, weights = ops.attention(query, key, value, causal=True, return_weights=True)
    print(f"output {output.shape}, weights {weights.shape}\n")

    for head in range(HEADS):
        print(f"head {head}".ljust(8) + "".join(f"{word:>8}" for word in WORDS))
        for word, row in zip(WORDS, weights[0, head], strict=True):
            print(word.ljust(8) + "".join(f"{weight:8.2f}" for weight in row))
        print()

    # The same by the formula of the paper: softmax(Q Kᵀ / √d) V.
    scores = query @ key.swapaxes(-1, -2) / np.sqrt(SIZE)
    scores[..., np.triu_indices(len(WORDS), 1)[0], np.triu_indices(len(WORDS), 1)[1]] = -np.inf
    expected = ops.softmax(scores) @ value
    print(f"largest difference from the formula: {np.abs(output - expected).max():.1e}")


if __name__ == "__main__":
    main()
