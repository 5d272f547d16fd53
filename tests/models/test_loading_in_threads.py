"""Models loaded and made by several threads at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import attnkit
from attnkit import nn
from attnkit.models import TransformerConfig, build_model, load_model, save_model

MODELS = sorted((Path(__file__).parents[1] / "data" / "formats" / "1" / "models").iterdir())
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


USE = """
import sys
import numpy as np
import attnkit

model = attnkit.load(sys.argv[1])
before = set(sys.modules)
picture, text = np.zeros((20, 20, 3), np.uint8), "the cat"
for method, given in {"caption": picture, "classify": text, "generate": text, "translate": text}.items():
    if hasattr(model, method):
        given = picture if getattr(model, "reads", "") == "images" else given
        options = {"to": "it"} if "languages" in sys.argv[1] else {}
        getattr(model, method)([given], **options)
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.name)
def test_what_a_model_needs_is_imported_when_it_is_loaded(model: Path) -> None:
    """A child hangs that was forked while another thread imported; the first use would do so at a random moment."""
    result = subprocess.run([sys.executable, "-c", USE, str(model)], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
