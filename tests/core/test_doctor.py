"""What `attnkit doctor` says of a machine, for machines that are not this one."""

from __future__ import annotations

import dataclasses

import pytest

from attnkit.doctor import Diagnosis, diagnose


@pytest.fixture(scope="module")
def here() -> Diagnosis:
    return diagnose()


@pytest.mark.parametrize(
    ("uses", "vnni", "bf16", "int8", "pays"),
    [
        ("amx", True, "tiles of AMX", "tiles of AMX", "bf16"),
        ("avx512_bf16", True, "dot products of bf16", "dot products of VNNI", "bf16"),
        ("avx512", True, "as fp32", "dot products of VNNI", "fp32"),
        ("avx512", False, "as fp32", "avx512 is one whose CPU has no VNNI", "fp32"),
        ("avx2", True, "as fp32", "pairs of 16-bit numbers", "fp32"),  # by ATTNKIT_ISA on a machine that has more
        ("neon", False, "neon has no products of bf16", "number by number", "fp32"),
    ],
)
def test_which_paths_a_machine_takes(here: Diagnosis, uses: str, vnni: bool, bf16: str, int8: str, pays: str) -> None:
    """Twice the speed in bf16 is noise where there are no products of it."""
    machine = dataclasses.replace(here, active_isa=uses, vnni=vnni, fp32_gflops=100.0, bf16_gflops=200.0)
    assert bf16 in machine.paths["bf16 products"] and int8 in machine.paths["int8 products"]
    assert machine.precision_that_pays == pays


def test_bf16_that_is_no_faster_does_not_pay(here: Diagnosis) -> None:
    machine = dataclasses.replace(here, active_isa="avx512_bf16", fp32_gflops=100.0, bf16_gflops=105.0)
    assert machine.precision_that_pays == "fp32"


GPU = {"name": "A GPU", "capability": "9.0", "memory": 80 << 30, "driver": "13.0", "runtime": "12.4"}


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (None, [("CUDA", "not in this build")]),
        ((), [("CUDA", "in this build, but no GPU here")]),
        (
            (GPU, GPU | {"name": "Another"}),
            [
                ("cuda:0", "A GPU, compute capability 9.0, 80.0 GiB; driver 13.0, runtime 12.4"),
                ("cuda:1", "Another, compute capability 9.0, 80.0 GiB; driver 13.0, runtime 12.4"),
            ],
        ),
    ],
)
def test_which_gpus_there_are(
    here: Diagnosis, found: tuple[dict[str, object], ...] | None, lines: list[tuple[str, str]]
) -> None:
    machine = dataclasses.replace(here, cuda=found)
    assert [line for line in machine.lines() if line[0].lower().startswith("cuda")] == lines
    assert machine.as_dict()["cuda"] == found
