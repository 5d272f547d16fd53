"""Threads, forks, pools and processes around the same models: each must say what one thread says."""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import children
import numpy as np

import attnkit
from soak import using

PATIENCE = 60.0
Wanted = dict[str, list[str]]


def expected(folder: Path) -> Wanted:
    """What one thread of a process of its own says."""
    outcome = children.run(_say_all, folder=folder, seconds=PATIENCE)
    assert outcome.status == 0, outcome.stderr
    wanted: Wanted = json.loads(outcome.stdout)
    return wanted


def _say_all() -> int:
    print(json.dumps({name: using.results(name, using.load(name)) for name in using.NAMES}))
    return 0


def check(name: str, wanted: Wanted, seed: int, folder: Path) -> list[str]:
    """The faults that a check finds, in a process of its own: what one breaks in it must not show in another."""
    outcome = children.run(_check, name, wanted, seed, folder=folder, seconds=10 * PATIENCE)
    faults = [json.loads(line) for line in outcome.stdout.splitlines()]
    if outcome.status:
        faults.append(children.fault(outcome) or f"status {outcome.status}")
    return [f"{name} {seed}: {fault}" for fault in faults]


def _check(name: str, wanted: Wanted, seed: int) -> int:
    for fault in CHECKS[name](wanted, Random(f"{name} {seed}")):
        print(json.dumps(fault))
    return 0


def threads_load_and_use(wanted: Wanted, rng: Random) -> list[str]:
    """Eight threads load models of every kind and use them; layers that are made afterwards are initialised."""

    def work(seed: int) -> list[str]:
        names = Random(seed).choices(using.NAMES, k=12)
        return [
            f"{name} says something else"
            for name in names
            if using.results(name, using.load(name), seed) != wanted[name]
        ]

    with _switching_often():
        faults = _in_threads(work, [rng.randrange(10**6) for _ in range(8)])
    weight = attnkit.nn.Linear(300, 300).weight.numpy(writable=False)
    sound = bool(np.isfinite(weight).all()) and 0.01 < float(weight.std()) < 1.0
    return faults if sound else [*faults, f"a layer made afterwards is not initialised: deviation {weight.std()}"]


def threads_share_models(wanted: Wanted, rng: Random) -> list[str]:
    """Eight threads use the same models at once, each in an order of its own."""
    names = rng.sample(using.NAMES, 3)
    models = {name: using.load(name) for name in names}

    def work(seed: int) -> list[str]:
        return [
            f"{name} says something else" for name in names if using.results(name, models[name], seed) != wanted[name]
        ]

    return _in_threads(work, [rng.randrange(10**6) for _ in range(8)])


def forks(wanted: Wanted, rng: Random) -> list[str]:
    """A child and a grandchild use the parent's model, and so does the parent afterwards."""
    name = rng.choice(using.NAMES)
    model = using.load(name)
    using.results(name, model)
    found = {
        "a child": in_fork(lambda: repr(using.results(name, model))),
        "a grandchild": in_fork(lambda: in_fork(lambda: repr(using.results(name, model)))),
        "the parent": repr(using.results(name, model)),
    }
    return [f"{who} of {name}: {text[:100]}" for who, text in found.items() if text != repr(wanted[name])]


def forks_beside_threads(wanted: Wanted, rng: Random) -> list[str]:
    """Children are forked while three threads use the same model."""
    name = rng.choice(using.NAMES)
    model, over = using.load(name), threading.Event()

    def busy() -> None:
        while not over.is_set():
            using.results(name, model)

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    found = [in_fork(lambda: repr(using.results(name, model))) for _ in range(5)]
    over.set()
    for thread in threads:
        thread.join(PATIENCE)
    return [f"a child beside threads, {name}: {text[:100]}" for text in found if text != repr(wanted[name])]


def pools(wanted: Wanted, rng: Random) -> list[str]:
    """multiprocessing's pools of every kind; their workers load the model themselves."""
    name, faults = rng.choice(using.NAMES), []
    for method in ("spawn", "fork", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            found = pool.map_async(load_and_use, [name] * 4).get(2 * PATIENCE)
        faults += [f"{method} pool, {name}: says something else"] * any(each != wanted[name] for each in found)
    return faults


def load_and_use(name: str) -> list[str]:
    return using.results(name, using.load(name))


CHECKS: dict[str, Callable[[Wanted, Random], list[str]]] = {
    each.__name__: each for each in (threads_load_and_use, threads_share_models, forks, forks_beside_threads, pools)
}


def _in_threads(work: Callable[[int], list[str]], seeds: list[int]) -> list[str]:
    faults: list[str] = []

    def guarded(seed: int) -> None:
        try:
            faults.extend(work(seed))
        except Exception as error:
            faults.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=guarded, args=(seed,), daemon=True) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return faults + ["a thread hangs"] * any(thread.is_alive() for thread in threads)


@contextmanager
def _switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def in_fork(job: Callable[[], str]) -> str:
    """What `job` returns in a forked child; how the child ended, where it returned nothing."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, job().encode())
        except BaseException as error:
            os.write(writer, f"raises {error!r}".encode())
        os._exit(0)
    os.close(writer)
    said, end = b"", time.monotonic() + PATIENCE
    while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reader, 65536)
        if not part:
            break
        said += part
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reader)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said.decode() if status == 0 else f"ended by {signal.Signals(-status).name}"
