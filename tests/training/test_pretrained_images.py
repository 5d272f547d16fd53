"""Models that begin with what a model of images has learnt, and see images as that does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_images import CNN, GLIMPSE, VIT, caption_task, classify_task
from training_runs import content

import attnkit
from attnkit.tasks.registry import make_task
from attnkit.training import ConfigError, RunConfig, encode_config, read_config, train

FEW = ("training.max_steps=8", "training.warmup_steps=2", "training.validate_every=4", "training.final=last")


def made(config: RunConfig, folder: Path) -> Any:
    """The task of a configuration, ready to train."""
    folder.mkdir(exist_ok=True)
    return make_task(config, folder, lambda line: None)


def without(path: Path, *sections: str) -> Path:
    """The same TOML file without these sections."""
    parts = path.read_text().split("\n[")
    path.write_text("\n[".join(part for part in parts if part.partition("]")[0] not in sections))
    return path


def fine_tuned(folder: Path, model: Path | str, extra: str = "") -> Path:
    """A TOML file for naming colours that begins with a model."""
    path = without(classify_task(folder), "image", "model")
    path.write_text(path.read_text() + f'[pretrained]\nmodel = "{model}"\n{extra}\n')
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A classifier that has learnt something else, and sees images in its own way."""
    path = classify_task(tmp_path / "other", VIT)
    keys = ("image.mean=[0.4]", "image.resampling=box", "model.dropout=0.1")
    train(read_config(path, (*FEW, *keys)), tmp_path / "other-run", progress="none")
    return tmp_path / "other-run"


@pytest.mark.parametrize("model", [CNN, VIT], ids=["cnn", "vit"])
def test_all_layers_but_the_last_are_those_of_the_model(model: str, tmp_path: Path) -> None:
    train(read_config(classify_task(tmp_path, model), FEW), tmp_path / "before", progress="none")
    before = attnkit.load(tmp_path / "before").model.state_dict()
    task = made(read_config(fine_tuned(tmp_path, tmp_path / "before"), FEW), tmp_path / "run")
    for name, array in task.model.state_dict().items():
        assert np.array_equal(array, before[name]) != name.startswith("head."), name


def test_a_classifier_sees_as_the_model_that_it_begins_with(other: Path, tmp_path: Path) -> None:
    config = read_config(fine_tuned(tmp_path, other, "dropout = 0.2\nstochastic_depth = 0.1"))
    outcome = train(config, tmp_path / "run", progress="none")
    assert outcome.figures["test_accuracy"] == 100.0
    first, second = attnkit.load(other), attnkit.load(tmp_path / "run")
    assert second.preprocessing == first.preprocessing and second.preprocessing.resampling == "box"
    assert (first.model.config.dropout, second.model.config.dropout) == (0.1, 0.2)
    assert second.model.config.stochastic_depth == 0.1


def test_parts_are_frozen_or_learn_less(other: Path, tmp_path: Path) -> None:
    frozen = 'freeze = ["encoder", "patches", "positions", "class_token"]'
    train(read_config(fine_tuned(tmp_path, other, frozen), FEW), tmp_path / "run", progress="none")
    first, second = (attnkit.load(each).model.state_dict() for each in (other, tmp_path / "run"))
    assert {name for name in first if not np.array_equal(first[name], second[name])} <= {"head.weight", "head.bias"}
    rates = 'learning_rates = {"encoder" = 0.5}'
    task = made(read_config(fine_tuned(tmp_path, other, rates), FEW), tmp_path / "third")
    assert set(task.lr_factors.values()) == {0.5}


def test_goes_on_to_the_same_bytes_without_the_model(other: Path, tmp_path: Path) -> None:
    path = fine_tuned(tmp_path, other)
    options = (*FEW, "training.schedule=constant")
    train(read_config(path, options), tmp_path / "whole", progress="none")
    train(read_config(path, (*options, "training.max_steps=3")), tmp_path / "run", progress="none")
    other.rename(tmp_path / "moved")
    more = (*options, "training.batch_images=8")  # a key that only images have: there is no model to ask
    train(read_config(path, more), tmp_path / "run", resume=True, progress="none")
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_what_is_written_is_read_back_as_it_was(other: Path, tmp_path: Path) -> None:
    config = read_config(fine_tuned(tmp_path, other), FEW)
    (tmp_path / "again.toml").write_text(encode_config(config))
    assert read_config(tmp_path / "again.toml") == config


