"""`attnkit classify`, `embed` and `attention` of a model of images and texts, as their users run them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clip_checkpoints import save_clip
from command_line import attnkit_run, complaint, output
from PIL import Image

import attnkit

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that `attnkit convert` made, two pictures, and a file of labels."""
    folder = tmp_path_factory.mktemp("clip")
    save_clip(folder / "old")
    output("convert", folder / "old", folder / "model")
    (folder / "photos").mkdir()
    for number in range(2):
        rng = np.random.default_rng(number)
        picture = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8))
        picture.save(folder / "photos" / f"{number}.png")
    (folder / "labels.txt").write_text("a cat\n\na dog, or two\n a photo \n")
    return folder


def test_labels_on_the_command_line_and_in_a_file(folder: Path) -> None:
    model = attnkit.load(folder / "model", task="classify", reads="images-and-texts")
    files = sorted((folder / "photos").iterdir())
    labels = ["a cat", "a dog, or two", "a photo"]
    expected = model.classify(files, labels=labels, template="it is {}", top=3)
    out = output(
        "classify", folder / "model", folder / "photos", "--labels", folder / "labels.txt", "-k", "3", "--jsonl",
        "--prompt-template", "it is {}",
    )  # fmt: skip
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["image"] for row in rows] == [str(file) for file in files]
    assert [[each["label"] for each in row["top"]] for row in rows] == [[name for name, _ in e.top] for e in expected]
    assert all(abs(sum(each["probability"] for each in row["top"]) - 1) < 1e-5 for row in rows)
    [line] = output("classify", folder / "model", files[0], "--labels", "a cat, a dog").splitlines()
    name, label, probability = line.split("\t")
    assert name == str(files[0]) and label in ("a cat", "a dog") and 0.5 <= float(probability) <= 1


def test_pages_of_what_decided(folder: Path) -> None:
    photo = folder / "photos" / "0.png"
    page = folder / "page.html"
    arguments = ("classify", folder / "model", photo, "--labels", "a cat,a dog", "--attention", page)
    assert attnkit_run(*arguments).returncode == 0
    assert "a cat" in page.read_text() or "a dog" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, 'expected --labels "a cat,a dog", or a file with one a line'),
        (("--labels", "labels.txt"), 1, "labels: expected two or more, parted by commas, or a file"),
        (("--labels", "a,a"), 1, "labels: expected each to be another text, got 'a'"),
        (("--labels", "a,b", "--prompt-template", "a photo"), 1, "template: expected one {}"),
        (("--labels", "a,b", "--text-key", "text"), 2, "--text-key is for texts"),
    ],
)
def test_labels_that_are_none(arguments: tuple[str, ...], status: int, message: str, folder: Path) -> None:
    photo = folder / "photos" / "0.png"
    assert message in complaint("classify", folder / "model", photo, *arguments, status=status)


def test_vectors_of_texts(folder: Path) -> None:
    texts = ["a cat", "a dog", ""]
    target = folder / "vectors.npy"
    output("embed", folder / "model", "-o", target, text="\n".join(texts) + "\n")
    np.testing.assert_array_equal(np.load(target), attnkit.load(folder / "model", task="embed").embed(texts))


def test_vectors_of_images(folder: Path, tmp_path: Path) -> None:
    """As a matrix and as JSON lines, of a folder, of files, and beside one that is no image."""
    files = sorted((folder / "photos").iterdir())
    model = attnkit.load(folder / "model", task="classify", reads="images-and-texts")
    expected = model.embed_images(files)
    target = tmp_path / "vectors.npy"
    output("embed", folder / "model", folder / "photos", "-o", target)
    np.testing.assert_array_equal(np.load(target), expected)
    rows = [json.loads(line) for line in output("embed", folder / "model", *files, "--batch-images", "1").splitlines()]
    assert [row["image"] for row in rows] == [str(file) for file in files]
    np.testing.assert_allclose([row["vector"] for row in rows], expected, atol=1e-6)
    [whole] = output("embed", folder / "model", files[0], "--no-normalize").splitlines()
    assert np.linalg.norm(json.loads(whole)["vector"]) != pytest.approx(1, abs=1e-3)
    (tmp_path / "broken.png").write_bytes(b"none")
    done = attnkit_run("embed", folder / "model", files[0], tmp_path / "broken.png", files[1])
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 2 and b"broken.png" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("photos", "labels.txt"), "labels.txt is no image"),
        (("photos", "--prompt", "x"), "--prompt is for texts"),
        (("photos", "--text-key", "x"), "--text-key is for texts"),
        (("labels.txt", "--batch-images", "2"), "--batch-images is for images"),
    ],
)
def test_images_and_texts_are_not_mixed(arguments: tuple[str, ...], message: str, folder: Path) -> None:
    paths = [str(folder / each) if (folder / each).exists() else each for each in arguments]
    assert message in complaint("embed", folder / "model", *paths, status=2)


def test_a_model_of_texts_says_that_it_reads_no_images(folder: Path) -> None:
    from text_encoders import write_checkpoint

    write_checkpoint(folder / "bert", "bert")
    output("convert", folder / "bert", folder / "texts")
    said = complaint("embed", folder / "texts", folder / "photos" / "0.png", status=2)
    assert "expected files of texts, which this model reads, got the image" in said


def test_attention_of_a_text_and_of_an_image(folder: Path) -> None:
    assert "text (read)" in output("attention", folder / "model", "a cat")
    assert "image (read)" in output("attention", folder / "model", folder / "photos" / "0.png")
    assert "missing.png" in complaint("attention", folder / "model", "missing.png")


def test_labels_of_a_model_with_classes_of_its_own(folder: Path) -> None:
    from vit_checkpoints import save_vit

    save_vit(folder / "vit")
    output("convert", folder / "vit", folder / "own")
    photo = folder / "photos" / "0.png"
    said = complaint("classify", folder / "own", photo, "--labels", "a,b", status=2)
    assert "--labels is for models of images and texts; this one has its own classes" in said
