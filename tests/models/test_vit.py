"""The Vision Transformer: against PyTorch, attention maps and rollout, image sizes, batches, threads, a tiny task."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from closeness import assert_close
from pytorch_twin import copy_encoder_layer, copy_norm, gradients_by_our_names, randomise, torch_layer, torch_norm

import attnkit
from attnkit import _core, ops, optim
from attnkit.explain import attention_rollout
from attnkit.models import ImageBatch, ViTConfig, build_model, load_model, save_model
from attnkit.models.classification import classification_loss
from attnkit.models.vit import ViT

SMALL: dict[str, Any] = dict(image_size=12, patch_size=4, d_model=16, layers=2, heads=2, ffn=24)
CLASSES = 5


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def small_model(seed: int = 0, **options: Any) -> ViT:
    model = build_model(ViTConfig(**{**SMALL, **options}), CLASSES)
    randomise(model, seed)
    return model


def labels_of(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CLASSES, count).astype(np.int32)


# --- against PyTorch


def twin(ours: ViT) -> Any:
    import torch

    d_model, layers, heads, ffn = ours.config.sizes
    patch, token = ours.config.patch_size, ours.class_token is not None

    class Twin(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.patches = torch.nn.Conv2d(ours.config.channels, d_model, patch, patch)
            self.first = torch.nn.Parameter(torch.zeros(1, d_model))
            self.positions = torch.nn.Parameter(torch.zeros(ours.positions.weight.shape[0], d_model))
            c = ours.config
            layer = torch_layer("Encoder", d_model, heads, ffn, "pre", c.activation, c.norm_kind, c.norm_eps, c.gated)
            self.encoder = torch.nn.TransformerEncoder(
                layer, layers, torch_norm(c.norm_kind, d_model, c.norm_eps), enable_nested_tensor=False
            )
            self.head = torch.nn.Linear(d_model, CLASSES)

        def forward(self, images: Any) -> Any:
            x = self.patches(images.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2) + self.positions
            if token:
                x = torch.cat([self.first.expand(len(x), 1, d_model), x], dim=1)
            x = self.encoder(x)
            return self.head(x[:, 0] if token else x.mean(dim=1))

    return Twin()


def copy_vit(ours: ViT, theirs: Any) -> None:
    import torch

    def put(target: Any, array: Any) -> None:
        with torch.no_grad():
            target.copy_(torch.tensor(np.asarray(array)))

    size, channels = ours.config.patch_size, ours.config.channels
    patches = np.asarray(ours.patches.projection.weight).reshape(-1, size, size, channels).transpose(0, 3, 1, 2)
    put(theirs.patches.weight, patches.copy())
    put(theirs.patches.bias, ours.patches.projection.bias)
    put(theirs.positions, ours.positions.weight)
    if ours.class_token is not None:
        put(theirs.first, ours.class_token)
    for layer, other in zip(ours.encoder.layers, theirs.encoder.layers, strict=True):
        copy_encoder_layer(layer, other)
    assert ours.encoder.last_norm is not None and ours.head is not None
    copy_norm(ours.encoder.last_norm, theirs.encoder.norm)
    put(theirs.head.weight, ours.head.weight)
    put(theirs.head.bias, ours.head.bias)


@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "token"},
        {"pooling": "mean"},
        {"activation": "quick_gelu", "norm_eps": 0.1},
        {"activation": "silu", "gated": True, "norm_kind": "rms"},
    ],
    ids=str,
)
def test_logits_and_gradients_against_pytorch(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours = small_model(**options)
    theirs = twin(ours)
    copy_vit(ours, theirs)
    images, labels = numbers(4, 12, 12, 3), labels_of(4)
    logits = theirs(torch.tensor(images))
    assert_close(ours(images), logits.detach(), terms=96)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor(labels).long(), label_smoothing=0.1)
    result = ours.loss(ImageBatch(images, labels), label_smoothing=0.1)
    assert_close(result.loss, expected.item(), terms=96)
    assert result.tokens == 4
    plain = torch.nn.functional.cross_entropy(logits, torch.tensor(labels).long(), reduction="sum")
    assert_close(result.nll_sum, plain.item(), terms=96)
    result.loss.backward()
    expected.backward()
    for name, gradient in gradients_by_our_names(ours, copy_vit, theirs).items():
        grad = dict(ours.named_parameters())[name].grad
        assert grad is not None, name
        assert_close(grad, gradient, terms=96 * 4, scale=0.1)


# --- mixed and soft labels


def test_mixed_labels_and_distributions() -> None:
    logits = attnkit.tensor(numbers(4, CLASSES))
    images, first, second = numbers(4, 2, 2, 1), labels_of(4), labels_of(4, seed=2)
    share = np.array([1.0, 0.25, 0.5, 0.9], np.float32)
    eye = np.eye(CLASSES)
    soft = (share[:, None] * eye[first] + (1 - share[:, None]) * eye[second]).astype(np.float32)
    for smoothing in (0.0, 0.1):
        mixed = classification_loss(logits, ImageBatch(images, first, second, share), smoothing)
        as_soft = classification_loss(logits, ImageBatch(images, soft), smoothing)
        log_p = np.asarray(ops.log_softmax(logits), np.float64)
        targets = (1 - smoothing) * soft + smoothing / CLASSES
        assert_close(mixed.loss, -(log_p * targets).sum(axis=1).mean(), terms=8)
        assert_close(as_soft.loss, -(log_p * targets).sum(axis=1).mean(), terms=8)
        for result in (mixed, as_soft):
            assert_close(result.nll_sum, -(log_p * soft).sum(), terms=8)
    with pytest.raises(ValueError, match="expected other_labels and share together"):
        classification_loss(logits, ImageBatch(images, first, second))
    with pytest.raises(ValueError, match=re.escape("expected labels of shape [4, 5], got [4, 3]")):
        classification_loss(logits, ImageBatch(images, soft[:, :3]))


def test_soft_labels_have_a_gradient() -> None:
    model = small_model()
    soft = np.full((2, CLASSES), 1 / CLASSES, np.float32)
    model.loss(ImageBatch(numbers(2, 12, 12, 3), soft), 0.1).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


# --- attention


@pytest.mark.parametrize("registers", [0, 2])
@pytest.mark.parametrize("pooling", ["token", "mean", "mean-beside-token", "probe"])
def test_attention_weights_change_nothing_and_sum_to_one(pooling: str, registers: int) -> None:
    model = small_model(pooling=pooling, registers=registers).eval()
    images = numbers(3, 12, 12, 3)
    before = model(images).numpy().copy()
    weights = model.attention_weights(images)
    tokens = 9 + registers + ("token" in pooling)
    assert [w.shape for w in weights] == [(3, 2, tokens, tokens)] * 2
    for w in weights:
        assert_close(w.sum(axis=-1), np.ones(w.shape[:-1]), terms=16)
    np.testing.assert_array_equal(model(images).numpy(), before)
    maps = model.attention(images)
    assert maps.shape == (3, 3, 3)
    assert_close(maps.sum(axis=(1, 2)), np.ones(3), terms=16)


def test_rollout() -> None:
    generator = np.random.default_rng(0)
    layers = [generator.dirichlet(np.ones(4), size=(2, 3, 4)) for _ in range(3)]
    mixed = [0.5 * layer.mean(axis=1) + 0.5 * np.eye(4) for layer in layers]
    expected = mixed[2] @ mixed[1] @ mixed[0]
    rollout = attention_rollout([layer.astype(np.float32) for layer in layers])
    assert_close(rollout, expected, terms=16)
    assert_close(rollout.sum(axis=-1), np.ones((2, 4)), terms=16)
    with pytest.raises(ValueError, match="expected the weights of at least one layer"):
        attention_rollout([])


def test_attention_finds_the_patch_that_is_looked_at() -> None:
    # Query and key weights that make every token attend to bright patches.
    model = small_model(layers=1).eval()
    for name, parameter in model.named_parameters():
        if name != "patches.projection.weight":
            parameter.copy_(np.zeros(parameter.shape, np.float32) + float(name.endswith("norm.weight")))
    d_model = SMALL["d_model"]
    model.encoder.layers[0].attention_norm.bias.copy_(np.ones(d_model, np.float32))
    weight = np.zeros((3 * d_model, d_model), np.float32)
    weight[:d_model] = 0.5  # queries see the bias
    weight[d_model : 2 * d_model] = np.eye(d_model)
    model.encoder.layers[0].attention.projection.weight.copy_(weight)
    model.patches.projection.weight.copy_(np.outer(np.linspace(0, 1, d_model), np.ones(48)).astype(np.float32))
    model.encoder.layers[0].attention_norm.weight.copy_(np.linspace(0, 8, d_model).astype(np.float32))
    images = np.zeros((1, 12, 12, 3), np.float32)
    images[0, 4:8, 8:12] = 1.0
    assert np.unravel_index(model.attention(images)[0].argmax(), (3, 3)) == (1, 2)


# --- as an encoder, and other image sizes


@pytest.mark.parametrize("pooling", ["token", "mean"])
def test_encode_gives_packed_regions(pooling: str) -> None:
    model = build_model(ViTConfig(**SMALL, pooling=pooling), CLASSES).eval()
    features, offsets, grid = model.encode(numbers(3, 12, 8, 3))
    assert grid == (3, 2) and offsets.dtype == np.int32 and offsets.tolist() == [0, 6, 12, 18]
    assert features.shape == (18, model.width)
    features.sum().backward()
    assert model.patches.projection.weight.grad is not None


def test_an_encoder_alone_has_no_classifier() -> None:
    model = ViT(ViTConfig(**SMALL), 0)
    assert model.head is None
    with pytest.raises(ValueError, match=re.escape("[vit] expected a model with classes to classify, got an encoder")):
        model(numbers(1, 12, 12, 3))


def test_other_image_sizes_resample_the_positions() -> None:
    model = small_model().eval()
    wide = numbers(2, 8, 20, 3)
    assert model(wide).shape == (2, CLASSES)
    assert model.attention(wide).shape == (2, 2, 5)
    larger = build_model(ViTConfig(**{**SMALL, "image_size": 24}), CLASSES).eval()
    with pytest.raises(ValueError, match=re.escape("expected positions.weight of shape [36, 16], got [9, 16]")):
        larger.load_state_dict(model.state_dict())
    larger.load_state_dict(larger.fit_state(model.state_dict()))
    images = numbers(2, 24, 24, 3)
    assert_close(larger(images), model(images), terms=64)
    other = small_model(interpolation="bilinear").eval()
    assert not np.allclose(other(images), model(images), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 12, 12, 1), "[vit] expected images of shape [B, H, W, 3], got [1, 12, 12, 1]"),
        ((12, 12, 3), "[vit] expected images of shape [B, H, W, 3], got [12, 12, 3]"),
        ((1, 12, 10, 3), "[vit] expected images of whole patches of 4 x 4, got 12 x 10"),
        ((1, 0, 12, 3), "[vit] expected images of whole patches of 4 x 4, got 0 x 12"),
    ],
)
def test_it_says_which_images_it_takes(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        small_model()(numbers(*shape))


# --- the same bytes, and learning


@pytest.mark.parametrize(
    "options",
    [{"stem": "patch"}, {"stem": "convolution"}, {"stem": "convolution-pooling"}, {"pooling": "probe", "registers": 2}],
    ids=str,
)
def test_an_image_has_the_same_logits_in_every_batch(isa: str, options: dict[str, Any]) -> None:
    model = small_model(**options).eval()
    images = numbers(7, 12, 12, 3)
    together = model(images).numpy().copy()
    for index in range(7):
        np.testing.assert_array_equal(model(images[index : index + 1]).numpy()[0], together[index])


def train(threads: int, steps: int, **options: Any) -> tuple[ViT, list[float]]:
    before = _core.get_num_threads()
    _core.set_num_threads(threads)
    try:
        attnkit.manual_seed(5)
        model = build_model(ViTConfig(**{**SMALL, "d_model": 32, **options}), CLASSES)
        optimizer = optim.AdamW(model.parameters(), lr=3e-3)
        batch = ImageBatch(numbers(24, 12, 12, 3), labels_of(24))
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
    options = dict(stochastic_depth=0.3, dropout=0.1)
    (one, losses), (several, same) = train(1, 3, **options), train(3, 3, **options)
    assert losses == same
    for name, array in one.state_dict().items():
        np.testing.assert_array_equal(array, several.state_dict()[name])


@pytest.mark.parametrize(
    "options",
    [
        {"pooling": "token", "registers": 3},
        {"pooling": "mean"},
        {"pooling": "probe"},
        {"stem": "convolution"},
        {"stem": "convolution-pooling"},
    ],
    ids=str,
)
def test_it_learns_a_few_images_by_heart(options: dict[str, Any]) -> None:
    model, losses = train(_core.get_num_threads(), 60, **options)
    assert losses[-1] < 0.02 < losses[0]
    predicted = model.eval().predict(numbers(24, 12, 12, 3)).numpy()
    assert_close(np.exp(predicted).sum(axis=1), np.ones(24), terms=8)
    np.testing.assert_array_equal(predicted.argmax(axis=1), labels_of(24))


# --- configuration and files


def test_sizes_have_names_and_single_numbers_may_differ() -> None:
    assert ViTConfig().sizes == (192, 12, 3, 768)
    assert ViTConfig(size="S").sizes == (384, 12, 6, 1536)
    assert ViTConfig(size="B", layers=3).sizes == (768, 3, 12, 3072)


def test_a_configuration_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="patch_size: expected a divisor of image_size = 12, got 5"):
        ViTConfig(image_size=12, patch_size=5)
    with pytest.raises(ValueError, match='patch_size: expected a power of two with stem = "convolution", got 6'):
        ViTConfig(image_size=12, patch_size=6, stem="convolution")
    with pytest.raises(ValueError, match="heads: expected a divisor of d_model = 192, got 5"):
        ViTConfig(heads=5)
    with pytest.raises(ValueError, match='last_norm: expected "states" with pooling = "probe", got "pooled"'):
        ViTConfig(pooling="probe", last_norm="pooled")
    with pytest.raises(msgspec.ValidationError, match="unknown field `depth`"):
        msgspec.convert({"type": "vit", "depth": 3}, ViTConfig)


@pytest.mark.parametrize("stem", ["patch", "convolution", "convolution-pooling"])
def test_saved_and_loaded(tmp_path: Path, stem: str) -> None:
    model = small_model(stem=stem).eval()
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, ViT) and loaded.config == model.config and not loaded.training
    images = numbers(2, 12, 12, 3)
    np.testing.assert_array_equal(loaded(images).numpy(), model(images).numpy())
