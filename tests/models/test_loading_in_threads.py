"""Models loaded and made by several threads at once."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

import attnkit
from attnkit import nn
from attnkit.models import TransformerConfig, build_model, load_model, save_model

CONFIG = TransformerConfig(d_model=16, ffn=24, heads=2, encoder_layers=1, decoder_layers=1, tie_embeddings="decoder")


def test_loading_in_threads_leaves_new_layers_initialised(tmp_path: Path) -> None:
    """What says that weights are about to be loaded belongs to the thread that loads them."""
    attnkit.manual_seed(5)
    model = build_model(CONFIG, 11, 13)
    save_model(model, tmp_path / "model")
    expected = {name: array.copy() for name, array in model.state_dict().items()}
    wrong: list[str] = []

    def load() -> None:
        for _ in range(30):
            found = load_model(tmp_path / "model").state_dict()
            wrong.extend(name for name, array in expected.items() if not np.array_equal(found[name], array))

    def make() -> None:
        for _ in range(300):
            weight = np.asarray(nn.Linear(40, 30).weight)
            if not (np.isfinite(weight).all() and 0.01 < np.abs(weight).max() <= 0.3):
                wrong.append(f"a new layer of weights up to {np.abs(weight).max()}")

    threads = [threading.Thread(target=work) for work in (load, load, load, make, make)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    make()
    assert not wrong
