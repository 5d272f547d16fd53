"""The residual network: its parts in order, attention as explanation, statistics, batches, threads, a tiny task."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from closeness import assert_close
from pytorch_twin import randomise

import attnkit
from attnkit import _core, nn, optim
from attnkit.models import CNNConfig, ImageBatch, build_model, load_model, save_model
from attnkit.models.cnn import CNN, ResidualBlock

SMALL: dict[str, Any] = dict(widths=(8, 12, 16), blocks=1)
CLASSES = 4


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def small_model(seed: int = 0, **options: Any) -> CNN:
    model = build_model(CNNConfig(**{**SMALL, **options}), CLASSES)
    randomise(model, seed)
    for _ in range(3):  # running statistics that are not those of the start
        model(numbers(6, 12, 12, model.config.channels, seed=seed + 7))
    return model


def labels_of(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, CLASSES, count).astype(np.int32)


# --- blocks


def torch_block(ours: ResidualBlock, x: Any) -> Any:
    import torch
    from torch.nn.functional import batch_norm, conv2d

    def conv(layer: nn.Conv2d, x: Any, padding: int) -> Any:
        weight = torch.tensor(np.asarray(layer.weight)).permute(0, 3, 1, 2)
        return conv2d(x, weight, None, layer.stride, padding)

    def norm(layer: nn.BatchNorm2d, x: Any) -> Any:
        return batch_norm(
            x, None, None, torch.tensor(np.asarray(layer.weight)), torch.tensor(np.asarray(layer.bias)), True
        )

    branch = norm(ours.norm1, conv(ours.conv1, x, 1)).relu()
    branch = norm(ours.norm2, conv(ours.conv2, branch, 1))
    if ours.gate is not None:
        gates = ours.gate.gates(attnkit.tensor(branch.permute(0, 2, 3, 1).contiguous().numpy()))
        branch = branch * torch.tensor(np.asarray(gates))[:, :, None, None]
    if ours.shortcut is not None and ours.shortcut_norm is not None:
        x = norm(ours.shortcut_norm, conv(ours.shortcut, x, 0))
    return (branch + x).relu()


@pytest.mark.parametrize("gates", [False, True])
@pytest.mark.parametrize(("channels", "stride"), [(8, 1), (6, 1), (8, 2)])
def test_a_block_against_pytorch(channels: int, stride: int, gates: bool) -> None:
    torch = pytest.importorskip("torch")
    block = ResidualBlock(channels, 8, stride, gates, 0.0)
    randomise(block, deviation=0.5)
    x = numbers(3, 9, 8, channels)
    expected = torch_block(block, torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert_close(block(attnkit.tensor(x)), expected, terms=256)


def test_stochastic_depth_leaves_blocks_out_in_training_only() -> None:
    block = ResidualBlock(8, 8, 1, False, 0.5)
    x = attnkit.tensor(np.abs(numbers(64, 4, 4, 8)))
    out = block(x).numpy()
    alone = (out == x.numpy()).all(axis=(1, 2, 3))  # x is positive: without its branch a block is the identity
    assert 0.2 < alone.mean() < 0.8
    block.eval()
    assert not (block(x).numpy() == x.numpy()).all(axis=(1, 2, 3)).any()


# --- the model


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"squeeze_excitation": True, "attention": "dot"},
        {"stem": "large", "attention": "parametrised", "channels": 1},
        {"stochastic_depth": 0.2, "dropout": 0.1, "blocks": 2},
    ],
    ids=str,
)
def test_every_option_makes_a_model_that_differs_and_learns(options: dict[str, Any]) -> None:
    model = small_model(**options)
    images = numbers(6, 17, 14, model.config.channels)
    model.loss(ImageBatch(images, labels_of(6)), 0.1).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
    logits = model.eval()(images)
    assert logits.shape == (6, CLASSES)
    if options:
        plain = small_model(channels=model.config.channels).eval()
        assert not np.allclose(plain(images), logits, atol=1e-3)


def test_encode_gives_packed_regions() -> None:
    model = small_model().eval()
    features, offsets, grid = model.encode(numbers(3, 13, 8, 3))
    assert grid == (4, 2) and offsets.dtype == np.int32 and offsets.tolist() == [0, 8, 16, 24]
    assert features.shape == (24, model.width)
    encoder = CNN(CNNConfig(**SMALL, attention="dot"), 0)
    assert encoder.head is None and encoder.encode(numbers(1, 8, 8, 3))[2] == (2, 2)
    with pytest.raises(ValueError, match=re.escape("[cnn] expected a model with classes to classify, got an encoder")):
        encoder(numbers(1, 8, 8, 3))


@pytest.mark.parametrize("scores", ["dot", "parametrised"])
def test_attention_explains(scores: str) -> None:
    model = small_model(attention=scores).eval()
    images = numbers(3, 12, 10, 3)
    before = model(images).numpy().copy()
    weights = model.attention_weights(images)
    assert [w.shape for w in weights] == [(3, 6, 5), (3, 3, 3)]
    for w in weights:
        assert_close(w.sum(axis=(1, 2)), np.ones(3), terms=30)
    maps = model.attention(images)
    assert maps.shape == (3, 6, 5) and (maps >= 0).all()
    assert_close(maps.sum(axis=(1, 2)), np.ones(3), terms=30)
    np.testing.assert_array_equal(model(images).numpy(), before)
    with pytest.raises(ValueError, match=re.escape('[cnn] expected attention = "dot" or "parametrised"')):
        small_model().attention(images)


def test_it_says_which_images_it_takes() -> None:
    with pytest.raises(ValueError, match=re.escape("[cnn] expected images of shape [B, H, W, 3], got [2, 8, 8, 1]")):
        small_model()(numbers(2, 8, 8, 1))


# --- the same bytes, and learning


def test_an_image_has_the_same_logits_in_every_batch(isa: str) -> None:
    model = small_model(attention="dot", squeeze_excitation=True).eval()
    images = numbers(5, 12, 12, 3)
    together = model(images).numpy().copy()
    for index in range(5):
        np.testing.assert_array_equal(model(images[index : index + 1]).numpy()[0], together[index])


def train(threads: int, steps: int, **options: Any) -> tuple[CNN, list[float]]:
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        attnkit.manual_seed(5)
        model = build_model(CNNConfig(**{**SMALL, **options}), CLASSES)
        optimizer = optim.AdamW(model.parameters(), lr=5e-3)
        batch = ImageBatch(numbers(20, 12, 12, 3), labels_of(20))
        losses = []
        for _ in range(steps):
            loss = model.loss(batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss))
        return model, losses
    finally:
        _core.set_num_threads(before)


def test_training_gives_the_same_bytes_for_any_number_of_threads() -> None:
    options = dict(stochastic_depth=0.3, dropout=0.1, attention="dot", squeeze_excitation=True)
    (one, losses), (several, same) = train(1, 3, **options), train(3, 3, **options)
    assert losses == same
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, several.state_dict()[name])


@pytest.mark.parametrize("options", [{}, {"attention": "dot", "squeeze_excitation": True}], ids=str)
def test_it_learns_a_few_images_by_heart(options: dict[str, Any]) -> None:
    model, losses = train(_core.get_num_threads(), 60, **options)
    assert losses[-1] < 0.05 < losses[0]
    predicted = model.eval().predict(numbers(20, 12, 12, 3)).numpy()
    np.testing.assert_array_equal(predicted.argmax(axis=1), labels_of(20))


def test_saved_and_loaded_with_its_statistics(tmp_path: Path) -> None:
    model = small_model(attention="dot").eval()
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, CNN) and loaded.config == model.config
    images = numbers(2, 12, 12, 3)
    np.testing.assert_array_equal(loaded(images).numpy(), model(images).numpy())
