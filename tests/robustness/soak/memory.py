"""Memory over long runs: the resident size of the process, sampled; it may not grow once the work has settled."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import samples
from command_line import command

import attnkit
from attnkit import ops
from attnkit._tensor import Precision
from soak import using

Work = Callable[[int, int], list[str]]  # (how much, seed) → faults
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
MOST_GROWTH = 8.0  # MiB between the means of the second and the last quarter


def lines(count: int, seed: int) -> list[str]:
    """`translate` between two pipes, with a line of a hundred words now and then."""
    rng = Random(seed)
    words = ["the", "a", "cat", "dog", "house", "bird", "sees", "likes", "finds", "red"]
    line = command("translate", samples.MODELS / "translate-recurrent", "--beam", "1", "--max-length", "12")
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None

        def feed() -> None:
            assert process.stdin is not None
            for number in range(count):
                length = rng.randint(1, 9) if number % 1000 else 100
                process.stdin.write((" ".join(rng.choices(words, k=length)) + "\n").encode())
            process.stdin.close()

        threading.Thread(target=feed, daemon=True).start()
        sizes, answered = [], 0
        for _ in process.stdout:
            answered += 1
            if answered % max(1, count // 80) == 0:
                sizes.append(resident(process.pid))
    lost = [f"{count:,} lines in, {answered:,} out, status {process.wait()}"] if answered != count else []
    return lost + growth(f"{count:,} lines of a pipe", sizes)


def requests(count: int, seed: int) -> list[str]:
    """Models used again and again, now and then loaded anew, and errors in the middle of ops."""
    models = {name: using.load(name, precision) for name in using.NAMES for precision in PRECISIONS}
    rng, sizes = Random(seed), []
    for number in range(count):
        name = rng.choice(using.NAMES)
        if number % 20 == 0:
            models[name] = using.load(name)
        using.results(name, models[name], seed=number)
        _fail_in_an_op()
        if number % max(1, count // 80) == 0:
            sizes.append(resident())
    return growth(f"{count:,} requests", sizes)


def _fail_in_an_op() -> None:
    x = attnkit.tensor(np.ones((32, 32), np.float32), requires_grad=True)
    try:
        ops.linear(ops.softmax(ops.gelu(x)), np.ones((3, 5), np.float32))
    except ValueError:
        return
    raise AssertionError("a matrix of another width was accepted")


def steps(count: int, seed: int) -> list[str]:
    """A training with validations and checkpoints."""
    with tempfile.TemporaryDirectory() as name:
        samples.copy_data(Path(name))
        (Path(name) / "t.toml").write_text(samples.training("translate-recurrent"))
        every = max(10, count // 40)
        settings = [f"max_steps={count}", f"save_every={every}", f"validate_every={every}"]
        options = [part for setting in [*settings, "patience=1000000"] for part in ("--set", f"training.{setting}")]
        line = command("train", "t.toml", "--out", "run", *options)
        sizes = []
        with subprocess.Popen(line, cwd=name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None:
                sizes.append(resident(process.pid))
                time.sleep(0.1)
    failed = [f"a training of {count:,} steps ends with status {process.returncode}"] if process.returncode else []
    return failed + growth(f"{count:,} steps", sizes[10:])  # after the imports


def resident(process: int | str = "self") -> float:
    """MiB; 0 for a process that is gone."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * 4096 / 2**20


def growth(what: str, sizes: list[float]) -> list[str]:
    """Prints how the size went; a fault, where it grows."""
    sizes = [size for size in sizes if size]
    quarter = len(sizes) // 4
    if not quarter:
        return [f"{what}: too short to measure"]
    grown = float(np.mean(sizes[-quarter:]) - np.mean(sizes[quarter : 2 * quarter]))
    text = (
        f"{what}: {sizes[0]:.0f} MiB at first, {sizes[-1]:.0f} at last, {max(sizes):.0f} at most, {grown:+.1f} settled"
    )
    print(text, flush=True)
    return [f"memory grows: {text}"] if grown > MOST_GROWTH else []
