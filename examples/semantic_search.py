"""Search by meaning: vectors of texts by a model, their products by NumPy.

python examples/semantic_search.py MODEL TEXTS "what to look for" [HOW_MANY]
"""

import sys
from pathlib import Path

import numpy as np

import attnkit


def main(model: str, texts: str, query: str, count: str = "3") -> None:
    embedder = attnkit.load(model, task="embed")
    lines = Path(texts).read_text(encoding="utf-8").splitlines()
    vectors = embedder.embed(lines, normalize=True)  # [N, D]; once for all queries: np.save keeps them
    [asked] = embedder.embed([query], normalize=True)
    cosines = vectors @ asked
    for number in np.argsort(-cosines)[: int(count)]:
        print(f"{cosines[number]:.3f}  {lines[number]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
