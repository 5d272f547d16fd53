"""`attnkit bench classify` and `attnkit bench caption` of the world's models: what is timed is the same work on both
sides, and PyTorch's side answers as attnkit does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command_line
import numpy as np
import pytest
from command_line import attnkit_run, complaint
from pictures import gradient

import attnkit
from attnkit.benchmark import random_checkpoint
from attnkit.benchmark.peers.checkpoint_peers import installed
from attnkit.benchmark.peers.image_peers import CAPTION_PEERS, CLASSIFY_PEERS
from attnkit.benchmark.pictures import Pictures, as_they_are, pictures_for
from attnkit.benchmark.random_checkpoint import write_blip, write_vit
from attnkit.benchmark.subject import Subject, kind_of, opened
from attnkit.benchmark.work import CaptionWork, ClassifyWork, read_work, write_work

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
torch.set_num_threads(1)  # its threads would spin beside ours

from vit_checkpoints import changed, save_vit  # noqa: E402

VISION = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "image_size": 24,
    "patch_size": 8,
}  # fmt: skip
TEXT = {
    "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": 24, "bos_token_id": 50, "sep_token_id": 51, "pad_token_id": 0, "eos_token_id": 51,
    "encoder_hidden_size": 32,
}  # fmt: skip
SHORT = ("--count", "3", "--batch", "2", "--runs", "1", "--threads", "1", "--against", "torch")


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its images are cut out of larger ones, with numbers of their own for each channel."""
    folder = tmp_path_factory.mktemp("bench") / "vit"
    save_vit(folder)
    keys = {"size": {"height": 20, "width": 20}, "do_center_crop": True, "crop_size": {"height": 16, "width": 16}}
    numbers = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3]}
    changed(folder / "preprocessor_config.json", image_processor_type="DeiTImageProcessor", **keys, **numbers)
    return folder


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "blip"
    torch.manual_seed(0)
    write_blip(folder, {**TEXT, "initializer_range": 0.5}, {**VISION, "initializer_range": 0.5})
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (folder := tmp_path / "photos" / "inside").mkdir(parents=True)
    for number, (width, height) in enumerate(((40, 30), (30, 40), (33, 33))):
        gradient(width, height).save(folder / f"{number}.png")
    return folder.parent


@pytest.fixture
def converted(vit: Path) -> Iterator[Subject]:
    with opened(vit) as subject:
        yield subject


def record_of(*arguments: str | Path, file: Path) -> dict[str, Any]:
    command = command_line.command("bench", *arguments, "--json", file)
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "images/s" in done.stdout and "× p50" in done.stdout
    record: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return record


def test_classes_are_timed_beside_pytorch(vit: Path, photos: Path, tmp_path: Path) -> None:
    arguments = ("classify", "--model", vit, "--images", photos, *SHORT, "--precision", "int8")
    record = record_of(*arguments, file=tmp_path / "runs.json")
    assert (record["bench"], record["model"], record["images"]) == ("classify", str(vit), str(photos))
    assert (record["count"], record["batch"]) == (3, 2)
    assert [run["name"] for run in record["runs"]] == ["attnkit int8", "torch int8"]
    for run in record["runs"]:
        assert (run["units"], len(run["latencies"])) == (3, 3) and min(run["latencies"] + run["seconds"]) > 0
        assert min(run["cold_seconds"]) > min(run["load_seconds"]) > 0 and run["peak_bytes"] > 1e7


def test_captions_are_timed_beside_pytorch(blip: Path, tmp_path: Path) -> None:
    arguments = ("caption", "--model", blip, *SHORT, "--precision", "fp32", "--beam", "2", "--length", "5")
    record = record_of(*arguments, file=tmp_path / "runs.json")
    assert (record["bench"], record["count"], record["length"], record["images"]) == ("caption", 3, 5, None)
    ours, theirs = record["runs"]
    assert (ours["name"], theirs["name"], ours["beam"]) == ("attnkit fp32", "torch fp32", 2)
    assert ours["units"] == theirs["units"] == 3 and len(ours["latencies"]) == len(theirs["latencies"]) == 3


def test_pytorch_classifies_the_same_pixels(converted: Subject, vit: Path, photos: Path) -> None:
    from attnkit.benchmark.peers.torch_classify_worker import classify, load

    pictures = pictures_for(converted.directory, "classify", photos, 10)
    assert pictures.pixels.shape == (3, 16, 16, 3)
    classifier = attnkit.load(converted.directory, task="classify", reads="images")
    files = sorted(photos.rglob("*.png"))
    expected = [(each.label, each.probability) for each in classifier.classify(files)]
    classifier.preprocessing = as_they_are(classifier.preprocessing)
    ours = [(each.label, each.probability) for each in classifier.classify(list(pictures.pixels))]
    assert ours == expected, "what is timed is what the files give"
    for precision, bound in (("fp32", 1e-5), ("int8", 0.1), ("bf16", 0.1)):
        theirs = classify(load(str(vit), precision), pictures, list(pictures.pixels), 2, precision)
        assert len(theirs) == 3
        np.testing.assert_allclose([p for _, p in theirs], [p for _, p in ours], atol=bound)
        assert precision != "fp32" or [label for label, _ in theirs] == [label for label, _ in ours]


