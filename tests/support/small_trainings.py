"""A training of a few steps of every kind, by the file that configures it and what it overrides."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from text_runs import classify_toml, language_model_toml, masked_toml
from training_images import GLIMPSE, LSTM, TRANSFORMER, VIT, caption_task, classify_task
from training_runs import FEW_PAIRS, tiny

RECURRENT = f"""{FEW_PAIRS}[model]
type = "recurrent"
embedding_size = 8
hidden_size = 8
encoder_size = 8
[training]
batch_tokens = 160
"""


def recurrent(folder: Path) -> Path:
    path = folder / "recurrent.toml"
    path.write_text(RECURRENT)
    return path


def translator(folder: Path) -> Path:
    tiny(folder)
    return folder / "tiny.toml"


SHORT = ("training.max_steps=6", "training.warmup_steps=2", "training.validate_every=3", "training.validate_unit=steps")
TRAININGS: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "translate": (translator, ()),
    "translate by Muon": (translator, ("training.optimizer=muon", "training.accumulate=2")),
    "translate in shards": (translator, ("training.exact=true",)),
    "translate, recurrent": (recurrent, ()),
    "classify texts by a HAN": (classify_toml, ()),
    "language model": (language_model_toml, ()),
    "masked language model": (masked_toml, ()),
    "classify images": (classify_task, ()),
    "classify images by a ViT": (partial(classify_task, model=VIT), ()),
    "classify images by glimpses": (partial(classify_task, model=GLIMPSE), ()),
    "caption by an LSTM": (partial(caption_task, decoder=LSTM), ()),
    "caption by a Transformer": (partial(caption_task, decoder=TRANSFORMER), ()),
}
