"""The tasks "classify" on images and "caption": configurations, figures, resuming, pretrained encoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_images import CNN, GLIMPSE, TRANSFORMER, VIT, caption_task, classify_task
from training_runs import content

import attnkit
from attnkit.tasks.registry import make_task
from attnkit.training import ConfigError, RunConfig, encode_config, read_config, train
from attnkit.vision import shapes

FEW = ("training.max_steps=8", "training.warmup_steps=2", "training.validate_every=4", "training.final=last")


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def made(config: RunConfig, folder: Path) -> Any:
    """The task of a configuration, ready to train."""
    return make_task(config, folder, lambda line: None)


# ----- Classification


@pytest.mark.parametrize(
    "model", [CNN, f'{CNN}\nattention = "dot"', VIT, GLIMPSE], ids=["cnn", "cnn+", "vit", "glimpse"]
)
def test_classes_of_images_are_learnt(tmp_path: Path, model: str) -> None:
    outcome = train(read_config(classify_task(tmp_path, model)), tmp_path / "run", progress="none")
    assert outcome.figures["final_accuracy"] == outcome.figures["test_accuracy"] == 100.0, outcome.figures
    assert {"final_validation_loss", "final_macro_f1", "test_loss", "test_macro_f1"} <= outcome.figures.keys()
    classifier = attnkit.load(tmp_path / "run")
    assert classifier.labels == ["blue", "green", "grey", "red"] and classifier.attends == (model != CNN)
    paths = [tmp_path / "pictures" / "green" / f"green-{other}.png" for other in ("red", "blue")]
    for result in classifier.classify(paths, top=4, attention=True):
        assert result.label == "green" and result.probability > 0.5
        assert sum(probability for _, probability in result.top) == pytest.approx(1.0, abs=1e-5)
        if classifier.attends:
            assert result.attention.sum() == pytest.approx(1.0, abs=1e-5) and result.attention.ndim == 2


def test_mixup_smoothing_and_augmentation_change_training(tmp_path: Path) -> None:
    path = classify_task(tmp_path)
    losses = {}
    options = ("", "augmentation.mixup=1.0", "training.label_smoothing=0.2", "augmentation.shift=3",
    "image.fit=stretch",
               "image.channels=1", "data.validation=[]")  # fmt: skip
    for number, option in enumerate(options):
        more = [option] if option else []
        if "channels" in option:
            more += ["model.channels=1"]
        if "validation" in option:
            more += ["data.validation_share=0.25"]
        config = read_config(path, (*FEW, "training.log_every=8", *more))
        train(config, tmp_path / f"run{number}", progress="none")
        losses[option] = next(row["loss"] for row in rows(tmp_path / f"run{number}") if "loss" in row)
    assert losses[""] == losses.pop("image.fit=stretch")  # the pictures are squares
    assert len(set(losses.values())) == len(losses)


# ----- Captions


def test_figures_of_captions(tmp_path: Path) -> None:
    path = caption_task(tmp_path)
    train(read_config(path, FEW), tmp_path / "run", progress="none")
    row = next(row for row in rows(tmp_path / "run") if "validation_loss" in row)
    assert {"bleu1", "bleu2", "bleu3", "bleu4", "bleu", "cider"} <= row.keys() and row["bleu"] == row["bleu4"]
    assert "exact" not in row and "pointing" not in row
    train(read_config(path, (*FEW, "decoding.metrics=false")), tmp_path / "bare", progress="none")
    assert "bleu" not in next(row for row in rows(tmp_path / "bare") if "validation_loss" in row)


@pytest.mark.parametrize("attention", ["soft", "none"])
def test_figures_of_the_built_in_scenes(tmp_path: Path, attention: str) -> None:
    sizes = ("data.builtin_train=64", "data.builtin_held_out=8", f"model.decoder.attention={attention}")
    outcome = train(read_config("shapes", (*FEW, *sizes)), tmp_path / "run", progress="none")
    assert outcome.figures["test_exact"] == 0.0 and "test_pointing" not in outcome.figures  # there is none to measure


@pytest.mark.parametrize("attention", ["soft", "none"])
def test_pointing_is_measured_where_a_caption_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attention: str
) -> None:
    monkeypatch.setattr(shapes, "measure_pointing", lambda scenes, captions: shapes.Pointing(50.0, 40.0, 30.0, 3))
    sizes = ("data.builtin_train=64", "data.builtin_held_out=8", f"model.decoder.attention={attention}")
    outcome = train(read_config("shapes", (*FEW, *sizes)), tmp_path / "run", progress="none")
    assert outcome.figures.get("test_pointing") == (50.0 if attention == "soft" else None)


@pytest.mark.parametrize("steps", [1, 3, 4, 6])
def test_resumed_to_the_same_bytes(tmp_path: Path, steps: int) -> None:
    path = caption_task(tmp_path, extra="[augmentation]\nshift = 1\noperations = 1")
    options = (*FEW, "model.decoder.dropout=0.2", "model.decoder.word_dropout=0.2", "training.schedule=constant")
    train(read_config(path, options), tmp_path / "whole", progress="none")
    train(read_config(path, (*options, f"training.max_steps={steps}")), tmp_path / "run", progress="none")
    attnkit.manual_seed(77)  # nothing of this process may matter
    train(read_config(path, options), tmp_path / "run", resume=True, progress="none")
    assert content(tmp_path / "run") == content(tmp_path / "whole")


@pytest.mark.parametrize("model", [CNN, GLIMPSE], ids=["cnn", "glimpse"])
def test_classification_resumed_to_the_same_bytes(tmp_path: Path, model: str) -> None:
    path = classify_task(tmp_path, model, extra="[augmentation]\nmixup = 0.3")
    options = (*FEW, "training.schedule=constant")
    train(read_config(path, options), tmp_path / "whole", progress="none")
    train(read_config(path, (*options, "training.max_steps=3")), tmp_path / "run", progress="none")
    train(read_config(path, options), tmp_path / "run", resume=True, progress="none")
    assert content(tmp_path / "run") == content(tmp_path / "whole")


# ----- Pretrained encoders


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("encoder", [CNN, VIT], ids=["cnn", "vit"])
def test_an_encoder_pretrained_by_classification(tmp_path: Path, encoder: str, frozen: bool) -> None:
    train(read_config(classify_task(tmp_path, encoder), FEW), tmp_path / "classifier", progress="none")
    before = attnkit.load(tmp_path / "classifier").model.state_dict()
    more = (f"pretrained.encoder={tmp_path / 'classifier'}", f"pretrained.frozen={str(frozen).lower()}")
    path = caption_task(tmp_path, encoder, TRANSFORMER)
    task = made(read_config(path, (*FEW, *more)), tmp_path)
    for name, array in task.model.encoder.state_dict().items():
        assert np.array_equal(array, before[name])
    train(read_config(path, (*FEW, *more)), tmp_path / "run", progress="none")
    after = attnkit.load(tmp_path / "run").model.encoder.state_dict()
    assert all(np.array_equal(array, before[name]) for name, array in after.items()) == frozen
    # A captioner's encoder serves as well.
    again = (f"pretrained.encoder={tmp_path / 'run'}", "pretrained.frozen=true")
    task = made(read_config(path, (*FEW, *again)), tmp_path)
    assert all(np.array_equal(array, after[name]) for name, array in task.model.encoder.state_dict().items())


def test_a_vit_pretrained_on_another_size(tmp_path: Path) -> None:
    larger = ("image.size=12", "model.image_size=12")
    train(read_config(classify_task(tmp_path, VIT), (*FEW, *larger)), tmp_path / "classifier", progress="none")
    path = caption_task(tmp_path, VIT)
    more = (f"pretrained.encoder={tmp_path / 'classifier'}",)
    task = made(read_config(path, (*FEW, *more)), tmp_path)
    assert task.model.encoder.state_dict()["positions.weight"].shape[0] == 4


def test_encoders_that_do_not_fit(tmp_path: Path) -> None:
    train(read_config(classify_task(tmp_path), FEW), tmp_path / "classifier", progress="none")

    def message(*overrides: str, encoder: str = CNN) -> str:
        config = read_config(caption_task(tmp_path, encoder), (*FEW, *overrides))
        with pytest.raises((ValueError, OSError)) as raised:
            made(config, tmp_path)
        return str(raised.value)

    this = f"pretrained.encoder={tmp_path / 'classifier'}"
    assert "expected a model of type 'vit', got 'cnn'" in message(this, encoder=VIT)
    assert "does not fit the encoder" in message(this, "model.encoder.widths=[16]")
    assert "expected image.mean = (0.4,), as here, got [0.5]" in message(this, "image.mean=[0.4]")
    assert "no such directory" in message(f"pretrained.encoder={tmp_path / 'none'}")


def test_captions_that_the_decoder_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are left out, not cut: what is learnt ends where the caption does."""
    path = caption_task(tmp_path)
    listed = tmp_path / "pictures" / "list.jsonl"
    lines = [json.loads(line) for line in listed.read_text().splitlines()]
    for line in lines[:3]:
        line["caption"] = [line["caption"], "all " * 9] if line is lines[0] else "all " * 10
    listed.write_text("".join(json.dumps(line) + "\n" for line in lines))
    short = [*FEW, "model.decoder.max_length=8", "training.max_steps=3", "decoding.metrics=false"]
    task = made(read_config(path, short), tmp_path)
    batches = [next(task.batches), next(task.batches)]
    assert sum(len(batch.images) for batch in batches) == 14 and sum(batch.tokens for batch in batches) < 14 * 5
    outcome = train(read_config(path, short), tmp_path / "run", progress="plain")
    said = capsys.readouterr().err
    for what in ("training data", "loss of the validation data"):
        assert f"{what}: 3 captions left out, which have more than model.decoder's 7 tokens" in said
    assert outcome.figures["final_validation_loss"] > 0
    with pytest.raises(ValueError, match=r"expected captions of at most 1 tokens in data\.train, got none"):
        made(read_config(path, [*short, "model.decoder.max_length=2"]), tmp_path)


