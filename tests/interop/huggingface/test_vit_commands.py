"""A Vision Transformer of transformers at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import complaint, output
from pictures import gradient
from vit_checkpoints import save_vit

pytest.importorskip("transformers")
pytest.importorskip("torch")


def test_a_photo_is_classified_and_looked_into(tmp_path: Path) -> None:
    labels = ["tench", "goldfish", "shark", "hen", "cock"]
    save_vit(tmp_path / "old", "DeiTForImageClassificationWithTeacher", id2label=dict(enumerate(labels)))
    gradient(40, 30).save(tmp_path / "photo.jpg")
    output("convert", tmp_path / "old", tmp_path / "new")
    line = output("classify", tmp_path / "new", tmp_path / "photo.jpg", "-k", "5").rstrip("\n").split("\t")
    assert line[0] == str(tmp_path / "photo.jpg") and sorted(line[1::2]) == sorted(labels)
    output("attention", tmp_path / "new", tmp_path / "photo.jpg", "-o", tmp_path / "look.html")
    assert "distillation" in (tmp_path / "look.html").read_text()
    assert "goldfish" in output("inspect", tmp_path / "new")


def test_an_encoder_says_that_it_has_no_classes(tmp_path: Path) -> None:
    save_vit(tmp_path / "old", "ViTModel")
    gradient(40, 30).save(tmp_path / "photo.jpg")
    output("convert", tmp_path / "old", tmp_path / "new")
    said = complaint("classify", tmp_path / "new", tmp_path / "photo.jpg")
    assert "expected a classifier, got an encoder of images" in said
