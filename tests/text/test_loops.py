"""Word loops are seen where they are, and nowhere else."""

from __future__ import annotations

import pytest

from attnkit.text.loops import ends_in_loop, has_loop


@pytest.mark.parametrize(
    ("text", "loop"),
    [
        ("a dog sees the the the the", True),
        ("the the the the .", True),
        ("the the the", False),
        ("a dog in the park in the park in the park in the park", True),
        ("in the park in the park in the park in the", False),
        ("the cat in the park in the park in the park in the park in", True),
        ("no no no no , he said", False),
        ("1 1 1 1 1 1 1 1 1", False),
        (". . . . . . . .", False),
        ("- - a - - a - - a - - a", True),
        ("", False),
        ("one", False),
        ("what a day " * 4, True),
    ],
)
def test_loops_at_the_end(text: str, loop: bool) -> None:
    assert ends_in_loop(text.split()) == loop


def test_loops_anywhere() -> None:
    assert has_loop(["no", "no", "no", "no", ",", "he", "said"])
    assert not has_loop(["no", "no", "no", ",", "he", "said"]) and not has_loop([])
