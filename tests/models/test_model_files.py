"""Model directories: what is written comes back, and nothing broken or hostile gets in."""

from __future__ import annotations

import json
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit.models import (
    TransformerConfig,
    build_model,
    load_model,
    load_weights,
    read_config,
    save_model,
    save_weights,
)
from attnkit.weights import map_weights

CONFIG = TransformerConfig(d_model=16, ffn=24, heads=2, encoder_layers=1, decoder_layers=1, tie_embeddings="decoder")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    save_model(build_model(CONFIG, 11, 13), path, {"task": "translation", "note": "città"})
    return path


def edit_config(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = path / "config.json"
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


# --- what is written comes back


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"positions": "learned", "tie_embeddings": "none", "norm": "pre"},
        {"norm_kind": "rms", "gated": True, "embedding_norm": True, "positions": "learned", "position_offset": 2},
        {"decoder": "ssru"},
    ],
    ids=str,
)
def test_a_model_comes_back_to_the_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    attnkit.manual_seed(3)
    config = TransformerConfig(**{**{name: getattr(CONFIG, name) for name in CONFIG.__struct_fields__}, **options})
    model = build_model(config, 11, 13)
    save_model(model, tmp_path / "deep" / "model")
    loaded = load_model(tmp_path / "deep" / "model")
    assert loaded.config == config and not loaded.training
    before, after = model.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    for name, array in before.items():
        np.testing.assert_array_equal(after[name], array)
        assert after[name].dtype == np.float32
    assert loaded.source_embedding.weight.shape == (11, 16) and loaded.vocabulary_size == 13


def test_a_key_that_came_later_is_written_only_where_it_is_used(tmp_path: Path, directory: Path) -> None:
    """Version 0.1.0 knew none of them, and reads what does not need them."""
    model = json.loads((directory / "config.json").read_text())["model"]
    assert not model.keys() & TransformerConfig.LATER and "positions" in model
    fields = {name: getattr(CONFIG, name) for name in CONFIG.__struct_fields__}
    save_model(build_model(TransformerConfig(**{**fields, "decoder": "ssru"}), 11, 13), tmp_path / "ssru")
    assert json.loads((tmp_path / "ssru" / "config.json").read_text())["model"] == model | {"decoder": "ssru"}


def test_the_config_keeps_what_others_put_there(directory: Path) -> None:
    config = read_config(directory)
    assert config["task"] == "translation" and config["note"] == "città"
    assert config["model"]["type"] == "transformer" and config["format"] == 1
    assert "città" in (directory / "config.json").read_text(encoding="utf-8")
    load_model(str(directory))


def test_saving_again_replaces_the_files_and_leaves_no_others(directory: Path) -> None:
    other = build_model(CONFIG, 11, 13)
    save_model(other, directory)
    np.testing.assert_array_equal(
        load_model(directory).state_dict()["decoder.layers.0.feed_forward.up.weight"],
        other.state_dict()["decoder.layers.0.feed_forward.up.weight"],
    )
    assert sorted(file.name for file in directory.iterdir()) == ["config.json", "model.safetensors"]


def test_loading_uses_no_random_numbers(directory: Path) -> None:
    before = attnkit.random_state()
    load_model(directory)
    assert attnkit.random_state() == before


def test_the_weights_can_be_read_by_the_library_of_the_format(directory: Path) -> None:
    from safetensors.numpy import load_file

    state = load_file(directory / "model.safetensors")
    assert state["source_embedding.weight"].shape == (11, 16)


# --- what is missing


def test_missing_files_are_named(tmp_path: Path, directory: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path / 'nothing'}: no such directory")):
        load_model(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=re.escape("not a model directory (it has no config.json)")):
        load_model(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="not a model directory"):
        load_model(directory / "config.json")
    (directory / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=re.escape("model.safetensors: no such file")):
        load_model(directory)


# --- broken and hostile weights

