"""Who gets how many threads, and which instruction set, where processes share hosts that are not alike."""

from __future__ import annotations

import pytest

from attnkit.distributed.hosts import Place, share

AVX2 = ("portable", "sse4", "avx2")
AVX512 = (*AVX2, "avx512", "avx512_bf16")


def place(machine: str = "a", cpus: range = range(16), of: int = 16, isas: tuple[str, ...] = AVX512) -> Place:
    return Place(machine, machine, frozenset(cpus), of, len(cpus), isas)


@pytest.mark.parametrize(
    ("places", "threads"),
    [
        ([place(), place("b")], [16, 16]),  # a host each
        ([place()] * 4, [4, 4, 4, 4]),  # one host, and nobody bound
        ([place(cpus=range(8)), place(cpus=range(8, 16))], [8, 8]),  # bound to a socket each
        ([place()] * 3 + [place("b")], [5, 5, 5, 16]),
        ([place(of=2, cpus=range(2))] * 4, [1, 1, 1, 1]),  # more processes than cores
    ],
)
def test_processes_of_a_host_share_its_cores(places: list[Place], threads: list[int]) -> None:
    assert [share(places, rank).threads for rank in range(len(places))] == threads


def test_what_the_environment_says_of_threads_holds() -> None:
    assert share([place()] * 4, 1, threads_are_set=True).threads == 16


def test_all_use_what_all_have() -> None:
    places = [place(), place("b", isas=AVX2)]
    for rank in range(2):
        assert share(places, rank).isa == "avx2"
    assert share(places, 0).description == (
        "2 processes on 2 host(s), 16 thread(s) each; of avx2 and avx512_bf16 all use avx2"
    )
    arm = [place(isas=("portable", "neon")), place("b")]
    assert [share(arm, rank).isa for rank in range(2)] == ["portable", "portable"]


def test_processes_that_are_bound_to_few_cores_are_told() -> None:
    """Open MPI binds each of one or two processes to a core."""
    bound = [place(cpus=range(1)), place(cpus=range(1, 2))]
    said = "2 processes on 1 host(s), 1 thread(s) each; they are bound to 2 of this host's 16 CPUs"
    assert share(bound, 0).description.startswith(said)
    assert "bound" not in share([place()] * 2, 0).description
