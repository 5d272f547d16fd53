"""Batches on worker threads: order, errors, the end of the work, and memory over long streams."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pytorch_twin import randomise
from untrained_model import ENGLISH, write_untrained_model

import attnkit
from attnkit import _core
from attnkit.decoding import Packed, decode
from attnkit.decoding.crew import busy
from attnkit.decoding.workers import Stop, Stopped, fair_share, run_batches
from attnkit.models import CaptionerConfig, CNNConfig, build_model
from attnkit.models.captioner_config import LSTMDecoderConfig, TransformerDecoderConfig
from attnkit.tasks.caption.captioner import Captioner
from attnkit.text.tokenizers.vocabulary import Vocabulary
from attnkit.text.tokenizers.words import WordTokenizer
from attnkit.vision.preprocessing import Preprocessing


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    before = _core.get_num_threads()
    _core.set_num_threads(3)
    yield
    _core.set_num_threads(before)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model")
    write_untrained_model(path)
    return str(path)


def lines(count: int) -> list[str]:
    return [" ".join(ENGLISH[(i + j) % 10] for j in range(1 + i * 7 % 6)) for i in range(count)]


def test_results_come_in_order_from_several_threads() -> None:
    seen = set()

    def work(number: int, stop: Stop) -> int:
        seen.add((threading.get_ident(), _core.get_num_threads()))
        time.sleep(0.02 * (5 - number % 5))
        return number * number

    assert list(run_batches(work, range(12))) == [n * n for n in range(12)]
    assert len(seen) == 3 and {threads for _, threads in seen} == {1}
    assert _core.get_num_threads() == 3


def test_two_batches_share_the_threads_and_one_has_all() -> None:
    _core.set_num_threads(4)
    assert list(run_batches(lambda _, stop: _core.get_num_threads(), [0, 1])) == [2, 2]
    assert list(run_batches(lambda _, stop: _core.get_num_threads(), [0])) == [4]
    assert list(run_batches(lambda batch, stop: batch, [])) == []


def test_an_error_ends_the_others() -> None:
    ended = []

    def work(number: int, stop: Stop) -> int:
        if number == 1:
            raise ValueError("broken")
        while number > 1 and not stop.requested:
            time.sleep(0.001)
        ended.append(number)
        return number

    results = run_batches(work, range(30))
    assert next(results) == 0
    with pytest.raises(ValueError, match="broken"):
        next(results)
    assert len(ended) < 30


def test_nobody_works_after_the_iterator_is_closed() -> None:
    begun = []

    def work(number: int, stop: Stop) -> int:
        begun.append(number)
        while number and not stop.requested:
            time.sleep(0.001)
        return number

    results = run_batches(work, range(50))
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(begun) < 50
    assert not busy()


def in_a_process(code: str) -> str:
    script = (
        f"import os, signal, time\nfrom attnkit import _core\nfrom attnkit.decoding.workers import run_batches\n{code}"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_interrupt_at_any_moment_comes_out_as_one() -> None:
    """The locks of `concurrent.futures` made a RuntimeError of it, or lost it: a hundredth of them here."""
    code = """
def interrupt(*signal):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
_core.set_num_threads(2)
for trial in range(600):
    begin = time.monotonic()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002 + 0.002 * (trial * 0.618 % 1))
        while time.monotonic() - begin < 2:
            list(run_batches(lambda batch, stop: sum(range(2000)), range(2)))
        print("lost")
    except KeyboardInterrupt:
        pass
"""
    assert in_a_process(code) == ""


def test_a_child_has_workers_of_its_own() -> None:
    code = """
_core.set_num_threads(2)
assert list(run_batches(lambda batch, stop: batch, range(4))) == [0, 1, 2, 3]
if child := os.fork():
    assert os.waitpid(child, 0)[1] == 0
else:
    assert list(run_batches(lambda batch, stop: batch, range(4))) == [0, 1, 2, 3]
    os._exit(0)
"""
    in_a_process(code)


def test_python_ends_while_workers_work() -> None:
    code = """
