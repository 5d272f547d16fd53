"""`attnkit convert` as its users run it: every checkpoint that is not whole ends in one line, and leaves nothing."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from marian_checkpoint import write_checkpoint

import attnkit
from attnkit.cli import main
from attnkit.cli.shared import errors
from attnkit.interop import convert_marian


def run(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attnkit.cli.main", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, encoding="utf-8", timeout=120, check=False)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("marian") / "hf"
    write_checkpoint(folder)
    return folder


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "hf"))


class Complaint:
    """Calling it gives the one line of a conversion that must fail, and leave nothing behind. The command runs in this
    process, since there are many such tests."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, source: Path, target: Path) -> str:
        before = set(target.parent.iterdir()) if target.parent.is_dir() else set()
        self.capsys.readouterr()
        status = errors.status_of(lambda: main.run(["convert", str(source), str(target)]))
        said = self.capsys.readouterr()
        assert status == 1 and not said.out, said
        assert said.err.startswith("attnkit: ") and said.err.count("\n") == 1 and "internal error" not in said.err, said
        assert (set(target.parent.iterdir()) if target.parent.is_dir() else set()) == before
        return said.err


@pytest.fixture
def complaint(capsys: pytest.CaptureFixture[str]) -> Complaint:
    return Complaint(capsys)


def test_convert_then_translate(checkpoint: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "en-it"
    done = run("convert", checkpoint, target)
    assert done.returncode == 0 and not done.stdout and "2 + 2 layers of width 16" in done.stderr
    names = {"config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json"}
    assert {file.name for file in target.iterdir()} == names
    with pytest.raises(ValueError, match=r"expected Unicode text, got the lone surrogate U\+D800 at position 1"):
        attnkit.load(target).translate(["a\ud800"])
    lines = run("translate", target, text="the dog\n\n>>ita<< a red house\n")
    assert lines.returncode == 0 and lines.stdout.count("\n") == 3 and lines.stdout.split("\n")[1] == ""
    records = {
        beam: run("translate", target, "--jsonl", *beam, text="the dog\n").stdout
        for beam in ((), ("--beam", "1"), ("--beam", "4", "--nbest", "2"))
    }
    assert json.loads(records[()])["text"] == lines.stdout.split("\n")[0]
    assert records[()] == records["--beam", "1"]
    assert len(json.loads(records["--beam", "4", "--nbest", "2"])["alternatives"]) == 1


def test_a_folder_with_content_is_left_alone(checkpoint: Path, tmp_path: Path, complaint: Complaint) -> None:
    (tmp_path / "taken").mkdir()
    convert_marian(checkpoint, tmp_path / "taken")  # an empty one is filled
    config = (tmp_path / "taken" / "config.json").read_bytes()
    assert "empty folder" in complaint(checkpoint, tmp_path / "taken")
    assert (tmp_path / "taken" / "config.json").read_bytes() == config


def test_usage(checkpoint: Path) -> None:
    assert run("convert", checkpoint).returncode == 2
    assert "model.safetensors" in run("convert", "--help").stdout
    assert "convert" in run("--help").stdout


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "source.spm", "target.spm", "vocab.json"])
def test_missing_files(copy: Path, tmp_path: Path, name: str, complaint: Complaint) -> None:
    (copy / name).unlink()
    assert name in complaint(copy, tmp_path / "out")


