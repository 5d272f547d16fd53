"""Faults that are known and not mended yet. A test that finds one is expected to fail, strictly: it complains when the
fault is gone, and the entry goes with it. A fuzzer counts a finding that reads as an entry says, and goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import children
import pytest


class Named(Protocol):
    @property
    def name(self) -> str: ...


class Known(NamedTuple):
    """reason: what is wrong. finding: a pattern of what a fuzzer says of it, where it may meet it."""

    reason: str
    finding: str = r"(?!)"


_TOKENIZER_FILES = Known("tokenizer files may be devices or pipes")
_BOUNDS = Known("one packed line, file or picture has no bound")
_TERMINAL = Known("names and labels reach the terminal as they are")
_LOADING = Known(
    "loading in threads: a limit of nn.init is shared, and msgspec crashes where they meet a type for the first time",
    r"^threads_load_and_use ",
)
_LISTS = Known("a list of images may name any file")

# By the names of the cases that show them: a row of hostile.CASES, a folder of tests/data/faults, a check of soak.
KNOWN = {
    "translate-languages/vocab.txt is /dev/zero": _TOKENIZER_FILES,
    "translate-languages/vocab.txt is a pipe": _TOKENIZER_FILES,
    "translate/tokenizer.spm is /dev/zero": _TOKENIZER_FILES,
    "translate/tokenizer.spm is a pipe": _TOKENIZER_FILES,
    "marian/vocab.json is /dev/zero": _TOKENIZER_FILES,
    "marian/vocab.json is a pipe": _TOKENIZER_FILES,
    "a list of images names ../../secret.png": _LISTS,
    "a list of images names BOX/secret.png": _LISTS,
    "escapes in the name of a picture to classify": _TERMINAL,
    "escapes in the name of a picture to caption": _TERMINAL,
    "escapes in a label of training data": _TERMINAL,
    "a shard is named 'AAAAAAAAAAAAAAAAAAAA'": Known(
        "messages quote all of what is long", r"^a message of \d+ characters"
    ),
    "a line of a gigabyte": _BOUNDS,
    "a line of a gigabyte of words": _BOUNDS,
    "a training line of a gigabyte": _BOUNDS,
    "IDX of two gigabytes": _BOUNDS,
    "a transparent picture of 134 million pixels": _BOUNDS,
    "cut": Known("weights that change under a loaded model end the process"),
    "overwritten": Known("weights that change under a loaded model end the process"),
    "ops/permute_by_a_list": Known("axes that are no numbers are a RuntimeError", "Unable to cast Python instance"),
    "ops/ragged_pick_of_huge_offsets": Known(
        "ragged_pick follows huge offsets for minutes", r"hangs: ops.py:ragged_pick"
    ),
    "threads_load_and_use": _LOADING,
}


def known(finding: str) -> str | None:
    """The reason, where a finding is one of the known faults."""
    return next((each.reason for each in KNOWN.values() if re.search(each.finding, finding)), None)


def patience(name: str) -> float:
    """How long a case may take: a known fault is not waited for."""
    return 3.0 if name in KNOWN else children.SECONDS


def mark(name: str, *values: object) -> Any:
    """A parameter of a test; expected to fail, where its name is that of a known fault."""
    marks = [pytest.mark.xfail(reason=KNOWN[name].reason, strict=True)] if name in KNOWN else []
    return pytest.param(*(values or (name,)), id=name, marks=marks)


def cases(table: Iterable[Named]) -> list[Any]:
    return [mark(case.name, case) for case in table]
