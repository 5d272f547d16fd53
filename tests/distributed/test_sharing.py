"""Work that processes share out: results in order for all, and errors that leave nobody waiting."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence

import pytest
from processes import Threads

from attnkit.distributed import Alone, ForAll, group, shared
from attnkit.distributed.group import ElsewhereError, together
from attnkit.training.interruption import StopRequested

SIZES = pytest.mark.parametrize("size", [1, 2, 3, 4])


def test_one_process_is_a_group() -> None:
    assert isinstance(group(), Alone) and (group().rank, group().size) == (0, 1)
    assert shared(Alone(), "abc", lambda own: [each * 2 for each in own]) == ["aa", "bb", "cc"]
    with pytest.raises(ZeroDivisionError):
        together(Alone(), lambda: 1 // 0)


@SIZES
@pytest.mark.parametrize("count", [0, 1, 3, 4, 11])
def test_all_have_all_results_in_the_order_of_the_items(size: int, count: int) -> None:
    threads, done = Threads(size), list[int]()

    def squares(own: Sequence[int]) -> list[int]:
        done.extend(own)
        return [each * each for each in own]

    expected = [number * number for number in range(count)]
    assert threads.run(lambda: shared(threads, range(count), squares)) == [expected] * size
    assert sorted(done) == list(range(count))  # each item once


def raising(threads: Threads, errors: dict[int, BaseException]) -> Callable[[], int]:
    def function() -> int:
        if threads.rank in errors:
            raise errors[threads.rank]
        return threads.rank

    return function


def test_an_error_is_its_own_processs_and_ends_the_others() -> None:
    threads = Threads(3)
    found = threads.run(lambda: together(threads, raising(threads, {1: OSError("no room")})))
    assert [type(each) for each in found] == [ElsewhereError, OSError, ElsewhereError]
    assert str(found[0]) == "[distributed] process 1 cannot go on: OSError" and found[0].rank == 1


def test_of_several_errors_the_first_is_told() -> None:
    threads = Threads(4)
    errors = {1: OSError(), 3: ValueError()}
    found = threads.run(lambda: together(threads, raising(threads, errors)))
    assert [type(each) for each in found] == [ElsewhereError, OSError, ElsewhereError, ElsewhereError]
    assert {each.rank for each in found if isinstance(each, ElsewhereError)} == {1} and found[1].known_to_all


@pytest.mark.parametrize("asked", [[0], [2], [0, 1, 2]])
def test_a_stop_is_one_for_all(asked: list[int]) -> None:
    threads = Threads(3)
    errors: dict[int, BaseException] = {rank: StopRequested(signal.SIGINT) for rank in asked}
    found = threads.run(lambda: together(threads, raising(threads, errors)))
    assert [(type(each), each.signal_number) for each in found] == [(StopRequested, signal.SIGINT)] * 3
    assert issubclass(StopRequested, ForAll)


def test_a_stop_is_less_than_an_error() -> None:
    threads = Threads(3)
    found = threads.run(lambda: together(threads, raising(threads, {0: StopRequested(signal.SIGINT), 1: OSError()})))
    assert [type(each) for each in found] == [ElsewhereError, OSError, ElsewhereError]


def test_a_failure_goes_through_what_is_done_together_within(size: int = 3) -> None:
    """The one that has failed may say it in other words; the others do not speak for it."""
    threads = Threads(size)

    def inner() -> None:
        if threads.rank == 1:
            raise ValueError("inner")

    def outer() -> None:
        try:
            together(threads, inner)
        except ValueError:
            raise KeyError("in other words") from None

    first, second, third = threads.run(lambda: together(threads, outer))
    assert isinstance(second, KeyError)
    assert isinstance(first, ElsewhereError) and isinstance(third, ElsewhereError) and first.rank == third.rank == 1
