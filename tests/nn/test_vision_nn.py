"""The layers for images: against PyTorch's, their papers' equations, and their own ops."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from closeness import assert_close, numeric_gradients
from pytorch_twin import randomise

import attnkit
from attnkit import _core, nn


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaf(array: np.ndarray) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad=True)


def softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


# --- convolution and patches


def test_conv2d_is_its_op_and_knows_its_shape() -> None:
    layer = nn.Conv2d(6, 8, (3, 2), stride=(2, 1), padding=1, groups=2, activation="relu")
    assert layer.weight.shape == (8, 3, 2, 3)
    x = attnkit.tensor(numbers(2, 7, 6, 6))
    expected = attnkit.ops.conv2d(x, layer.weight, layer.bias, (2, 1), 1, 2, "relu")
    np.testing.assert_array_equal(layer(x).numpy(), expected.numpy())
    assert nn.Conv2d(3, 4, 3, bias=False).bias is None
    assert "6, 8, kernel_size=(3, 2), stride=(2, 1), padding=1, groups=2" in repr(layer)
    with pytest.raises(ValueError, match=re.escape("multiples of groups = 4, got 6 and 8")):
        nn.Conv2d(6, 8, 3, groups=4)


def test_the_first_values_keep_the_size_of_what_passes() -> None:
    layers = [nn.Conv2d(64, 64, 3, padding=1, activation="relu") for _ in range(8)]
    x = attnkit.tensor(numbers(2, 12, 12, 64))
    for layer in layers:
        x = layer(x)
    assert 0.2 < float(np.mean(x.numpy() ** 2)) < 2.0


def test_patch_embedding_is_a_convolution_of_the_stride_of_its_kernel() -> None:
    torch = pytest.importorskip("torch")
    layer = nn.PatchEmbedding(4, 24, channels=3)
    images = numbers(2, 8, 12, 3)
    weight = torch.tensor(layer.projection.weight.numpy().reshape(24, 4, 4, 3)).permute(0, 3, 1, 2)
    expected = torch.nn.functional.conv2d(
        torch.tensor(images).permute(0, 3, 1, 2), weight, torch.tensor(np.asarray(layer.projection.bias)), 4
    )
    assert_close(layer(attnkit.tensor(images)), expected.permute(0, 2, 3, 1).reshape(-1, 24), terms=48)


@pytest.mark.parametrize("pooling", [False, True])
@pytest.mark.parametrize("training", [True, False])
def test_convolutional_stem_against_pytorch(training: bool, pooling: bool) -> None:
    torch = pytest.importorskip("torch")
    layer = nn.ConvolutionalStem(4, 24, channels=3, pooling=pooling)
    randomise(layer)
    layer.train(training)
    stride, halving = (1, torch.nn.MaxPool2d(3, 2, 1)) if pooling else (2, torch.nn.Identity())
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(3, 12, 3, stride, 1, bias=False), torch.nn.BatchNorm2d(12), torch.nn.ReLU(), halving,
        torch.nn.Conv2d(12, 24, 3, stride, 1, bias=False), torch.nn.BatchNorm2d(24), torch.nn.ReLU(), halving,
        torch.nn.Conv2d(24, 24, 1),
    ).train(training)  # fmt: skip
    with torch.no_grad():
        for i, (convolution, norm) in enumerate(zip(layer.convolutions, layer.norms, strict=True)):
            theirs[4 * i].weight.copy_(torch.tensor(convolution.weight.numpy()).permute(0, 3, 1, 2))
            theirs[4 * i + 1].weight.copy_(torch.tensor(norm.weight.numpy()))
            theirs[4 * i + 1].bias.copy_(torch.tensor(norm.bias.numpy()))
        theirs[8].weight.copy_(torch.tensor(layer.projection.weight.numpy())[:, :, None, None])
        theirs[8].bias.copy_(torch.tensor(np.asarray(layer.projection.bias)))
    images = numbers(2, 8, 12, 3)
    x, tx = leaf(images), torch.tensor(images).permute(0, 3, 1, 2).requires_grad_()
    tokens, expected = layer(x), theirs(tx).permute(0, 2, 3, 1).reshape(-1, 24)
    assert tokens.shape == (2 * 2 * 3, 24)
    assert_close(tokens, expected.detach(), terms=400)
    weights = numbers(12, 24, seed=1)
    (tokens * weights).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    assert x.grad is not None
    assert_close(x.grad, tx.grad.permute(0, 2, 3, 1), terms=4000, scale=0.1)


def test_a_convolutional_stem_halves() -> None:
    with pytest.raises(ValueError, match=re.escape("expected a patch_size that is a power of two, got 6")):
        nn.ConvolutionalStem(6, 24)


# --- pooling


def test_pooling_layers() -> None:
    x = attnkit.tensor(numbers(2, 6, 6, 5))
    for ours, op in ((nn.MaxPool2d, attnkit.ops.max_pool2d), (nn.AvgPool2d, attnkit.ops.avg_pool2d)):
        np.testing.assert_array_equal(ours(3, 2, 1)(x).numpy(), op(x, 3, 2, 1).numpy())
        np.testing.assert_array_equal(ours(2)(x).numpy(), op(x, 2, 2).numpy())
        assert repr(ours(2)) == f"{ours.__name__}(kernel_size=2, stride=None, padding=0)"
    assert_close(nn.GlobalAvgPool2d()(x), x.numpy().mean(axis=(1, 2), dtype=np.float64), terms=36)
    np.testing.assert_array_equal(nn.GlobalMaxPool2d()(x).numpy(), x.numpy().max(axis=(1, 2)))


# --- batch norm


def test_batch_norm_against_pytorch_over_steps_and_in_evaluation() -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = nn.BatchNorm2d(7, eps=1e-3, momentum=0.2), torch.nn.BatchNorm2d(7, eps=1e-3, momentum=0.2)
    randomise(ours)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(np.asarray(ours.weight)))
        theirs.bias.copy_(torch.tensor(np.asarray(ours.bias)))
    for seed in range(4):
        if seed == 3:
            ours.eval(), theirs.eval()
        x = numbers(3, 4, 5, 7, seed=seed) * 2 + 1
        expected = theirs(torch.tensor(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        assert_close(ours(attnkit.tensor(x)), expected.detach(), terms=60)
    for name in ("running_mean", "running_var"):
        assert_close(getattr(ours, name), getattr(theirs, name), terms=60)


def test_running_statistics_are_saved_and_are_no_parameters() -> None:
    layer = nn.BatchNorm2d(4)
    layer(attnkit.tensor(numbers(2, 3, 3, 4) + 5))
    state = layer.state_dict()
    assert sorted(state) == ["bias", "running_mean", "running_var", "weight"]
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert [name for name, _ in nn.ModuleList([layer]).named_buffers()] == ["0.running_mean", "0.running_var"]
    assert state["running_mean"].all()
    other = nn.BatchNorm2d(4)
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.running_mean.numpy(), state["running_mean"])
    with pytest.raises(ValueError, match=re.escape("missing: ['running_var']")):
        other.load_state_dict({name: array for name, array in state.items() if name != "running_var"})
    with pytest.raises(ValueError, match=re.escape("expected running_var of shape [4], got [3]")):
        other.load_state_dict({**state, "running_var": numbers(3)})


def test_evaluation_leaves_the_running_statistics_alone() -> None:
    layer = nn.BatchNorm2d(4).eval()
    before = layer.state_dict()
    layer(attnkit.tensor(numbers(2, 3, 3, 4) + 5))
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


# --- squeeze-and-excitation


def test_squeeze_excitation() -> None:
    layer = nn.SqueezeExcitation(8, reduction=4)
    randomise(layer)
    x = leaf(numbers(2, 3, 4, 8))
    down, up = (np.asarray(part.weight, np.float64) for part in (layer.down, layer.up))
    biases = [np.asarray(part.bias, np.float64) for part in (layer.down, layer.up)]

    def gates(x: np.ndarray) -> np.ndarray:
        hidden = np.maximum(x.mean(axis=(1, 2)) @ down.T + biases[0], 0.0)
        return 1 / (1 + np.exp(-(hidden @ up.T + biases[1])))

    def formula(x: np.ndarray) -> np.ndarray:
        return x * gates(x)[:, None, None]

    assert_close(layer.gates(x), gates(x.numpy().astype(np.float64)), terms=16)
    out = layer(x)
    assert_close(out, formula(x.numpy().astype(np.float64)), terms=16)
    upstream = numbers(*out.shape, seed=1)
    out.backward(upstream)
    assert_close(x.grad, numeric_gradients(formula, [x.numpy()], upstream)[0], terms=16)


# --- attention to feature maps


@pytest.mark.parametrize("scores", ["dot", "parametrised"])
@pytest.mark.parametrize("local_width", [6, 10])
def test_feature_attention(scores: str, local_width: int) -> None:
    layer = nn.FeatureAttention(local_width, 6, scores)
    randomise(layer, deviation=0.5)
    local, whole = leaf(numbers(3, 4, 5, local_width)), leaf(numbers(3, 6, seed=1))

    def formula(local: np.ndarray, whole: np.ndarray) -> np.ndarray:
        rows = local.reshape(3, 20, local_width)
        if layer.projection is not None:
            rows = rows @ np.asarray(layer.projection.weight, np.float64).T
        if layer.direction is None:
            compatibility = np.einsum("bid,bd->bi", rows, whole)  # ⟨l, g⟩
        else:
            compatibility = (rows + whole[:, None]) @ np.asarray(layer.direction, np.float64)[0]  # ⟨u, l + g⟩
        weights = softmax(compatibility)
        return np.concatenate([np.einsum("bi,bid->bd", weights, rows), weights], axis=1)

    pooled, weights = layer(local, whole)
    assert pooled.shape == (3, 6) and weights.shape == (3, 4, 5)
    exact = formula(local.numpy().astype(np.float64), whole.numpy().astype(np.float64))
    assert_close(pooled, exact[:, :6], terms=60)
    assert_close(weights.numpy().reshape(3, 20), exact[:, 6:], terms=60)

    upstream = numbers(3, 6, seed=2)
    pooled.backward(upstream)
    padded = np.concatenate([upstream, np.zeros((3, 20))], axis=1)
    expected = numeric_gradients(formula, [local.numpy(), whole.numpy()], padded)
    assert_close(local.grad, expected[0], terms=60, scale=1.0)
    if scores == "dot":
        assert_close(whole.grad, expected[1], terms=60, scale=1.0)
    else:
        assert np.abs(expected[1]).max() < 1e-6 and whole.grad is None


def test_feature_attention_refuses_other_scores() -> None:
    message = re.escape('[feature_attention] expected scores "dot" or "parametrised", got "cosine"')
    with pytest.raises(ValueError, match=message):
        nn.FeatureAttention(4, 4, "cosine")


# --- stochastic depth


def test_stochastic_depth_leaves_sequences_out_and_keeps_the_mean() -> None:
    layer = nn.StochasticDepth(0.4)
    offsets = np.arange(1001, dtype=np.int32) * 2
    x, residual = leaf(np.ones((2000, 3), np.float32)), numbers(2000, 3)
    out = layer(attnkit.tensor(residual), x, offsets)
    added = (out.numpy() - residual).reshape(1000, 6)
    kept = np.abs(added[:, 0]) > 0.5
    assert abs(kept.mean() - 0.6) < 0.06
    assert_close(added, np.where(kept[:, None], 1 / 0.6, 0.0) * np.ones(6), scale=4.0)
    out.sum().backward()
    assert_close(x.grad, np.repeat(np.where(kept, 1 / 0.6, 0.0), 2)[:, None] * np.ones(3))
    layer.eval()
    assert_close(layer(attnkit.tensor(residual), x, offsets), residual.astype(np.float64) + 1.0, scale=4.0)
    assert not layer.active
    with pytest.raises(ValueError, match=re.escape("[stochastic_depth] expected p in [0, 1), got 1.0")):
        nn.StochasticDepth(1.0)


def test_stochastic_depth_depends_on_the_seed_alone() -> None:
    layer, x = nn.StochasticDepth(0.5), attnkit.tensor(numbers(64, 4))
    offsets = np.arange(65, dtype=np.int32)

    def draw(seed: int) -> np.ndarray:
        _core.manual_seed(seed)
        return layer(x, x, offsets).numpy().copy()

    np.testing.assert_array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_stochastic_depth_in_an_encoder(norm: str) -> None:
    encoder = nn.TransformerEncoder(3, 8, 2, 16, dropout=0.0, norm=norm, stochastic_depth=0.5)
    assert [layer.stochastic_depth.p for layer in encoder.layers] == [0.0, 0.25, 0.5]
    plain = nn.TransformerEncoder(3, 8, 2, 16, dropout=0.0, norm=norm)
    plain.load_state_dict(encoder.state_dict())
    x, offsets = attnkit.tensor(numbers(12, 8)), np.array([0, 5, 12], np.int32)
    draws = [encoder(x, offsets).numpy() for _ in range(8)]
    assert any(not np.array_equal(draws[0], draw) for draw in draws)
    encoder.eval()
    np.testing.assert_array_equal(encoder(x, offsets).numpy(), plain(x, offsets).numpy())


# --- positions


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize("sizes", [(4, 7), (7, 4), (5, 5), (1, 3), (2, 9)], ids=str)
def test_resampling_against_pytorch(sizes: tuple[int, int], method: str) -> None:
    torch = pytest.importorskip("torch")
    old, new = sizes
    grid = numbers(old, old)
    matrix = nn.resampling(old, new, method)
    assert_close(matrix.sum(axis=1), np.ones(new), terms=4)
    expected = torch.nn.functional.interpolate(torch.tensor(grid)[None, None], (new, new), mode=method)
    assert_close(matrix @ grid @ matrix.T, expected[0, 0], terms=16, scale=2.0)


def test_positions_of_a_grid() -> None:
    positions = nn.GridPositions(6, 3, 4, "bilinear")
    assert positions.table(3, 4) is positions.weight
    table = positions.table(5, 2)
    grid = positions.weight.numpy().reshape(3, 4, 6)
    down, across = nn.resampling(3, 5, "bilinear"), nn.resampling(4, 2, "bilinear")
    assert_close(table, np.einsum("ir,jc,rcd->ijd", down, across, grid).reshape(10, 6), terms=8)
    table.sum().backward()
    assert positions.weight.grad is not None and positions.weight.grad.numpy().all()
    np.testing.assert_allclose(positions.fit(table.numpy(), 5, 2).shape, (12, 6))
    with pytest.raises(ValueError, match=re.escape('[resampling] expected "bilinear" or "bicubic", got "nearest"')):
        nn.resampling(2, 3, "nearest")


def test_the_layers_say_what_they_are() -> None:
    shown: dict[str, Any] = {
        "BatchNorm2d(4, eps=1e-05, momentum=0.1, activation=relu)": nn.BatchNorm2d(4, activation="relu"),
        "StochasticDepth(p=0.1)": nn.StochasticDepth(0.1),
        "GridPositions(6, grid=(2, 3), method=bicubic)": nn.GridPositions(6, 2, 3),
    }
    for text, layer in shown.items():
        assert repr(layer) == text
    assert 'scores="dot"' in repr(nn.FeatureAttention(4, 6))
    assert "patch_size=4" in repr(nn.PatchEmbedding(4, 8))
