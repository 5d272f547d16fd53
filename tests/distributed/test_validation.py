"""Validation that processes share out: for every task the same bytes for any number of them, each doing its part."""

from __future__ import annotations

import collections
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import Threads
from text_runs import classify_toml, language_model_toml, masked_toml
from training_images import GLIMPSE, LSTM, caption_task, classify_task
from training_runs import copy_task

import attnkit
from attnkit import _tensor
from attnkit.distributed.group import ElsewhereError
from attnkit.optim import Adam
from attnkit.tasks.caption.captioner import Caption
from attnkit.tasks.registry import make_task
from attnkit.training import read_config
from attnkit.training.interruption import StopRequested
from attnkit.vision.shapes import Pointing

SHAPES = """
task = "caption"
[data]
builtin = "shapes"
builtin_train = 200
builtin_held_out = 21
[image]
size = 40
mean = [0.5]
deviation = [0.25]
[tokenizer]
kind = "word"
[model]
type = "captioner"
[model.encoder]
type = "cnn"
widths = [8]
blocks = 1
stem = "patch"
[model.decoder]
type = "lstm"
width = 16
hidden = 24
[training]
max_steps = 1
batch_images = 16
[decoding]
batch_images = 5
"""


def shapes(folder: Path) -> Path:
    (folder / "shapes.toml").write_text(SHAPES)
    return folder / "shapes.toml"


def recurrent(folder: Path) -> Path:
    toml = copy_task(folder)
    head, _, rest = toml.read_text().partition("[model]")
    model = '[model]\ntype = "recurrent"\nembedding_size = 16\nhidden_size = 16\n'
    toml.write_text(head + model + rest[rest.index("[training]") :])
    return toml


def hard(folder: Path) -> Path:
    return caption_task(folder, decoder=f'{LSTM}\nattention = "hard"\nsoft_batches = 1')


# What is learnt, so many steps beforehand that the figures are neither nothing nor all, and batches of which there are
# some for each process.
TASKS: dict[str, tuple[Callable[[Path], Path], int, tuple[str, ...]]] = {
    "translate": (copy_task, 60, ("training.batch_tokens=8", "decoding.beam=2")),
    "translate recurrent": (recurrent, 20, ("training.batch_tokens=8",)),
    "classify texts": (classify_toml, 5, ("training.batch_tokens=20",)),
    "language model": (language_model_toml, 5, ("training.batch_tokens=12",)),
    "masked language model": (masked_toml, 20, ("training.batch_tokens=30",)),
    "classify images": (classify_task, 8, ("training.batch_images=3",)),
    "classify images by glimpses": (lambda folder: classify_task(folder, GLIMPSE), 3, ("training.batch_images=3",)),
    "caption, hard": (hard, 3, ("training.batch_images=3",)),
    "caption": (caption_task, 30, ("training.batch_images=3",)),
    "caption shapes": (shapes, 0, ()),
}


def learnt(name: str, folder: Path) -> Any:
    toml, steps, overrides = TASKS[name]
    task: Any = make_task(read_config(toml(folder), overrides), folder, lambda line: None)
    optimizer = Adam(task.model.parameters(), 0.01)
    for _ in range(steps):
        task.batches.turn()
        task.loss(next(task.batches)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return task


def take(monkeypatch: pytest.MonkeyPatch, threads: Threads) -> None:
    """Lets this group be the one that a launcher has started."""
    for module in ("shared.measured", "translate.validation", "caption.training", "classify_text.training",
                   "classify_images.training", "masked_language_model.training"):  # fmt: skip
        monkeypatch.setattr(f"attnkit.tasks.{module}.group", lambda: threads)


def measured(task: Any, check: Callable[[], None], final: bool = False) -> dict[str, Any]:
    """As the trainer does it."""
    task.model.eval()
    with _tensor.no_grad():
        return {**task.validate(check, final), **task.test(check)}


@pytest.mark.parametrize("name", TASKS)
def test_figures_are_the_same_bytes_for_any_number_of_processes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = learnt(name, tmp_path)
    checks: collections.Counter[int] = collections.Counter()
    expected = measured(task, lambda: checks.update([0]), final=True)
    assert len(expected) >= 2
    for size in (2, 3, 4):
        threads = Threads(size)
        shares: collections.Counter[int] = collections.Counter()
        take(monkeypatch, threads)
        found = threads.run(lambda: measured(task, lambda: shares.update([threads.rank]), final=True))  # noqa: B023
        assert found == [expected] * size
        assert shares.total() == checks.total() and max(shares.values()) - min(shares.values()) <= 4, shares


def test_attention_of_captions_comes_with_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[bytes]] = []

    def look(scenes: object, captions: list[Caption]) -> Pointing:
        maps = [each.attention for each in captions]
        seen.append([each.tobytes() for each in maps if each is not None and each.size])
        return Pointing(0.0, 0.0, 0.0, 0)

    monkeypatch.setattr("attnkit.vision.shapes.measure_pointing", look)
    task, threads = learnt("caption shapes", tmp_path), Threads(3)
    measured(task, lambda: None)
    take(monkeypatch, threads)
    threads.run(lambda: measured(task, lambda: None))
    assert len(seen[0]) == len(set(seen[0])) == 21
    assert sorted(seen[2:]) == sorted(seen[:2] * 3)  # of the validation data and of the test data


def stopping(threads: Threads, error: Exception) -> tuple[Callable[[], None], list[int]]:
    """A check that raises on process 1 when it is called for the second time; and who called it."""
    calls: list[int] = []

    def check() -> None:
        calls.append(threads.rank)
        if threads.rank == 1 and calls.count(1) == 2:
            raise error

    return check, calls


@pytest.mark.parametrize("name", TASKS)
def test_a_stop_in_the_middle_of_a_share_stops_all(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, threads = learnt(name, tmp_path), Threads(3)
    take(monkeypatch, threads)
    check, _ = stopping(threads, StopRequested(signal.SIGTERM))
    found = threads.run(lambda: measured(task, check))
    assert [(type(each), each.signal_number) for each in found] == [(StopRequested, signal.SIGTERM)] * 3


@pytest.mark.parametrize("name", ["translate", "classify images"])
def test_a_failure_in_one_share_ends_the_others(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, threads = learnt(name, tmp_path), Threads(3)
    take(monkeypatch, threads)
    check, _ = stopping(threads, OSError("broken.png"))
    found = threads.run(lambda: measured(task, check))
    assert [type(each) for each in found] == [ElsewhereError, OSError, ElsewhereError]


def test_what_is_learnt_first_makes_the_comparison_worth_something(tmp_path: Path) -> None:
    """A model that says nothing would be measured alike however the sentences were dealt."""
    attnkit.manual_seed(1)
    figures = measured(learnt("translate", tmp_path), lambda: None)
    assert 1 < figures["bleu"] < 100