_core.set_num_threads(2)
results = run_batches(lambda batch, stop: batch and time.sleep(1), range(20))
next(results)
keep = [results]
keep.append(keep)
"""
    begin = time.monotonic()
    in_a_process(code)
    assert time.monotonic() - begin < 7  # the rest, 10 s for two workers, is not begun


def test_two_runs_take_turns() -> None:
    order: list[str] = []
    both = threading.Barrier(2)

    def work(name: str, stop: Stop) -> None:
        time.sleep(0.05)
        order.append(name)

    def run(name: str) -> None:
        both.wait(10)
        list(run_batches(work, [name] * 12))

    threads = [threading.Thread(target=run, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(order) == ["a"] * 12 + ["b"] * 12
    assert "b" in order[:12] and "a" in order[:12]


def test_a_search_that_is_stopped(model: str) -> None:
    translator = attnkit.load(model)
    stop = Stop()
    stop.requested = True
    with pytest.raises(Stopped):
        decode(translator.model, Packed.of([translator.source_tokenizer.encode("the cat")]), stop=stop)


def test_shares_are_fair() -> None:
    assert fair_share(9000, 1024) == 1024
    assert fair_share(1500, 1024) == 500
    assert fair_share(100, 1024) == 128  # too few to be shared
    assert fair_share(9000, 50) == 50
    assert fair_share(7, 32, fewest=1) == 3


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_threads_change_no_translation(model: str, precision: str) -> None:
    translator = attnkit.load(model, precision=precision)
    found = []
    for threads in (1, 3):
        _core.set_num_threads(threads)
        found.append(translator.translate(lines(300), beam=3, batch_tokens=200))
    for alone, shared in zip(*found, strict=True):
        assert (alone.text, alone.score) == (shared.text, shared.score)


@pytest.fixture(params=["lstm", "transformer"])
def captioner(request: pytest.FixtureRequest) -> Captioner:
    """An untrained one: what it writes is nonsense, and depends on the image."""
    decoder: Any = LSTMDecoderConfig(width=10, hidden=14, max_length=16)
    if request.param == "transformer":
        decoder = TransformerDecoderConfig(width=12, heads=2, ffn=16, max_length=16)
    attnkit.manual_seed(2)
    encoder = CNNConfig(widths=(6, 10), blocks=1)
    model = build_model(CaptionerConfig(encoder=encoder, decoder=decoder), 4 + len(ENGLISH)).eval()
    randomise(model, 3)
    return Captioner(model, WordTokenizer(Vocabulary(ENGLISH)), Preprocessing(size=12))


def pictures(count: int) -> list[npt.NDArray[np.uint8]]:
    return list(np.random.default_rng(8).integers(0, 256, (count, 12, 12, 3), np.uint8))


@pytest.mark.parametrize("search", [{"beam": 3, "nbest": 2}, {"sample": True, "seed": 4}], ids=["beam", "sample"])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_threads_change_no_caption(captioner: Captioner, precision: Any, search: Any) -> None:
    captioner.precision = precision
    found = []
    for threads, batch_images in ((1, 40), (2, 40), (3, 40), (3, 7), (2, 1)):
        _core.set_num_threads(threads)
        captions = captioner.caption(pictures(40), attention=True, batch_images=batch_images, **search)
        found.append([(each.text, each.score, each.attention.tobytes()) for each in captions])  # type: ignore[union-attr]
    assert all(each == found[0] for each in found)
    assert len({score for _, score, _ in found[0]}) == 40  # so that an order that is lost would show


def test_images_are_looked_at_and_described_by_the_workers(captioner: Captioner) -> None:
    seen: dict[str, set[tuple[str, int]]] = {"encode": set(), "step": set()}

    def watched(name: str) -> Any:
        inner = getattr(captioner.model, name)

        def call(*arguments: Any) -> Any:
            seen[name].add((threading.current_thread().name, _core.get_num_threads()))
            time.sleep(0.01)
            return inner(*arguments)

        return call

    for name in seen:
        setattr(captioner.model, name, watched(name))
    assert len(captioner.caption(pictures(6), beam=1, max_length=3)) == 6
    for calls in seen.values():
        if _core.default_device() == "cpu":
            assert {name.rsplit("_", 1)[0] for name, _ in calls} == {"attnkit-decoding"}
            assert len(calls) == 3 and {threads for _, threads in calls} == {1}
        else:  # which has units enough for one batch alone: whoever asks gives it one behind the other
            assert calls == {(threading.current_thread().name, 3)}


def test_no_more_pictures_are_taken_than_a_window_holds(captioner: Captioner) -> None:
    taken = []

    def reading() -> Iterator[Any]:
        for picture in pictures(20):
            taken.append(picture)
            yield captioner.read(picture)

    stream = captioner.caption_stream(reading(), beam=1, max_length=2, batch_images=6)
    for number in range(1, 21):
        next(stream)
        assert len(taken) == min(20, -(-number // 6) * 6)


def test_nobody_captions_after_the_iterator_is_closed(captioner: Captioner) -> None:
    _core.set_num_threads(2)
    step, steps, closing = captioner.model.step, [], threading.Event()

    def slow(state: Any, ids: Any, attention: bool = False) -> Any:
        if len(ids) == 1:  # the second batch, of one image
            steps.append(ids)
            closing.wait(10)
        return step(state, ids, attention)

    captioner.model.step = slow  # type: ignore[method-assign]
    squares = map(captioner.read, pictures(3))
    stream = captioner.caption_stream(squares, beam=1, min_length=14, max_length=14)
    next(stream)
    timer = threading.Timer(0.3, closing.set)
    timer.start()
    stream.close()  # type: ignore[attr-defined]
    timer.join()
    assert len(steps) <= 1
    assert not busy()


def test_an_interrupt_ends_a_translation(model: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in lines(500)) * 400)
    command = [sys.executable, "-m", "attnkit.cli.main", "translate", model, "-i", str(tmp_path / "text")]
    command += ["--window", "500", "--threads", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        written, complaint = process.communicate(timeout=30)
    assert process.returncode == 130 and complaint.decode().splitlines() == ["attnkit: interrupted"]
    assert written.count(b"\n") < 100_000


def test_memory_stays_flat_over_a_long_stream(model: str, tmp_path: Path, no_sanitizer: None) -> None:
    script = tmp_path / "stream.py"
    script.write_text(
        "import itertools, sys\n"
        "import attnkit\n"
        "translator = attnkit.load(sys.argv[1], precision='int8', threads=2)\n"
        "words = 'the cat dog sees a house'.split()\n"
        "lines = (' '.join(words[: 1 + i % 6]) for i in itertools.count())\n"
        "resident = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096\n"
        "sizes = []\n"
        "for i, _ in enumerate(translator.translate_stream(lines, beam=2, max_length=5), 1):\n"
        "    if i in (4096, 12288):\n"
        "        sizes.append(resident())\n"
        "    if i == 12288:\n"
        "        break\n"
        "print(sizes[1] - sizes[0])\n"
    )
    done = subprocess.run([sys.executable, script, model], capture_output=True, timeout=120, check=True)
    assert int(done.stdout) < 4 << 20, f"{int(done.stdout):,} bytes more after 8,192 lines"
