"""`attnkit caption`, and `attnkit classify` of images, as their users run them: in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import attnkit_run, command, complaint, output
from pictures import write_bad_images
from PIL import Image
from training_images import GLIMPSE, caption_task, classify_task, write_pictures

import attnkit
from attnkit.tasks.caption.captioner import Caption
from attnkit.tasks.classify_images.classifier import ImageClassification
from attnkit.training import read_config, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A captioner and a classifier, trained for a few steps, and pictures."""
    folder = tmp_path_factory.mktemp("images")
    few = ("training.max_steps=40", "decoding.metrics=false")
    train(read_config(caption_task(folder), few), folder / "captioner", progress="none")
    train(read_config(classify_task(folder), few[:1]), folder / "classifier", progress="none")
    write_pictures(folder / "pictures")
    return folder


@pytest.fixture(scope="module")
def reds(folder: Path) -> list[Path]:
    return sorted((folder / "pictures" / "red").iterdir())


@pytest.fixture(scope="module")
def captions(folder: Path, reds: list[Path]) -> list[Caption]:
    return attnkit.load(folder / "captioner").caption(reds, attention=True, nbest=2)


@pytest.fixture(scope="module")
def classes(folder: Path, reds: list[Path]) -> list[ImageClassification]:
    return attnkit.load(folder / "classifier").classify(reds, top=2)


# ----- Captions


def test_files_patterns_folders_and_lists(folder: Path, reds: list[Path], captions: list[Caption]) -> None:
    expected = [f"{path}\t{caption.text}" for path, caption in zip(reds, captions, strict=True)]
    model = folder / "captioner"
    assert output("caption", model, *reds).splitlines() == expected
    assert output("caption", model, folder / "pictures" / "red").splitlines() == expected
    assert output("caption", model, folder / "pictures" / "red" / "*.png").splitlines() == expected
    assert output("caption", model, folder / "**" / "red-*.png").splitlines() == expected
    listed = "".join(f"{path}\r\n\n" for path in reds[1:])
    assert output("caption", model, reds[0], "-", text=listed).splitlines() == expected
    assert output("caption", model, *reds, "--batch-images", "3").splitlines() == expected