HUGE = 1 << 60
TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BAD_WEIGHTS = {
    "empty": b"",
    "no length": b"\x08\0\0",
    "random": bytes(range(256)) * 8,
    "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "header longer than the file": safetensors({"x": TENSOR}, bytes(8), length=HUGE),
    "header longer than any memory": struct.pack("<Q", (1 << 64) - 1) + b"{}",
    "no JSON": safetensors(b"not json", bytes(8)),
    "a list": safetensors([1, 2], bytes(8)),
    "deep JSON": safetensors(b"[" * 100_000, b""),
    "data cut off": safetensors({"x": TENSOR}, bytes(4)),
    "data too long": safetensors({"x": TENSOR}, bytes(64)),
    "offsets beyond the file": safetensors({"x": {**TENSOR, "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}}, bytes(8)),
    "shape beyond the data": safetensors({"x": {**TENSOR, "shape": [1 << 33, 1 << 33]}}, bytes(8)),
    "shape that overflows": safetensors({"x": {**TENSOR, "shape": [1 << 62, 4]}}, bytes(8)),
    "negative shape": safetensors({"x": {**TENSOR, "shape": [-2]}}, bytes(8)),
    "offsets backwards": safetensors({"x": {**TENSOR, "data_offsets": [8, 0]}}, bytes(8)),
    "overlapping tensors": safetensors({"x": TENSOR, "y": TENSOR}, bytes(8)),
    "unknown type": safetensors({"x": {**TENSOR, "dtype": "F7"}}, bytes(8)),
}


@pytest.mark.parametrize("content", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_a_broken_weights_file_is_refused(directory: Path, content: bytes) -> None:
    file = directory / "model.safetensors"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{file}: not a readable safetensors file")):
        load_model(directory)


def test_every_truncation_is_refused(directory: Path) -> None:
    file = directory / "model.safetensors"
    whole = file.read_bytes()
    for length in (7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="not a readable safetensors file"):
            load_model(directory)
    file.write_bytes(whole)
    load_model(directory)


def as_type(file: Path, name: str, dtype: str, size: int) -> None:
    """Replaces a tensor of the file by as many numbers of a type that NumPy lacks, or adds one of two numbers."""
    state = load_weights(file)
    array = state.pop(name, np.zeros(2, np.float32))
    save_weights(state, file)
    content = file.read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8:end]), content[end:] + bytes(size * array.size)
    header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [len(content) - end, len(data)]}
    file.write_bytes(safetensors(header, data))


@pytest.mark.parametrize(("dtype", "size"), [("F8_E4M3", 1), ("I32", 4), ("BOOL", 1)])
def test_what_is_no_weight_is_skipped(directory: Path, dtype: str, size: int) -> None:
    before = load_model(directory).state_dict()
    as_type(directory / "model.safetensors", "positions", dtype, size)
    after = load_model(directory).state_dict()
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("dtype", "size"), [("F8_E4M3", 1), ("I32", 4)])
def test_another_type_in_the_place_of_a_weight_is_refused(directory: Path, dtype: str, size: int) -> None:
    file = directory / "model.safetensors"
    as_type(file, EMBEDDING, dtype, size)
    message = f"{file}: does not fit config.json: expected {EMBEDDING} of type F32, F16, BF16, F64, got {dtype}"
    with pytest.raises(ValueError, match=re.escape(message)):
        load_model(directory)


def test_bfloat16_weights_are_read(directory: Path) -> None:
    file = directory / "model.safetensors"
    as_type(file, EMBEDDING, "BF16", 2)
    data = bytearray(file.read_bytes())
    data[-2:] = b"\xc0\x3f"  # 1.5
    file.write_bytes(data)
    embedding = load_model(directory).state_dict()[EMBEDDING]
    assert embedding[-1, -1] == 1.5 and not embedding.ravel()[:-1].any()


def test_half_precision_weights_become_float32(directory: Path) -> None:
    state = load_weights(directory / "model.safetensors")
    save_weights({name: array.astype(np.float16) for name, array in state.items()}, directory / "model.safetensors")
    loaded = load_model(directory).state_dict()
    for name, array in state.items():
        np.testing.assert_array_equal(loaded[name], array.astype(np.float16).astype(np.float32))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_the_memory_of_mapped_weights_can_be_given_back(tmp_path: Path) -> None:
    def megabytes() -> int:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"RssFile:\s+(\d+)", status)[1]) // 1024  # type: ignore[index]

    array = np.random.Generator(np.random.Philox(1)).random((64, 1 << 18), np.float32)
    save_weights({"weight": array}, tmp_path / "model.safetensors")
    before, weights = megabytes(), map_weights(tmp_path / "model.safetensors")
    assert megabytes() - before < 8
    np.testing.assert_array_equal(weights["weight"], array)
    assert megabytes() - before >= 56
    weights.drop_pages()
    assert megabytes() - before < 8
    np.testing.assert_array_equal(weights["weight"][::17], array[::17])  # and is read again when it is wanted


