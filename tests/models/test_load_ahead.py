"""What a load does, and in which thread: tokenizers are read beside the weights, and nothing is drawn."""

from __future__ import annotations

import pickle
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

import attnkit
from attnkit.models import load_model
from attnkit.nn import init
from attnkit.tasks.shared.directory import ModelDirectory
from attnkit.text.tokenizers.pair import TokenizerPair


@pytest.fixture
def old_translator() -> Path:
    return Path(__file__).parents[1] / "data" / "formats" / "1" / "models" / "translate-recurrent"


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> int:
    before = attnkit.get_num_threads()
    request.addfinalizer(lambda: attnkit.set_num_threads(before))
    attnkit.set_num_threads(request.param)
    return int(request.param)


def test_a_load_draws_no_random_numbers(old_translator: Path) -> None:
    attnkit.manual_seed(3)
    expected = init.generator().random(4)
    attnkit.manual_seed(3)
    load_model(old_translator)
    assert np.array_equal(init.generator().random(4), expected)


def test_tokenizers_are_read_while_the_thread_that_loads_does_something_else(
    old_translator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, begun = attnkit.get_num_threads(), threading.Event()
    read = TokenizerPair.load.__func__  # type: ignore[attr-defined]

    def noted(cls: type[TokenizerPair], *arguments: object) -> object:
        begun.set()
        return read(cls, *arguments)

    monkeypatch.setattr(TokenizerPair, "load", classmethod(noted))
    attnkit.set_num_threads(2)
    try:
        with ModelDirectory.read(old_translator).reading_ahead():
            assert begun.wait(60)
    finally:
        attnkit.set_num_threads(before)


def test_a_broken_tokenizer_is_the_same_error_from_any_thread(
    old_translator: Path, threads: int, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(old_translator, model)
    broken = next(model.glob("*vocab.txt"))
    broken.write_text("nothing of ours\n")
    with pytest.raises(ValueError, match=f"{broken}: expected the first lines to be <pad>"):
        attnkit.load(model)


def test_what_is_read_ahead_is_there_as_often_as_it_is_asked_for(old_translator: Path, threads: int) -> None:
    with ModelDirectory.read(old_translator).reading_ahead() as directory:
        assert (directory.ahead is not None) == (threads == 2)
        first, second = directory.tokenizers(), directory.tokenizers()
    assert first.source.vocab_size == second.source.vocab_size == directory.size("source_vocab_size")


def test_a_reader_that_nobody_waits_for_ends_with_the_load(
    old_translator: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the model's leaves no thread behind that reads on."""
    before = attnkit.get_num_threads()
    attnkit.set_num_threads(2)
    ended: list[str] = []
    read = TokenizerPair.load.__func__  # type: ignore[attr-defined]

    def noted(cls: type[TokenizerPair], *arguments: object) -> object:
        found = read(cls, *arguments)
        ended.append("read")
        return found

    monkeypatch.setattr(TokenizerPair, "load", classmethod(noted))
    try:
        with pytest.raises(RuntimeError, match="the model's"), ModelDirectory.read(old_translator).reading_ahead():
            raise RuntimeError("the model's")
        was = list(ended)
        threading.Event().wait(0.05)
        assert ended == was  # done by then, or never begun
    finally:
        attnkit.set_num_threads(before)


def test_what_a_search_gives_can_be_pickled(old_translator: Path) -> None:
    result = attnkit.load(old_translator, task="translate").translate(["a"], attention=True)[0]
    copy = pickle.loads(pickle.dumps(result))
    assert (copy.text, copy.score, copy.tokens) == (result.text, result.score, result.tokens)
    assert np.array_equal(copy.attention, result.attention)