@pytest.mark.parametrize("beam", [1, 3])
def test_pytorch_writes_the_same_captions(blip: Path, beam: int) -> None:
    from attnkit.benchmark.peers.torch_caption_worker import caption, load

    work = CaptionWork(length=7, batch=2, beam=beam)
    with opened(blip) as subject:
        pictures = pictures_for(subject.directory, "caption", None, 3)
        captioner = attnkit.load(subject.directory, task="caption")
        found = captioner.caption(list(pictures.pixels), beam=beam, min_length=7, max_length=7)
    assert [len(each.tokens) for each in found] == [7, 7, 7] and len({each.text for each in found}) > 1
    assert caption(load(str(blip), "fp32"), pictures, list(pictures.pixels), work) == [each.text for each in found]


def test_noise_is_the_same_each_time_and_has_the_models_shape(converted: Subject) -> None:
    first, second = (pictures_for(converted.directory, "classify", None, 4).pixels for _ in range(2))
    assert first.shape == (4, 16, 16, 3) and first.dtype == np.uint8 and first.tobytes() == second.tobytes()
    assert first.min() < 10 and first.max() > 245


def test_numbers_of_pixels_are_those_of_the_model(converted: Subject) -> None:
    from attnkit.benchmark.peers.torch_checkpoint import pixel_values
    from attnkit.benchmark.pictures import read_pictures, write_pictures

    folder = converted.directory.parent
    write_pictures(folder, pictures_for(converted.directory, "classify", None, 2))
    pictures: Pictures = read_pictures(folder)
    values = pixel_values(pictures, list(pictures.pixels), "fp32")
    expected = (pictures.pixels / 255.0 - [0.5, 0.4, 0.3]) / [0.2, 0.25, 0.3]
    np.testing.assert_allclose(values.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)
    assert values.is_contiguous()


def test_a_model_of_attnkits_own_is_timed_alone(converted: Subject, tmp_path: Path) -> None:
    own = ("classify", "--model", converted.directory, "--count", "2", "--runs", "1", "--precision", "fp32")
    done = attnkit_run("bench", *own)
    assert done.returncode == 0 and "attnkit fp32" in done.stdout.decode(), done.stderr.decode()
    assert "got one of attnkit's" in complaint("bench", *own, "--against", "torch", status=2)


def test_sizes_are_checkpoints_that_can_be_converted(tmp_path: Path) -> None:
    write_vit(tmp_path / "vit", **random_checkpoint.CLASSIFIERS["vit-tiny"])
    assert kind_of(tmp_path / "vit") == "transformers"
    with opened(tmp_path / "vit") as subject:
        classifier = attnkit.load(subject.directory, task="classify", reads="images")
        assert len(classifier.labels) == 1000 and classifier.preprocessing.shape == (224, 224)


def test_what_cannot_be_measured_is_one_line(vit: Path, blip: Path, tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()
    (broken := tmp_path / "broken").mkdir()
    (broken / "a.png").write_text("no image")
    (other := tmp_path / "other").mkdir()
    (other / "config.json").write_text('{"architecture": "vit_tiny_patch16_224"}')
    for arguments, message, status in (
        (("classify", "vit-base", "--model", vit), "expected a SIZE or --model, got both", 2),
        (("caption", "vit-transformer", "--against", "torch"), "expected blip-base or --model CHECKPOINT", 2),
        (("classify", "--model", other, "--against", "torch"), "got one of timm's", 2),
        (("classify", "--model", tmp_path / "none"), "no such file", 1),
    ):
        assert message in complaint("bench", *arguments, status=status)
    for arguments, message in (
        (("classify", "--model", blip), "of the task 'classify', got one that reads images, of the task 'caption'"),
        (("classify", "--model", vit, "--images", empty), "expected a folder with images, got one without"),
        (("classify", "--model", vit, "--images", broken), "expected an image, got something else"),
    ):
        done = attnkit_run("bench", *arguments)
        lines = done.stderr.decode().splitlines()
        assert done.returncode == 1 and not done.stdout and message in lines[-1], lines
        assert lines[:-1] == ["converting the model"]


def test_missing_libraries_are_named_with_their_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from attnkit.benchmark.peers import checkpoint_peers

    for module in (checkpoint_peers, random_checkpoint):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    for peers in (CLASSIFY_PEERS, CAPTION_PEERS):
        problems: list[str] = []
        assert not installed(("torch",), peers, problems.append)
        assert problems[0] == "torch is left out: pip install torch transformers"
    with (
        pytest.raises(ValueError, match="pip install torch transformers tokenizers"),
        random_checkpoint.made("blip-base"),
    ):
        pass


def test_work_is_read_as_it_was_written(tmp_path: Path) -> None:
    for work in (ClassifyWork(3), CaptionWork(length=5, batch=2, beam=4, alone=1)):
        write_work(tmp_path, work)
        assert read_work(tmp_path, type(work)) == work