# --- weights and configuration that do not fit each other


def _with_state(change: Callable[[dict[str, np.ndarray]], Any]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        state = load_weights(path / "model.safetensors")
        change(state)
        save_weights(state, path / "model.safetensors")

    return apply


def _with_config(**changes: Any) -> Callable[[Path], None]:
    return lambda path: edit_config(path, lambda config: config.update(changes))


def _with_model(**changes: Any) -> Callable[[Path], None]:
    return lambda path: edit_config(path, lambda config: config["model"].update(changes))


NORM = "encoder.last_norm.weight"
EMBEDDING = "source_embedding.weight"
MISMATCHES: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (_with_state(lambda s: s.pop(EMBEDDING)), f"missing: ['{EMBEDDING}']; unexpected: none"),
    "unexpected": (_with_state(lambda s: s.update({NORM: np.ones(16, np.float32)})), f"unexpected: ['{NORM}']"),
    "wrong shape": (
        _with_state(lambda s: s.update({EMBEDDING: np.ascontiguousarray(s[EMBEDDING].T)})),
        f"expected {EMBEDDING} of shape [11, 16], got [16, 11]",
    ),
    "no weights": (_with_state(dict.clear), "config.json describes a larger model than model.safetensors holds"),
    "another width": (_with_model(d_model=8), "does not fit config.json"),
    "more layers": (_with_model(encoder_layers=2), "does not fit config.json"),
    "another vocabulary": (_with_config(source_vocab_size=10), f"expected {EMBEDDING} of shape [10, 16], got [11, 16]"),
    "untied": (_with_model(tie_embeddings="none"), "missing: ['generator.bias', 'generator.weight']"),
    "tied": (_with_model(tie_embeddings="all"), 'tie_embeddings = "all" needs one vocabulary'),
    "heads that do not divide": (_with_model(heads=3), "heads: expected a divisor of d_model = 16, got 3"),
    "no heads": (_with_model(heads=0), "Expected `int` >= 1 - at `$.model.heads`"),
    "a text for a number": (_with_model(d_model="16"), "Expected `int`, got `str` - at `$.model.d_model`"),
    "unknown key": (_with_model(rotary=True), "unknown field `rotary` - at `$.model`"),
    "unknown norm": (_with_model(norm="rms"), "Invalid enum value 'rms' - at `$.model.norm`"),
    "unknown model": (_with_model(type="seq2seq"), "Invalid value 'seq2seq' - at `$.model.type`"),
    "no model": (lambda p: edit_config(p, lambda c: c.pop("model")), "missing required field `model`"),
    "another format": (_with_config(format=2), "expected format 1, got 2; it needs another version of attnkit"),
    "no format": (lambda p: edit_config(p, lambda c: c.pop("format")), "expected format 1, got None"),
    "huge vocabulary": (_with_config(target_vocab_size=1 << 50), "describes a larger model than"),
    "negative vocabulary": (_with_config(source_vocab_size=-1), "Expected `int` >= 1 - at `$.source_vocab_size`"),
    "huge layers": (_with_model(ffn=1 << 40), "describes a larger model than"),
    "huge positions": (_with_model(positions="learned", max_length=1 << 50), "describes a larger model than"),
    "very many layers": (_with_model(encoder_layers=1000), "describes a larger model than"),
    "layers without end": (_with_model(encoder_layers=1 << 40), "Expected `int` <= 1000 - at `$.model.encoder_layers`"),
    "no JSON": (lambda p: (p / "config.json").write_bytes(b"{"), "not readable as JSON"),
    "no UTF-8": (lambda p: (p / "config.json").write_bytes(b'{"a": "\xff"}'), "not readable as JSON"),
    "deep JSON": (lambda p: (p / "config.json").write_bytes(b"[" * 200_000), "not readable as JSON"),
    "a list": (lambda p: (p / "config.json").write_bytes(b"[1]"), "expected a JSON object"),
}  # fmt: skip


@pytest.mark.parametrize(("break_it", "message"), MISMATCHES.values(), ids=MISMATCHES)
def test_a_model_that_does_not_fit_is_refused(directory: Path, break_it: Callable[[Path], None], message: str) -> None:
    break_it(directory)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load_model(directory)
    assert str(directory) in str(caught.value)