def test_the_model_says_whether_texts_or_images_are_classified(other: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.toml"
    path.write_text(
        f'task = "classify"\n[data]\ntrain = "a"\n[pretrained]\nmodel = "{other}"\n[training]\nmax_steps = 1\n'
    )
    config = read_config(path, ["data.validation=b"])
    assert type(config).__name__ == "ClassifyImagesConfig"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("[image]\nsize = 8", "image: expected none beside pretrained.model"),
        (f"[model]\n{VIT}", "model: expected none beside pretrained.model"),
        ("pooling = 'mean'", "pretrained.pooling: unknown key"),
    ],
)
def test_configurations_that_make_no_sense(extra: str, message: str, other: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(fine_tuned(tmp_path, other, extra))


def test_neither_a_model_nor_one_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="image: expected a value, got nothing"):
        read_config(without(classify_task(tmp_path, VIT), "image"))


def test_models_that_it_cannot_begin_with(tmp_path: Path) -> None:
    train(read_config(classify_task(tmp_path, GLIMPSE), FEW), tmp_path / "glimpse", progress="none")
    with pytest.raises(ConfigError, match="expected a ViT or a CNN, got a model of type 'glimpse'"):
        made(read_config(fine_tuned(tmp_path, tmp_path / "glimpse"), FEW), tmp_path / "run")


# ----- Captioners


def test_a_captioner_takes_the_encoder_and_how_it_sees(other: Path, tmp_path: Path) -> None:
    path = without(caption_task(tmp_path, VIT), "image", "model.encoder")
    config = read_config(path, (*FEW, f"pretrained.encoder={other}", "pretrained.frozen=true"))
    first = attnkit.load(other)
    assert config.image == first.preprocessing
    assert config.model.encoder == first.model.config
    train(config, tmp_path / "run", progress="none")
    before, after = first.model.state_dict(), attnkit.load(tmp_path / "run").model.encoder.state_dict()
    assert after and all(np.array_equal(array, before[name]) for name, array in after.items())


def test_encoders_that_no_captioner_has(other: Path, tmp_path: Path) -> None:
    path = without(caption_task(tmp_path, VIT), "image", "model.encoder")
    with pytest.raises(ConfigError, match=r"pretrained\.model: unknown key \(did you mean encoder\?\)"):
        read_config(path, (*FEW, f"pretrained.model={other}"))
    train(read_config(classify_task(tmp_path / "g", GLIMPSE), FEW), tmp_path / "glimpse", progress="none")
    with pytest.raises(ConfigError, match=r"pretrained\.encoder: expected a ViT or a CNN, .* of type 'glimpse' in "):
        read_config(path, (*FEW, f"pretrained.encoder={tmp_path / 'glimpse'}"))


@pytest.mark.parametrize("frozen", ["true", "false"])
def test_a_captioner_goes_on_to_the_same_bytes_without_the_model(frozen: str, other: Path, tmp_path: Path) -> None:
    path = without(caption_task(tmp_path, VIT), "image", "model.encoder")
    options = (*FEW, "training.schedule=constant", f"pretrained.encoder={other}", f"pretrained.frozen={frozen}")
    train(read_config(path, options), tmp_path / "whole", progress="none")
    train(read_config(path, (*options, "training.max_steps=3")), tmp_path / "run", progress="none")
    other.rename(tmp_path / "moved")
    run = tmp_path / "run"
    train(read_config(run / "training.toml", ("training.max_steps=8",)), run, resume=True, progress="none")
    assert content(run) == content(tmp_path / "whole")


# ----- Of transformers


@pytest.mark.parametrize("name", ["ViTModel", "ViTForImageClassification", "DeiTForImageClassificationWithTeacher"])
def test_a_model_of_transformers_is_trained_on(name: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("torch")
    from vit_checkpoints import save_vit, write_processor

    from attnkit.interop.convert import convert

    save_vit(tmp_path / "old", name, image_size=8)
    write_processor(tmp_path / "old", 8, resample=0)
    convert(tmp_path / "old", tmp_path / "new")
    outcome = train(read_config(fine_tuned(tmp_path, tmp_path / "new")), tmp_path / "run", progress="none")
    assert outcome.figures["test_accuracy"] == 100.0
    classifier = attnkit.load(tmp_path / "run")
    assert classifier.labels == ["blue", "green", "grey", "red"]
    assert classifier.preprocessing == attnkit.load(tmp_path / "new").preprocessing
    path = without(caption_task(tmp_path), "image", "model.encoder")
    task = made(read_config(path, (*FEW, f"pretrained.encoder={tmp_path / 'new'}")), tmp_path / "captions")
    assert task.model.encoder.width == 24
