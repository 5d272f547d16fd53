"""What a model's name means: a pair of languages of Mozilla's registry, or a repository of the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_LANGUAGE = r"[a-z]{2,3}(?:[-_][a-z]{4})?"  # a script may stand behind it: zh_hant
_PAIR = re.compile(rf"({_LANGUAGE})-({_LANGUAGE})", re.ASCII | re.IGNORECASE)
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9._-]{0,40}", re.ASCII | re.IGNORECASE)
_PART = r"[A-Za-z0-9_](?:[\w.-]{0,94}[\w])?"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}", re.ASCII)
_OWNERS = {
    "FacebookAI": ("roberta-base", "roberta-large", "xlm-roberta-base", "xlm-roberta-large"),
    "almanach": ("camembert-base",),
    "distilbert": (
        "distilbert-base-cased", "distilbert-base-multilingual-cased", "distilbert-base-uncased",
        "distilbert-base-uncased-finetuned-sst-2-english", "distilgpt2", "distilroberta-base",
    ),
    "google-bert": (
        "bert-base-cased", "bert-base-chinese", "bert-base-german-cased", "bert-base-multilingual-cased",
        "bert-base-multilingual-uncased", "bert-base-uncased", "bert-large-cased", "bert-large-uncased",
        "bert-large-uncased-whole-word-masking",
    ),
    "google-t5": ("t5-base", "t5-large", "t5-small"),
    "openai-community": ("gpt2", "gpt2-large", "gpt2-medium", "gpt2-xl", "roberta-base-openai-detector"),
    "sentence-transformers": (
        "all-MiniLM-L12-v2", "all-MiniLM-L6-v2", "all-distilroberta-v1", "all-mpnet-base-v2",
        "multi-qa-MiniLM-L6-cos-v1", "multi-qa-mpnet-base-dot-v1", "paraphrase-MiniLM-L6-v2",
        "paraphrase-multilingual-MiniLM-L12-v2", "paraphrase-multilingual-mpnet-base-v2",
    ),
}  # fmt: skip
_OWNER = {name: owner for owner, names in _OWNERS.items() for name in names}
"""Whose the models are that everybody calls by their name alone, as the Hub did before names had owners."""

_REVISION = re.compile(r"[\w][\w./-]{0,200}", re.ASCII)


class Pair(NamedTuple):
    """A translator of Mozilla's registry. architecture: which of several; None leaves it to the registry."""

    source: str
    target: str
    architecture: str | None = None

    @property
    def languages(self) -> str:
        """As the registry has them: `en-zh_hant`."""
        return f"{self.source}-{self.target}"

    def __str__(self) -> str:
        return self.languages + (f"@{self.architecture}" if self.architecture else "")


class Repository(NamedTuple):
    """A model of the Hub. revision: a branch, a tag or a commit; None is the default branch."""

    path: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.path + (f"@{self.revision}" if self.revision else "")


Name = Pair | Repository


def parse(text: str | os.PathLike[str], revision: str | None = None) -> Name | None:
    """The name that `text` is; None where it can only be a path: what begins with a dot, a tilde or a slash, or has
    more than one slash before an `@`, or is no string.

    revision: what would else stand behind an `@`. Raises ValueError where both are given, or what stands there can be
    none.
    """
    if not isinstance(text, str):
        return None
    name, at, behind = text.partition("@")
    if revision is not None and at:
        raise ValueError(f"[hub] {text}: expected one revision, got {behind!r} and {revision!r}")
    chosen = revision if revision is not None else behind if at else None
    if pair := _PAIR.fullmatch(name):
        source, target = (language.lower().replace("-", "_") for language in pair.groups())
        return Pair(source, target, _checked(text, chosen, _ARCHITECTURE, "an architecture, such as tiny"))
    if name in _OWNER:
        name = f"{_OWNER[name]}/{name}"
    if _REPOSITORY.fullmatch(name) and ".." not in name and "--" not in name:
        return Repository(name, _checked(text, chosen, _REVISION, "a branch, a tag or a commit"))
    return None


def _checked(text: str, chosen: str | None, pattern: re.Pattern[str], what: str) -> str | None:
    if chosen is not None and (not pattern.fullmatch(chosen) or ".." in chosen):
        raise ValueError(f"[hub] {text}: expected {what} behind the @, got {chosen!r}")
    return chosen