def test_no_checkpoint_at_all(tmp_path: Path, complaint: Complaint) -> None:
    assert "nowhere" in complaint(tmp_path / "nowhere", tmp_path / "out")
    assert "config.json" in complaint(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model.bin.index.json"])
def test_weights_of_pytorch_that_are_none(copy: Path, tmp_path: Path, name: str, complaint: Complaint) -> None:
    (copy / "model.safetensors").rename(copy / name)
    assert name in complaint(copy, tmp_path / "out")


def test_a_pickle_that_would_run_a_command(copy: Path, tmp_path: Path, complaint: Complaint) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    said = "expected a checkpoint of tensors alone, got a call of os.system"
    assert complaint(copy, tmp_path / "out") == f"attnkit: [pytorch] {copy}/pytorch_model.bin: {said}\n"


def test_weights_of_pytorch_are_read_where_there_are_no_others(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    assert errors.status_of(lambda: main.run(["convert", str(copy), str(tmp_path / "out")])) == 0
    said = capsys.readouterr().err
    assert (
        f"{copy}/pytorch_model.bin: a pickle, since there is no model.safetensors; only its tensors were read" in said
    )
    assert run("translate", tmp_path / "out", text="the dog\n").returncode == 0


def shard(folder: Path, weight_map: dict[str, Any]) -> None:
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"final_logits_bias": "missing.safetensors"}, "missing.safetensors"),
        ({"final_logits_bias": "../elsewhere.safetensors"}, "beside it"),
        ({"final_logits_bias": "/etc/passwd"}, "beside it"),
        ({"final_logits_bias": "..\\x"}, "beside it"),
        ({"final_logits_bias": ""}, "beside it"),
        ({"final_logits_bias": 7}, "weight_map"),
        ({"nothing": "part.safetensors"}, "nothing"),
        ({"final_logits_bias": "part.safetensors"}, "model.shared.weight"),
        ({}, "larger model"),
    ],
)
def test_bad_indexes(
    copy: Path, tmp_path: Path, weight_map: dict[str, Any], message: str, complaint: Complaint
) -> None:
    shutil.copy(copy / "model.safetensors", tmp_path / "elsewhere.safetensors")
    shard(copy, weight_map)
    if weight_map == {"final_logits_bias": "part.safetensors"}:
        from safetensors import safe_open

        with safe_open(copy / "part.safetensors", framework="numpy") as file:
            weight_map = {name: "part.safetensors" for name in file.keys() if name != "model.shared.weight"}  # noqa: SIM118
        (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert message in complaint(copy, tmp_path / "out")


def safetensors(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a zip file",
        struct.pack("<Q", 2**62) + b"{}",
        safetensors(b"[" * 100_000),
        safetensors({"final_logits_bias": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, b"abcd"),
        safetensors({"final_logits_bias": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**40]}}, b"abcd"),
        safetensors({"final_logits_bias": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}, b"abcd"),
        safetensors({"final_logits_bias": {"dtype": "F32"}}),
        safetensors({"final_logits_bias": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}, b"abcdefgh"),
    ],
)
def test_hostile_tensors(copy: Path, tmp_path: Path, content: bytes, complaint: Complaint) -> None:
    (copy / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in complaint(copy, tmp_path / "out")


def test_a_truncated_shard(copy: Path, tmp_path: Path, complaint: Complaint) -> None:
    content = (copy / "model.safetensors").read_bytes()
    for length in (len(content) - 1, 1000, 8, 3):
        (copy / "model.safetensors").write_bytes(content[:length])
        assert "not a readable safetensors file" in complaint(copy, tmp_path / "out")


def edit(file: Path, **changes: Any) -> None:
    table = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in (table | changes).items() if value != "absent"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "'llama'"),
        ({"model_type": "absent"}, "marian"),
        ({"architectures": ["MarianForCausalLM"]}, "MarianForCausalLM"),
        ({"activation_function": "mish"}, "mish"),
        ({"normalize_before": True}, "normalize_before"),
        ({"d_model": "wide"}, "d_model"),
        ({"d_model": -1}, "d_model"),
        ({"d_model": 10**9}, "larger model"),
        ({"d_model": 32}, "model.safetensors"),
        ({"encoder_attention_heads": 3}, "heads"),
        ({"encoder_layers": 3}, "model.encoder.layers.2"),
        ({"encoder_layers": 1}, "model.encoder.layers.1"),
        ({"encoder_layers": 1000}, "larger model"),
        ({"encoder_layers": 10**9}, "Expected `int` <= 1000 - at `$.encoder_layers`"),
        ({"encoder_ffn_dim": 33}, "fc1"),
        ({"vocab_size": 161}, "160]"),
        ({"vocab_size": 10**12}, "larger model"),
        ({"max_position_embeddings": 0}, "max_position_embeddings"),
        ({"share_encoder_decoder_embeddings": False}, "embed_tokens"),
        ({"decoder_start_token_id": 160}, "160"),
        ({"eos_token_id": [0, 1]}, "eos_token_id"),
    ],
    ids=str,
)
def test_other_configurations(
    copy: Path, tmp_path: Path, changes: dict[str, Any], message: str, complaint: Complaint
) -> None:
    edit(copy / "config.json", **changes)
    if {"eos_token_id", "decoder_start_token_id"} & changes.keys():
        edit(copy / "generation_config.json", **changes)
    assert message in complaint(copy, tmp_path / "out")


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "vocab.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"\xff": 1}', b"[" * 100_000])
def test_broken_json(copy: Path, tmp_path: Path, name: str, content: bytes, complaint: Complaint) -> None:
    (copy / name).write_bytes(content)
    assert name in complaint(copy, tmp_path / "out")


@pytest.mark.parametrize("name", ["model.safetensors", "source.spm", "target.spm", "config.json", "vocab.json"])
def test_a_pointer_of_git_lfs(copy: Path, tmp_path: Path, name: str, complaint: Complaint) -> None:
    (copy / name).write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 135\n")
    message = complaint(copy, tmp_path / "out")
    assert name in message and "git lfs pull" in message and "header" not in message


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("vocab.json", {"▁the": 160}, "160"),
        ("vocab.json", {"▁the": -1}, "-1"),
        ("vocab.json", {"▁the": "7"}, "'7'"),
        ("vocab.json", {"▁another": 5}, "two for 5"),
        ("vocab.json", {"<unk>": "absent"}, "<unk>"),
        ("tokenizer_config.json", {"separate_vocabs": True}, "target_vocab.json"),
        ("tokenizer_config.json", {"eos_token": "<end>"}, "<end>"),
        ("generation_config.json", {"bad_words_ids": [[1, 2]]}, "generation_config.json: bad_words_ids: expected one"),
        ("generation_config.json", {"bad_words_ids": [[160]]}, "generation_config.json: bad_words_ids: expected ids"),
        ("generation_config.json", {"eos_token_id": [0, 1]}, "generation_config.json: eos_token_id"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"200": {"content": "<x>"}}}, "ids below 160, got 200"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": {"content": "<x>"}}}, "two for 5"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"5": "<x>"}}, "expected tokens by id"),
        ("generation_config.json", {"num_beams": 0}, "num_beams"),
    ],
    ids=str,
)
def test_other_settings(
    copy: Path, tmp_path: Path, name: str, changes: dict[str, Any], message: str, complaint: Complaint
) -> None:
    edit(copy / name, **changes)
    assert message in complaint(copy, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 100])
