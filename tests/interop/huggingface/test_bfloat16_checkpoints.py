"""A checkpoint of bfloat16 stays one: half the file, and what float32 of the same numbers gives, to the bit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seq2seq_checkpoint import write_checkpoint

import attnkit
from attnkit.interop import convert

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

TEXTS = ["the cat sees a dog", "a bird"]


def rounded(folder: Path, theirs: Any) -> tuple[Path, Path]:
    """Two model directories of one checkpoint whose numbers are those of bfloat16: kept as float32, and as bfloat16."""
    made = []
    for name, kind in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        source = folder / f"{name}-source"
        shutil.copytree(folder / "source", source)
        theirs.to(torch.bfloat16).to(kind).save_pretrained(source)
        convert(source, folder / name)
        made.append(folder / name)
    return made[1], made[0]


def check_half(exact: Path, half: Path) -> None:
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (exact, half)]
    assert sizes[1] < 0.75 * sizes[0]


@pytest.mark.parametrize("model_type", ["bart", "pegasus"])
def test_an_encoder_decoder(tmp_path: Path, model_type: str) -> None:
    theirs = write_checkpoint(tmp_path / "source", model_type, d_model=32)
    exact, half = rounded(tmp_path, theirs)
    check_half(exact, half)
    results = [attnkit.load(folder, task="summarize").summarize(TEXTS, beam=3) for folder in (exact, half)]
    assert [(r.text, r.score) for r in results[0]] == [(r.text, r.score) for r in results[1]]


def test_a_language_model(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "source")  # for its tokenizer
    config = transformers.GPT2Config(vocab_size=240, n_positions=32, n_embd=32, n_layer=2, n_head=2, eos_token_id=2)
    torch.manual_seed(1)
    exact, half = rounded(tmp_path, transformers.GPT2LMHeadModel(config))
    check_half(exact, half)
    results = [attnkit.load(folder, task="language-model").generate(TEXTS, max_length=12) for folder in (exact, half)]
    assert [(r.text, r.score) for r in results[0]] == [(r.text, r.score) for r in results[1]]


def test_an_encoder_and_its_fine_tuning(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "source")
    config = transformers.BertConfig(
        vocab_size=240, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=40,
    )  # fmt: skip
    torch.manual_seed(1)
    exact, half = rounded(tmp_path, transformers.BertModel(config))
    check_half(exact, half)
    embedders = [attnkit.load(folder, task="embed") for folder in (exact, half)]
    vectors = [embedder.embed(TEXTS) for embedder in embedders]
    assert vectors[0].tobytes() == vectors[1].tobytes()
    types = {parameter.dtype for parameter in embedders[1].model.parameters()}
    assert types == {"bfloat16", "float32"}  # matrices; norms and biases
    states = [embedder.model.to("float32").state_dict() for embedder in embedders]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