# ----- Configurations


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.batch_tokens=64", "training.batch_tokens: invalid value 64; expected 0"),
        ("training.metric=accuracy", 'training.metric: expected "loss" or "bleu" or "cider"'),
        ("decoding.metrics=false training.metric=cider", 'training.metric: expected "loss", all that is measured here'),
        ("augmentation.mixup=0.2", "augmentation.mixup: expected 0 for captions"),
        ("tokenizer.joint=false", "tokenizer.joint: expected true"),
        ("pretrained.frozen=true", "pretrained.encoder: expected a model directory for a frozen encoder"),
        ("image.channels=1", "model.encoder.channels: expected those of image.channels, 1, got 3"),
        ("data.validation=[]", "data.validation: expected images, or a validation_share"),
        ("image.side=3", "image.side: unknown key .did you mean size"),
        ("model.decoder.hiden=3", "model.decoder.hiden: unknown key"),
        ("model.decoder.type=gru", "model.decoder.type: invalid value 'gru'"),
        ("model.decoder.dropout=1.0", "model.decoder.dropout: expected"),
    ],
)
def test_caption_configurations_that_make_no_sense(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(caption_task(tmp_path), override.split())


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.metric=bleu", 'training.metric: expected "loss" or "accuracy"'),
        ("image.size=12", "model.image_size: expected that of image.size, 12, got 8"),
        ("model.type=captioner", "model.type: invalid value 'captioner'"),
    ],
)
def test_classification_configurations_that_make_no_sense(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config(classify_task(tmp_path, VIT), [override])


def test_configurations_are_written_whole_and_read_back(tmp_path: Path) -> None:
    for config in (
        read_config(caption_task(tmp_path)),
        read_config(classify_task(tmp_path, VIT)),
        read_config("shapes"),
    ):
        (tmp_path / "again.toml").write_text(encode_config(config))
        assert read_config(tmp_path / "again.toml") == config


def test_data_without_what_is_to_be_learnt(tmp_path: Path) -> None:
    def message(path: Path, *overrides: str) -> str:
        with pytest.raises(ValueError) as raised:
            made(read_config(path, (*FEW, *overrides)), tmp_path)
        return str(raised.value)

    caption, classify = caption_task(tmp_path), classify_task(tmp_path)
    as_list = ("data.format=list", 'data.train=["pictures/list.jsonl"]', "data.validation=[]", "data.test=[]",
               "data.validation_share=0.2")  # fmt: skip
    folders = ("data.format=folder", 'data.train=["pictures"]', "data.validation=[]", "data.validation_share=0.2")
    assert "expected images with labels in data.train" in message(classify, *as_list)
    assert "expected images with captions in data.train" in message(caption, *folders)
    (tmp_path / "one").mkdir()
    (tmp_path / "pictures" / "red").rename(tmp_path / "one" / "red")
    assert "expected at least 2 classes" in message(classify, 'data.train=["one"]')
    assert "expected the classes of the training data in data.test, got 'red'" in message(classify, 'data.test=["one"]')


def test_a_run_with_a_list_of_absolute_paths_goes_on_once_the_list_is_trusted(tmp_path: Path) -> None:
    path = caption_task(tmp_path)
    listed = tmp_path / "pictures" / "list.jsonl"
    (tmp_path / "lists").mkdir()
    absolute = listed.read_text().replace('"image": "', f'"image": "{tmp_path}/pictures/')
    (tmp_path / "lists" / "list.jsonl").write_text(absolute)
    path.write_text(path.read_text().replace("pictures/list.jsonl", "lists/list.jsonl"))
    few = ("training.schedule=constant", "decoding.metrics=false", "training.validate_every=2", "training.final=last")
    with pytest.raises(ValueError, match=r"data\.outside_images = true"):
        train(read_config(path, (*few, "training.max_steps=2")), tmp_path / "run", progress="none")
    trusted = (*few, "data.outside_images=true")
    train(read_config(path, (*trusted, "training.max_steps=2")), tmp_path / "run", progress="none")
    file = tmp_path / "run" / "training.toml"
    file.write_text(file.read_text().replace("outside_images = true\n", ""))  # as 0.1.0 wrote it
    config = read_config(file, ("training.max_steps=4", "data.outside_images=true"))
    train(config, tmp_path / "run", resume=True, progress="none")
    assert rows(tmp_path / "run")[-1]["step"] == 4