def test_broken_sentencepiece_models(copy: Path, tmp_path: Path, content: bytes, complaint: Complaint) -> None:
    (copy / "target.spm").write_bytes(content)
    assert "target.spm" in complaint(copy, tmp_path / "out")


def test_a_folder_that_cannot_be_written(checkpoint: Path, tmp_path: Path, complaint: Complaint) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in complaint(checkpoint, tmp_path / "file" / "out")


def test_what_was_converted_is_checked_when_it_is_loaded(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert_marian(checkpoint, out)
    break_: list[tuple[str, Callable[[bytes], bytes], str]] = [
        ("vocab.json", lambda content: b"{}", "vocab.json"),
        ("vocab.json", lambda content: b'["</s>", "<unk>", "a", "a"]', "distinct"),
        ("vocab.json", lambda content: b'["</s>", "a"]', "<unk>"),
        ("vocab.json", lambda content: b'["</s>", "<unk>", "a"]', "entries"),
        ("config.json", lambda content: content.replace(b'"beam": 1', b'"beam": 0'), "beam"),
        ("config.json", lambda content: content.replace(b'"beam": 1', b'"beem": 1'), "beem"),
        ("config.json", lambda content: content.replace(b'"bos_id": 159', b'"bos_id": 160'), "bos_id"),
    ]
    for name, change, message in break_:
        content = (out / name).read_bytes()
        assert change(content) != content
        (out / name).write_bytes(change(content))
        with pytest.raises(ValueError, match=message):
            attnkit.load(out)
        (out / name).write_bytes(content)
