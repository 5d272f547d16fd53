"""Kinds of tokenizers are an open list: a class and a line of the registry make one that trains, saves and loads."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

import attnkit
from attnkit.text import Tokenizer, TokenizerConfig, TokenizerPair
from attnkit.text.tokenizers import registry
from attnkit.text.tokenizers.base import SavedTokenizer
from attnkit.text.tokenizers.vocabulary import SPECIAL_TOKENS
from attnkit.training import ConfigError, read_config, train

FIRST = len(SPECIAL_TOKENS)


class ByteTokenizer(Tokenizer):
    """Every byte of the UTF-8 is a token. Its file says nothing but what it is."""

    @property
    def vocab_size(self) -> int:
        return FIRST + 256

    def encode(self, text: str) -> list[int]:
        return [FIRST + byte for byte in text.encode()]

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(number - FIRST for number in ids if number >= FIRST).decode(errors="replace")

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [SPECIAL_TOKENS[number] if number < FIRST else f"{number - FIRST:02x}" for number in ids]

    def unknown(self, text: str) -> list[str]:
        return []

    def save(self, directory: Path, name: str) -> None:
        (directory / f"{name}.bytes").write_text("bytes")

    @classmethod
    def file_names(cls, name: str) -> tuple[str, ...]:
        return (f"{name}.bytes",)

    @classmethod
    def load(cls, directory: Path, name: str, saved: SavedTokenizer) -> ByteTokenizer:
        assert (directory / f"{name}.bytes").read_text() == "bytes"
        return cls()

    @classmethod
    def train(
        cls, lines: Iterable[str], config: TokenizerConfig, seed: int = 1, reserved: Sequence[str] = ()
    ) -> ByteTokenizer:
        return cls()


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType("byte_tokenizer")
    module.ByteTokenizer = ByteTokenizer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "byte_tokenizer", module)
    monkeypatch.setitem(registry.KINDS, "bytes", "byte_tokenizer:ByteTokenizer")
    yield


SMALL = (
    "tokenizer.kind=bytes", "tokenizer.joint=true",
    "model.d_model=16", "model.ffn=16", "model.heads=2", "model.encoder_layers=1", "model.decoder_layers=1",
    "data.builtin_train=40", "data.builtin_held_out=4", "decoding.bleu=false", "training.max_steps=2",
    "training.max_epochs=0", "training.warmup_steps=1",
)  # fmt: skip


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("joint", "files"),
    [(True, ["tokenizer.bytes"]), (False, ["source.bytes", "target.bytes"])],
    ids=["joint", "separate"],
)
def test_a_new_kind_trains_saves_and_loads(joint: bool, files: list[str], tmp_path: Path) -> None:
    options = () if joint else ("tokenizer.joint=false", "model.tie_embeddings=none")
    train(read_config("en-it", [*SMALL, *options]), tmp_path / "run", progress="none")
    assert sorted(path.name for path in (tmp_path / "run").glob("*.bytes")) == files
    translator = attnkit.load(tmp_path / "run", task="translate")
    assert isinstance(translator.source_tokenizer, ByteTokenizer)
    assert translator.source_tokenizer.vocab_size == 260
    (result,) = translator.translate(["a ☃"], max_length=3)
    assert result.source_tokens == ["61", "20", "e2", "98", "83", "</s>"] and result.unknown == []


@pytest.mark.usefixtures("registered")
def test_a_run_that_left_only_the_files_of_a_new_kind_is_begun_anew(tmp_path: Path) -> None:
    config = read_config("en-it", SMALL)
    train(config, tmp_path / "run", progress="none")
    early = tmp_path / "early"
    early.mkdir()
    for name in ("training.toml", "tokenizer.bytes"):
        (early / name).write_bytes((tmp_path / "run" / name).read_bytes())
    train(config, early, progress="none")
    assert (early / "model.safetensors").is_file()


@pytest.mark.usefixtures("registered")
def test_options_that_a_kind_does_not_heed_are_refused() -> None:
    for override, message in (
        ("tokenizer.models=['a']", "tokenizer.models: expected none for the kind 'bytes'"),
        ("tokenizer.bpe_dropout=0.1", 'bpe_dropout: expected 0 for the kind "bytes", which has no merges'),
    ):
        with pytest.raises(ConfigError) as raised:
            read_config("en-it", [*SMALL, override])
        assert message in str(raised.value)
    with pytest.raises(ValueError, match="expected a vocabulary with the tag >>de<<"):
        TokenizerPair.train(["a"], ["b"], TokenizerConfig(kind="bytes"), languages=("de",))


def test_kinds_that_cannot_be_trained_are_no_choice() -> None:
    for kind in ("marian", "bytes"):
        with pytest.raises(ConfigError) as raised:
            read_config("en-it", [f"tokenizer.kind={kind}"])
        choices = "'bpe' or 'char' or 'unigram' or 'word' or 'wordpunct'"
        assert str(raised.value) == f"preset en-it: tokenizer.kind: invalid value '{kind}'; expected {choices}"
