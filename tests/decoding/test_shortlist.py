"""Vocabulary shortlists: what they count, what they leave to a sentence, and files."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_best_tokens import ProjectionModel
from untrained_model import ENGLISH, ITALIAN, VOCABULARY_SIZE, write_untrained_model

import attnkit
from attnkit.decoding import DecodingOptions, Packed, decode
from attnkit.decoding.shortlist import Shortlist
from attnkit.tasks.translate import shortlist_source as shortlists


def ids(*tokens: int) -> Any:
    return np.array(tokens, np.int32)


PAIRS = [(ids(1, 2, 5), ids(11, 12)), (ids(1, 3), ids(11, 13)), (ids(2, 5, 5), ids(12, 14, 14)), (ids(3), ids(13, 11))]


def test_the_best_by_the_coefficient_of_dice() -> None:
    shortlist = Shortlist.count(PAIRS, 7, 15, per_token=2, frequent=1)
    found = [shortlist.ids[a:b].tolist() for a, b in zip(shortlist.offsets[:-1], shortlist.offsets[1:], strict=True)]
    # 2 occurs twice, 12 twice, both times together: 1. 14 occurs once: 2/3.
    assert found[2] == [12, 14]
    # 1 with 11: 2·2/(2+3); with 13 and with 12: 2·1/(2+2), the tie to the lower id.
    assert found[1] == [11, 12]
    assert found[3] == [13, 11]
    assert found[0] == found[4] == found[6] == []
    assert shortlist.always.tolist() == [11]


def test_counting_in_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Shortlist.count(PAIRS, 7, 15)
    monkeypatch.setattr("attnkit.decoding.shortlist._CHUNK", 1)
    pieces = Shortlist.count(PAIRS, 7, 15)
    for name in ("offsets", "ids", "always"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(pieces, name))


def test_each_sentence_has_its_own_tokens() -> None:
    shortlist = Shortlist.count(PAIRS, 7, 15, per_token=1, frequent=1)
    restriction = shortlist.restrict(Packed.of([[2, 0], [3, 3]]), needed=ids(4), prefixes=(ids(9), ids(0, 0, 1)))
    assert restriction.tokens_of(0).tolist() == [4, 11, 12]
    assert restriction.tokens_of(1).tolist() == [4, 9, 11, 13]


SOURCES = [[3, 1], [8, 8, 1], [5, 1]]
OPTIONS: list[dict[str, Any]] = [
    {"beam": 4, "min_length": 4, "max_length": 9},
    {"beam": 1, "sample": True, "seed": 3, "max_length": 9},
    {"beam": 4, "repetition_penalty": 1.3, "max_length": 9},
    {"beam": 1, "repetition_penalty": 1.3, "max_length": 9},
]


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_list_of_everything_changes_nothing(options: dict[str, Any], dense: bool) -> None:
    everything = Shortlist(np.zeros(121, np.int32), ids(), np.arange(120, dtype=np.int32), 120)
    found = [
        decode(
            ProjectionModel(dense), Packed.of(SOURCES), DecodingOptions(**options), suppress=[2, 3], shortlist=shortlist
        )
        for shortlist in (None, everything)
    ]
    for [plain], [listed] in zip(*found, strict=True):
        assert plain.tokens.tolist() == listed.tokens.tolist()
        assert plain.score == pytest.approx(listed.score, rel=1e-5)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_sentence_writes_what_it_may_in_any_batch(options: dict[str, Any], dense: bool) -> None:
    generator = np.random.default_rng(0)
    offsets = np.arange(0, 121 * 12, 12, dtype=np.int32)
    shortlist = Shortlist(offsets, generator.integers(2, 120, offsets[-1]).astype(np.int32), ids(60, 61), 120)
    arguments: Any = {"suppress": [61], "prefixes": [[7], [], []], "shortlist": shortlist}
    together = decode(ProjectionModel(dense), Packed.of(SOURCES), DecodingOptions(**options), **arguments)
    for b, [hypothesis] in enumerate(together):
        own = SOURCES[b]
        allowed = {60, *([7] if b == 0 else []), *(t for s in own for t in shortlist.ids[offsets[s] : offsets[s + 1]])}
        assert set(hypothesis.tokens.tolist()) <= allowed
        if not options.get("sample"):
            arguments["prefixes"] = [[[7], [], []][b]]
            [[alone]] = decode(ProjectionModel(dense), Packed.of([own]), DecodingOptions(**options), **arguments)
            assert alone.tokens.tolist() == hypothesis.tokens.tolist()
            assert alone.score == pytest.approx(hypothesis.score, rel=1e-5)


def test_files(tmp_path: Path) -> None:
    shortlist = Shortlist.count(PAIRS, 7, 15)
    shortlist.save(tmp_path / "list")
    again = Shortlist.load(tmp_path / "list")
    assert again.target_size == 15
    np.testing.assert_array_equal(again.ids, shortlist.ids)
    with pytest.raises(FileNotFoundError, match="no such file; `attnkit shortlist` makes one"):
        Shortlist.load(tmp_path / "other")
    from attnkit.models import save_weights

    save_weights({"ids": np.zeros(3, np.int32)}, tmp_path / "other")
    with pytest.raises(ValueError, match="expected a shortlist, got ids"):
        Shortlist.load(tmp_path / "other")
    save_weights({"offsets": ids(0, 4), "ids": ids(1), "always": ids(), "target_size": ids(9)}, tmp_path / "other")
    with pytest.raises(ValueError, match=r"\[shortlist\] expected offsets up to 1"):
        Shortlist.load(tmp_path / "other")


def test_a_list_for_another_model_is_refused() -> None:
    for sizes, message in (
        ((121, 99), "120 target tokens, got one for 99"),
        ((5, 120), "source token 8, got one for 4"),
    ):
        other = Shortlist(np.zeros(sizes[0], np.int32), ids(), ids(), sizes[1])
        with pytest.raises(ValueError, match=message):
            decode(ProjectionModel(False), Packed.of(SOURCES), shortlist=other)


def run(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attnkit.cli.main", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)


def test_from_the_command_line(tmp_path: Path) -> None:
    model = tmp_path / "model"
    write_untrained_model(model)
    missing = run("translate", model, "--shortlist", "auto", text="the cat\n")
    assert missing.returncode == 1 and "expected shortlist.safetensors, or training.toml" in missing.stderr
    (tmp_path / "en").write_text("the cat\na dog\n")
    (tmp_path / "it").write_text("il gatto\nuna cane\n")
    done = run("shortlist", model, "--source", tmp_path / "en", "--target", tmp_path / "it", "--per-token", 1)
    assert done.returncode == 0 and done.stderr.strip().endswith("4 tokens for all")
    assert (model / shortlists.FILE).is_file()
    own = run("shortlist", model, "--source", tmp_path / "en", "-o", tmp_path / "own")
    assert own.returncode == 0, own.stderr
    for name in ("auto", str(tmp_path / "own")):
        translated = run("translate", model, "--shortlist", name, "--precision", "int8", text="the cat\n\na dog\n")
        assert translated.returncode == 0 and len(translated.stdout.splitlines()) == 3
    words = set(run("translate", model, "--shortlist", "auto", text="the cat\na dog\n").stdout.split())
    assert words and words <= {"il", "gatto", "una", "cane"}
    # The untrained model writes other words than these unless the list leaves it no choice.
    both = ("--source", tmp_path / "en", "--reference", tmp_path / "it", "--metric", "chrf", "--max-length", "2")
    free, listed = (run("evaluate", model, *both, *more) for more in ((), ("--shortlist", "auto")))
    assert free.returncode == listed.returncode == 0
    assert float(listed.stdout.split()[1]) > float(free.stdout.split()[1])
    (tmp_path / "none").write_text("\n\n")
    empty = run("shortlist", model, "--source", tmp_path / "none")
    assert empty.returncode == 1 and "expected sentences and their translations, got none in" in empty.stderr
    config = (model / "config.json").read_text()
    (model / "config.json").write_text(config.replace('"task": "translate"', '"task": "classify"'))
    other = run("shortlist", model, "--source", tmp_path / "en")
    assert other.returncode == 1 and "which attnkit classify runs" in other.stderr
    (model / "config.json").write_text(config)
    uneven = run("shortlist", model, "--source", tmp_path / "en", "--target", model / "config.json")
    assert uneven.returncode == 2 and "expected as many lines in both files" in uneven.stderr


def test_from_the_training_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_untrained_model(tmp_path)
    (tmp_path / "en").write_text("".join(f"{word}\n" for word in ENGLISH))
    (tmp_path / "it").write_text("".join(f"{word}\n" for word in ITALIAN))
    (tmp_path / "training.toml").write_text(
        f'task = "translate"\n[data]\ntrain = ["{tmp_path}/en", "{tmp_path}/it"]\n'
        '[model]\ntype = "transformer"\n[training]\nmax_steps = 1\npatience = 0\nfinal = "last"\n'
    )
    translator = attnkit.load(tmp_path)
    shortlist = shortlists.find("auto", translator, tmp_path)
    assert (tmp_path / shortlists.FILE).is_file() and shortlist.target_size == VOCABULARY_SIZE
    (tmp_path / shortlists.FILE).unlink()
    notes: list[str] = []

    def full(self: Shortlist, path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Shortlist, "save", full)
    again = shortlists.find("auto", translator, tmp_path, notes.append)
    np.testing.assert_array_equal(again.ids, shortlist.ids)
    assert len(notes) == 1 and notes[0].endswith(f"{tmp_path / shortlists.FILE}: Read-only file system")
    cat = translator.source_tokenizer.encode("cat")[0]
    begin, end = shortlist.offsets[cat : cat + 2]
    assert shortlist.ids[begin:end].tolist() == translator.target_tokenizer.encode("gatto")
