"""A short part of `./dev fuzz`, always the same."""

from __future__ import annotations

import signal
from pathlib import Path

import children
import pytest
from fuzz import job, runner

CASES = {kind: 8 for kind in runner.FILES} | {"ops": 600}


@pytest.mark.parametrize("kind", runner.KINDS)
def test_hostile_inputs_end_in_a_result_or_in_one_line(kind: str) -> None:
    tally = runner.run(kind, seed=0, cases=CASES[kind])
    assert tally.cases >= CASES[kind]
    assert not tally.found, [str(each) for each in tally.found.values()]


@pytest.mark.parametrize("kind", runner.FILES)
def test_a_seed_makes_the_same_case_again_and_so_does_its_record(kind: str, tmp_path: Path) -> None:
    boxes = [tmp_path / name for name in ("one", "two", "restored")]
    for box in boxes:
        box.mkdir()
    made, again = (runner.make(kind, 3, box) for box in boxes[:2])
    made.keep(boxes[0], tmp_path / "kept")
    assert made == again == job.restore(tmp_path / "kept", boxes[2])
    contents = [
        {path.relative_to(box): path.read_bytes() for path in box.rglob("*") if path.is_file()} for box in boxes
    ]
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("==7==WARNING: AddressSanitizer failed to allocate 0x12000000120 bytes", False),  # a MemoryError comes of it
        ("==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000010", True),
        ("cpp/ops/shape.cc:96:3: runtime error: signed integer overflow", True),
    ],
)
def test_a_sanitizer_that_refuses_memory_reports_no_fault(line: str, counts: bool) -> None:
    found = children.fault(children.Outcome(0, 1.0, 0, "", f"before\n{line}\nafter\n"))
    assert found == (f"a sanitizer's report: {line}" if counts else None)


@pytest.mark.parametrize(("parameters", "counts"), [("9,999,999", True), ("256,376,012", False)])
def test_only_the_training_of_a_large_model_may_take_long(parameters: str, counts: bool) -> None:
    stderr = f"train data: 16 lines\nmodel: {parameters} parameters; fp32, 2 thread(s)\n"
    found = children.fault(children.Outcome(-signal.SIGALRM, 20.0, 0, "", stderr))
    assert (found is not None) == counts
