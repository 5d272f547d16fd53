"""All attention of a model in a terminal."""

from __future__ import annotations

import re

import numpy as np
import pytest

from attnkit.explain.maps.maps import AttentionMaps
from attnkit.explain.maps.terminal import render_kind, render_kinds, render_maps
from attnkit.explain.maps.weights import AttentionWeights


def even(kind: str, layers: int, heads: int, queries: list[str], keys: list[str], **more: object) -> AttentionWeights:
    weights = np.full((layers, heads, len(queries), len(keys)), 1 / len(keys), np.float32)
    return AttentionWeights(kind, weights, queries, keys, **more)  # type: ignore[arg-type]


def test_a_table_says_what_there_is() -> None:
    pieces = ["▁a", "nd", "▁b"]
    kinds = [even("encoder", 6, 8, pieces, pieces, query_axis="text (read)", key_axis="text (read)")]
    table = render_kinds(AttentionMaps(kinds, "and b", "und b")).splitlines()
    assert table[:2] == ["and b", "→ und b"]
    assert table[2].split() == ["kind", "layers", "heads", "queries", "keys", "from", "to"]
    assert table[3].split()[:5] == ["encoder", "6", "8", "3", "3"]


def test_pieces_are_joined_to_words_and_the_mean_is_named() -> None:
    pieces = ["▁a", "nd", "▁b"]
    shown = render_kind(even("encoder", 6, 8, pieces, pieces), colour=False).splitlines()
    assert shown[0] == "encoder, mean of 6 layers, mean of 8 heads"
    assert [line.split()[0] for line in shown[-2:]] == ["and", "b"]
    assert shown[-1].endswith("and 0.67")


def test_one_query_has_a_row_for_each_layer_and_head_while_they_fit() -> None:
    keys = [str(number) for number in range(64)]
    names = ["stage 1, block 1", "stage 2, block 1"]
    gates = np.zeros((2, 1, 1, 64), np.float32)
    gates[0, 0, 0, 7], gates[1, 0, 0, 9] = 0.9, 0.8
    kind = AttentionWeights("excitation", gates, ["image"], keys, scale="gate", layer_names=names)
    shown = render_kind(kind, colour=False).splitlines()
    assert shown[0] == "excitation of image, by layer and head"
    assert [line.split() for line in shown[1:]] == [
        ["stage", "1,", "block", "1", "███████▎", "7", "0.90"],
        ["stage", "2,", "block", "1", "██████▍", "9", "0.80"],
    ]
    many = render_kind(even("encoder", 12, 12, ["it"], ["it", "was"]), colour=False).splitlines()
    assert [line.split()[:2] for line in many[-12:]] == [["layer", str(layer + 1)] for layer in range(12)]
    few = render_kind(even("encoder", 2, 2, ["it"], ["it", "was"]), colour=False)
    assert "layer 2, head 1" in few


def test_regions_are_small_pictures_that_fit_and_say_their_largest_weight() -> None:
    weights = np.zeros((1, 1, 5, 7), np.float32)
    weights[..., 6], weights[..., 0] = 0.8, 0.2  # the last region of [2, 3], and what is no region
    keys = ["class", *(f"{row},{column}" for row in (1, 2) for column in (1, 2, 3))]
    words = ["a", "dog", "runs", "somewhere", "</s>"]
    kind = AttentionWeights("cross", weights, words, keys, key_grid=(2, 3))
    shown = render_kind(kind, colour=False, width=60).splitlines()
    assert max(map(len, shown)) <= 60
    assert shown[1].split() == ["a", "0.80", "dog", "0.80", "runs", "0.80"]
    assert shown[2].split() == ["·"] * 9
    assert shown[3].split() == ["·", "·", "██"] * 3
    assert shown[5].split() == ["somewhere", "0.80", "</s>", "0.80"]


@pytest.mark.parametrize("width", [40, 80])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    words = [f"longish{number}" for number in range(30)]
    kinds = [
        even("encoder", 2, 2, words, words, query_axis="a very long name of what is read", key_axis="another one"),
        even("rollout", 1, 1, ["x"], [str(number) for number in range(196)], key_grid=(14, 14)),
        even("cross", 1, 1, words, [str(number) for number in range(49)], key_grid=(7, 7)),
    ]
    maps = AttentionMaps(kinds, "a title " * 30, "a text " * 30)
    for shown in (render_maps(maps, False, width), render_kinds(maps, width)):
        assert max(map(len, shown.splitlines())) <= width


def test_what_a_token_holds_does_not_steer_the_terminal() -> None:
    evil = "\x1b[2J\x07"
    maps = AttentionMaps([even("encoder", 1, 1, [evil], [evil, "b"], key_grid=(1, 2))], evil, evil)
    shown = render_maps(maps, colour=True) + render_kinds(maps)
    assert not re.search(r"\x1b\[2J|\x07", shown)