def test_nbest_json_and_an_output_file(folder: Path, reds: list[Path], captions: list[Caption], tmp_path: Path) -> None:
    model = folder / "captioner"
    lines = [line.split("\t") for line in output("caption", model, *reds, "--nbest", "2").splitlines()]
    found = [each for caption in captions for each in (caption, *caption.alternatives)]
    assert [(name, text) for name, _, text in lines] == [
        (str(path), each.text) for path, each in zip([p for p in reds for _ in range(2)], found, strict=True)
    ]
    assert [float(score) for _, score, _ in lines] == pytest.approx([each.score for each in found], abs=1e-6)
    text = output("caption", model, *reds, "--jsonl", "--nbest", "2", "-o", tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert text == "" and [row["text"] for row in rows] == [caption.text for caption in captions]
    assert captions[0].gates is not None
    assert rows[0].keys() == {"image", "text", "score", "tokens", "truncated", "gates", "alternatives"}
    assert rows[0]["gates"] == pytest.approx(captions[0].gates.tolist(), abs=1e-6)
    greedy, sampled = (
        output("caption", model, *reds, *more) for more in (["--beam", "1"], ["--sample", "--seed", "3"])
    )
    assert greedy != sampled == output("caption", model, *reds, "--sample", "--seed", "3")


def test_a_cut_caption_is_said(folder: Path, reds: list[Path]) -> None:
    done = attnkit_run("caption", folder / "captioner", *reds[:2], "--max-length", "1")
    assert done.returncode == 0 and done.stdout.count(b"\n") == 2
    names = f"{reds[0]}, {reds[1]}"
    assert done.stderr.decode().startswith(f"attnkit: 2 captions are cut, of {names}: longer than")


@pytest.mark.parametrize("suffix", ["html", "png", "json"])
def test_attention(folder: Path, reds: list[Path], captions: list[Caption], tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"a.{suffix}"
    done = attnkit_run("caption", folder / "captioner", *reds[:2], "--attention", target)
    assert done.returncode == 0 and "attention of 2 images" in done.stderr.decode()
    assert [line.split("\t")[1] for line in done.stdout.decode().splitlines()] == [each.text for each in captions[:2]]
    if suffix == "json":
        images = json.loads(target.read_text())["images"]
        assert images[0]["tokens"] == captions[0].tokens and images[0]["title"] == str(reds[0])
        np.testing.assert_allclose(images[0]["weights"], captions[0].attention, atol=1e-6)
    elif suffix == "html":
        assert captions[0].text in target.read_text()
    else:
        with Image.open(tmp_path / "a-1.png") as strip:
            assert strip.width > 400


def test_what_cannot_be_read_is_named_and_the_rest_is_done(
    folder: Path, reds: list[Path], captions: list[Caption], tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bad = write_bad_images(tmp_path / "bad")
    (tmp_path / "empty").mkdir()
    odd = ["https://example.org/a.jpg", tmp_path / "empty", tmp_path / "none.png", tmp_path / "no*.png"]
    done = attnkit_run("caption", folder / "captioner", reds[0], tmp_path / "bad", *odd, reds[1])
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [f"{reds[i]}\t{captions[i].text}" for i in range(2)]
    complaints = done.stderr.decode().splitlines()
    assert len(complaints) == len(bad) + len(odd) and all(line.startswith("attnkit: ") for line in complaints)
    for name, message in bad.items():
        assert any(str(tmp_path / "bad" / name) in line and message in line for line in complaints)
    rest = "\n".join(complaints[len(bad) :])
    for message in ("got a URL", "expected a folder with images", "No such file", "expected files that match"):
        assert message in rest


def test_large_pictures_are_not_kept_until_their_batch_is_done(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (4000, 4000)).save(tmp_path / "large.png", compress_level=1)  # 64 MB of pixels
    peaks = []
    for images in ([tmp_path / "large.png"], [tmp_path / "large.png"] * 8):
        with subprocess.Popen(
            command("classify", folder / "classifier", *images), stdout=subprocess.DEVNULL
        ) as process:
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peaks.append(used.ru_maxrss / 1000)
    assert peaks[1] < peaks[0] + 100


def test_bad_usage(folder: Path, reds: list[Path]) -> None:
    model = folder / "captioner"
    assert "Missing argument" in complaint("caption", model, status=2)
    assert ".html, .png, .svg or .json" in complaint("caption", model, reds[0], "--attention", "a.gif", status=2)
    assert "expected nbest <= beam" in complaint("caption", model, reds[0], "--nbest", "9", status=2)
    assert "max_length" in complaint("caption", model, reds[0], "--max-length", "900", status=2)
    assert "no such directory" in complaint("caption", folder / "none", reds[0])
    assert "attnkit classify runs" in complaint("caption", folder / "classifier", reds[0])


def test_names_that_are_not_text(folder: Path, reds: list[Path], tmp_path: Path) -> None:
    strange = tmp_path / "caf\udce9.png"
    strange.write_bytes(reds[0].read_bytes())
    done = attnkit_run("caption", folder / "captioner", tmp_path)
    assert done.returncode == 0 and done.stdout.startswith(bytes(tmp_path) + b"/caf\xe9.png\t")
    done = attnkit_run("caption", folder / "captioner", "-", "--jsonl", text=bytes(strange) + b"\n")
    assert done.returncode == 0 and json.loads(done.stdout)["image"] == str(strange)


def test_a_name_with_a_line_end_stays_in_its_line(folder: Path, reds: list[Path], tmp_path: Path) -> None:
    strange = tmp_path / "a\nb\r.png"
    strange.write_bytes(reds[0].read_bytes())
    for arguments in (("caption", folder / "captioner"), ("classify", folder / "classifier")):
        assert output(*arguments, strange).startswith(f"{tmp_path}/a b .png\t")
        assert json.loads(output(*arguments, strange, "--jsonl"))["image"] == str(strange)
    assert output("caption", folder / "captioner", strange, "--nbest", "2").count(f"{tmp_path}/a b .png\t") == 2


# ----- Classes


def test_classes_with_probabilities(
    folder: Path, reds: list[Path], classes: list[ImageClassification], tmp_path: Path
) -> None:
    lines = output("classify", folder / "classifier", folder / "pictures" / "red", "--top", "2").splitlines()
    expected = [f"{path}\t" + "\t".join(f"{label}\t{p:.4f}" for label, p in each.top)
                for path, each in zip(reds, classes, strict=True)]  # fmt: skip
    assert lines == expected
    assert output("classify", folder / "classifier", *reds, "-k", "2", "-o", tmp_path / "out") == ""
    assert (tmp_path / "out").read_text().splitlines() == lines
    row = json.loads(output("classify", folder / "classifier", reds[0], "--jsonl", "--top", "2"))
    assert row["label"] == classes[0].label and row["probability"] == pytest.approx(classes[0].probability)
    assert [each["label"] for each in row["top"]] == [label for label, _ in classes[0].top]


def test_classes_of_what_cannot_be_read(folder: Path, reds: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    done = attnkit_run("classify", folder / "classifier", tmp_path / "a.png", reds[0])
    assert done.returncode == 1 and done.stdout.decode().startswith(f"{reds[0]}\t")
    assert done.stderr.decode().count("\n") == 1


def test_options_of_texts_and_models_without_attention_are_refused(folder: Path, reds: list[Path]) -> None:
    model = folder / "classifier"
    assert "expected images" in complaint("classify", model, status=2)
    assert "--text-key is for texts" in complaint("classify", model, reds[0], "--text-key", "x", status=2)
    assert "no attention to show" in complaint("classify", model, reds[0], "--attention", "a.png", status=2)


# ----- The library


def test_arrays_pictures_and_files_are_the_same(folder: Path, reds: list[Path], captions: list[Caption]) -> None:
    captioner, classifier = attnkit.load(folder / "captioner"), attnkit.load(folder / "classifier")
    with Image.open(reds[0]) as opened:
        opened.load()
    forms: list[Any] = [reds[0], str(reds[0]), opened, np.asarray(opened)]
    assert {each.text for each in captioner.caption(forms)} == {captions[0].text}
    assert len({each.probability for each in classifier.classify(forms)}) == 1
    assert captioner.caption([]) == [] == classifier.classify([])
    for method in (captioner.caption, classifier.classify):
        for single in (str(reds[0]), np.asarray(opened)):
            with pytest.raises(TypeError, match="expected a list of images"):
                method(single)
    with pytest.raises(ValueError, match=r"\[image\] expected uint8 of shape"):
        captioner.caption([np.zeros((2, 2), np.float32)])
    with pytest.raises(ValueError, match="batch_images >= 1"):
        captioner.caption(reds, batch_images=0)
    with pytest.raises(ValueError, match="top >= 1"):
        classifier.classify(reds, top=0)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("image", None, "expected how images are prepared"),
        ("image", {"size": 8, "sides": 3}, "expected how images are prepared"),
        ("reads", "sounds", "expected 'images' under reads, got 'sounds'"),
        ("tokenizer", 3, "expected a table under tokenizer"),
        ("vocab_size", 300, "expected a tokenizer of|does not fit"),
    ],
)
def test_broken_model_directories(folder: Path, tmp_path: Path, key: str, value: object, message: str) -> None:
    import shutil

    shutil.copytree(folder / "captioner", tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ValueError, match=message):
        attnkit.load(tmp_path / "model")


def test_a_model_of_glimpses_trains_and_classifies(tmp_path: Path) -> None:
    config = classify_task(tmp_path, GLIMPSE)
    output("train", config, "--out", tmp_path / "run", "--set", "training.max_steps=60")
    green = tmp_path / "pictures" / "green" / "green-red.png"
    name, label, share = output("classify", tmp_path / "run", green).split("\t")
    assert name == str(green) and label == "green" and float(share) > 0.5
    assert "places learned" in output("inspect", tmp_path / "run")
