"""Recurrent translators by the trainer and the commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import complaint, output
from training_runs import FEW_PAIRS

import attnkit
from attnkit.training import read_config, train

EN_IT = f"""{FEW_PAIRS}[model]
type = "recurrent"
embedding_size = 8
hidden_size = 12
encoder_size = 6
dropout = 0.1
[training]
max_steps = 8
batch_tokens = 160
learning_rate = 0.01
warmup_steps = 4
log_every = 2
final = "last"
[decoding]
tokenize = "none"
beam = 2
"""


def test_train_and_draw_by_the_commands(tmp_path: Path) -> None:
    config, run, page = tmp_path / "run.toml", tmp_path / "run", tmp_path / "attention.html"
    config.write_text(EN_IT)
    overrides = [f"--set=model.{key}" for key in ("score=general", "attend=after", "normaliser=local-p", "window=3")]
    output("train", config, "--out", run, *overrides)
    lines = output("translate", run, "--attention", page, "--beam", "2", text="the cat sleeps\n\nthe dog sees you\n")
    assert len(lines.splitlines()) == 3 and "<html" in page.read_text("utf-8")
    text = "the cat sleeps\n\nthe dog sees you\n"
    assert output("translate", run, "--alignments", tmp_path / "links", "--beam", "2", text=text) == lines
    links = (tmp_path / "links").read_text().split("\n")
    for line, written, found in zip(text.split("\n"), lines.split("\n"), links, strict=True):
        ends = [tuple(map(int, link.split("-"))) for link in found.split()]
        assert all(i < len(line.split()) and j < len(written.split()) for i, j in ends)
        assert bool(found) == bool(line)


def test_attention_that_a_model_has_not_cannot_be_drawn(tmp_path: Path) -> None:
    config, run = tmp_path / "run.toml", tmp_path / "run"
    config.write_text(EN_IT)
    output("train", config, "--out", run, "--set=model.score=none", "--set=training.max_steps=2")
    output("translate", run, text="the cat sleeps\n")
    message = complaint("translate", run, "--attention", tmp_path / "a.html", text="the cat sleeps\n")
    assert 'expected a model with attention, got one trained with score = "none"' in message


def test_a_combination_that_makes_no_sense_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(EN_IT)
    message = complaint("train", config, "--set=model.score=location", "--set=model.normaliser=local-m", status=2)
    assert 'model.normaliser: expected "softmax" with score = "location", got "local-m"' in message


@pytest.mark.parametrize(
    "overrides",
    [
        ("model.normaliser=hard", "model.soft_batches=2"),
        ("model.normaliser=hard", "model.soft_batches=5", "model.soft_share=0.3"),
        ("model.encoder_pretraining=autoencoder", "model.pretraining_batches=5", "model.freeze_encoder=true"),
    ],
    ids=["hard", "soft first", "pretraining"],
)
def test_a_run_goes_on_to_the_same_bytes(overrides: tuple[str, ...], tmp_path: Path) -> None:
    """The baseline of REINFORCE and the counts of soft and of pretraining batches are in the checkpoint."""
    config = tmp_path / "run.toml"
    config.write_text(EN_IT)
    train(read_config(config, overrides), tmp_path / "whole", progress="none")
    train(read_config(config, [*overrides, "training.max_steps=3"]), tmp_path / "parts", progress="none")
    attnkit.manual_seed(31)
    train(read_config(config, overrides), tmp_path / "parts", resume=True, progress="none")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]
