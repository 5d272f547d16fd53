"""What the older files of tokenizers have in common, from before there was a tokenizer.json."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from attnkit.interop.hf_config import decode, read_table
from attnkit.printable import quoted

SETTINGS_FILE, ADDED_FILE = "tokenizer_config.json", "added_tokens.json"
T = TypeVar("T")


class OldSettings(msgspec.Struct, frozen=True):
    """Of tokenizer_config.json."""

    tokenizer_class: str | None = None


def read_settings(folder: Path, kind: type[T], families: Collection[str]) -> T:
    """What tokenizer_config.json says, if there is one; kind: an `OldSettings`. families: whose classes cut texts as is
    done here. Raises ValueError, naming the file, for others."""
    file = folder / SETTINGS_FILE
    settings = decode(read_table(file) if file.exists() else {}, kind, file)
    name = getattr(settings, "tokenizer_class", None)
    classes = {f"{family}Tokenizer{end}" for family in families for end in ("", "Fast")}
    if name is not None and name not in classes:
        known = ", ".join(f"{family}Tokenizer" for family in families)
        raise ValueError(
            f"[convert] {file}: expected a tokenizer.json beside it, or a tokenizer_class of {known}, got "
            f"{quoted(name)}"
        )
    return settings


def check_tokens(entries: Mapping[str, int], special: Mapping[str, str], file: Path) -> None:
    """Raises ValueError for a special token that the vocabulary in `file` lacks."""
    if (bad := next((token for token in special.values() if token not in entries), None)) is not None:
        raise ValueError(f"[convert] {file}: expected the token {quoted(bad)}, got none")


def frame(lib: Any, tokenizer: Any, first: str, last: str) -> None:
    """From now on the tokenizer has these tokens around a text."""
    numbers = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
    tokenizer.post_processor = lib.processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=numbers)


def add_special(lib: Any, tokenizer: Any, special: Mapping[str, str], spaced_mask: bool) -> None:
    """Special tokens are found in texts; spaced_mask: that of a mask takes the space before it."""
    for role, token in special.items():
        lstrip = spaced_mask and role == "mask_token"
        tokenizer.add_special_tokens([lib.AddedToken(token, lstrip=lstrip, normalized=False, special=True)])


def read_added(folder: Path) -> dict[str, int]:
    """The tokens of added_tokens.json with their numbers, which follow those of the vocabulary; none without the file.
    Raises ValueError, naming it."""
    file = folder / ADDED_FILE
    table = read_table(file) if file.exists() else {}
    if (bad := next((number for number in table.values() if type(number) is not int), None)) is not None:
        raise ValueError(f"[convert] {file}: expected a number for each token, got {quoted(bad)}")
    return dict(sorted(table.items(), key=lambda each: int(each[1])))


def add_more(tokenizer: Any, added: Mapping[str, int], folder: Path) -> None:
    """Adds what `read_added` gave. Raises ValueError where a token gets another number there."""
    for token, number in added.items():
        if tokenizer.token_to_id(token) is None:
            tokenizer.add_tokens([token])
        if (got := tokenizer.token_to_id(token)) != number:
            raise ValueError(f"[convert] {folder / ADDED_FILE}: expected {quoted(token)} to be {got}, got {number}")
