"""Text of others as people may see it: it steers no terminal, and a message quotes a part of what is long."""

from __future__ import annotations

from pathlib import Path

import pytest

import attnkit
from attnkit.data.lines import read_lines
from attnkit.printable import printable, quoted, shortened
from attnkit.text import TokenizerConfig, Vocabulary
from attnkit.training import ConfigError, read_config


def test_what_steers_a_terminal_is_replaced_and_writing_is_not() -> None:
    assert (
        printable("\x1b]0;title\x07\x9b2J\x08\x85\u202e\u2028\ud800\x7f")
        == "\ufffd]0;title\ufffd\ufffd2J" + "\ufffd" * 6
    )
    for text in ("नमस्ते", "👩\u200d👩", "a\u3000b", "e\u0301", "שלום", "plain"):
        assert printable(text) == text
    assert printable("a\tb\nc", keep="\n") == "a\ufffdb\nc"


def test_a_quotation_has_a_bound() -> None:
    assert quoted("name") == "'name'" and quoted(None) == "None" and quoted(["a"]) == "['a']"
    for value in ("a" * 100_000, b"a" * 100_000, ["a"] * 100_000, "\x1b" * 100_000):
        assert len(quoted(value)) <= 130
    assert quoted("a" * 100_000).endswith("(100,000 characters)")
    assert len(shortened("a" * 1000, 100)) == 100 and shortened("short", 100) == "short"


def test_messages_quote_a_part_of_what_is_long(tmp_path: Path) -> None:
    long = "x" * 100_000
    (tmp_path / "a.toml").write_text(f'task = "translate"\n[data]\ntrain = ["a", "b"]\n[tokenizer]\nkind = "{long}"\n')
    (tmp_path / "b.toml").write_text(f'task = "{long}"\n')
    rest = 'task = "translate"\n[data]\ntrain = ["a", "b"]\n[model]\ntype="transformer"\n'
    (tmp_path / "c.toml").write_text(f'{rest}[training]\nschedule = "{long}"\n')
    (tmp_path / "d.toml").write_text(f"{rest}[training]\n{long} = 1\n")
    for call in (
        lambda: TokenizerConfig(kind=long),
        lambda: Vocabulary([long, long]),
        lambda: attnkit.load(tmp_path, precision=long),
        lambda: read_config(tmp_path / "a.toml"),
        lambda: read_config(tmp_path / "b.toml"),
        lambda: read_config(tmp_path / "c.toml"),
        lambda: read_config(tmp_path / "d.toml"),
        lambda: read_config(tmp_path / "b.toml", [long]),
    ):
        with pytest.raises((ValueError, ConfigError, FileNotFoundError)) as raised:
            call()
        assert len(str(raised.value)) < 1000


def test_the_file_of_a_line_is_named_as_it_is(tmp_path: Path) -> None:
    name = tmp_path / "a\x1b[2J"
    name.write_bytes(b"\xff\n")
    with pytest.raises(ValueError, match="expected UTF-8") as raised:
        list(read_lines(name))
    assert str(name) in str(raised.value)  # who prints it makes it printable
