"""What the processes of `attnkit bench` do with a clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnkit.benchmark.kernels import Case


def seconds_of(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def throughput_and_latencies(write: Callable[[list[Any]], None], inputs: list[Any], alone: int = 16) -> dict[str, Any]:
    """Seconds for all inputs at once, and of each of the first `alone` by itself."""
    return {
        "seconds": seconds_of(lambda: write(inputs)),
        "latencies": [seconds_of(lambda one=one: write([one])) for one in inputs[:alone]],  # type: ignore[misc]
    }


def answer_bench(
    mode: str,
    write: Callable[[list[Any]], None],
    inputs: list[Any],
    load_seconds: float,
    alone: int = 16,
    counted: bool = False,
) -> None:
    """The side of a process that was started by `measure_decoding`: what its last argument, `mode`, asks for. "once" is
    a cold start, with the first input; "serve" is runs. write: the work on inputs. load_seconds: what loading took.
    counted: attnkit's own work, whose arithmetic can be counted."""
    if mode == "once":
        write(inputs[:1])
        print(json.dumps({"load_seconds": load_seconds}))
        return
    from attnkit.benchmark.roof import Counted
    from attnkit.benchmark.runner import answer_requests

    work = Counted(write)

    def answer(request: str) -> dict[str, Any]:
        if not counted:
            return throughput_and_latencies(write, inputs, alone)
        return {**throughput_and_latencies(work, inputs, alone), **work.answer()}

    answer_requests(answer, load_seconds=load_seconds)


def _nothing() -> None:
    pass


def repeated_seconds(
    call: Callable[[], Any],
    min_seconds: float,
    clock: Callable[[], float] = time.perf_counter,
    finish: Callable[[], None] = _nothing,
) -> float:
    """Seconds of a call, the mean of as many as take `min_seconds`. finish: waits for what the calls only asked for, of
    a device that works by itself."""
    finish()
    count, begin = 0, clock()
    while True:
        call()
        count += 1
        if clock() - begin >= min_seconds:
            finish()
            return (clock() - begin) / count


def serve_cases(
    make: Callable[[Case], Callable[[], Any]], min_seconds: float, finish: Callable[[], None] = _nothing
) -> None:
    """Answers each request, a `Case`, with the seconds of a call. What was made for a case is kept until the next.
    finish: as of `repeated_seconds`.

    The first calls, as long again, are not timed: meanwhile the other contestants had the caches, and the threads
    went to sleep; Linux may wake them on one core, and takes some milliseconds to spread them.
    """
    from attnkit.benchmark.kernels import Case
    from attnkit.benchmark.runner import answer_requests

    last: list[Any] = ["", None]

    def answer(line: str) -> dict[str, Any]:
        if line != last[0]:
            last[1] = None  # before the next one takes memory
            last[:] = line, make(Case.from_line(line))
        repeated_seconds(last[1], min_seconds, finish=finish)
        return {"seconds": repeated_seconds(last[1], min_seconds, finish=finish)}

    answer_requests(answer)
