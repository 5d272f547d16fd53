"""The glimpse model: its policy's gradient by the formula, answers that do not depend on chance, a tiny task."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit.models import GlimpseConfig, ImageBatch, build_model, load_model, save_model
from attnkit.models.gaussian_policy import GaussianPolicy, reinforce
from attnkit.models.glimpse import Glimpse
from attnkit.optim import Adam

SMALL: dict[str, Any] = dict(glimpses=3, size=4, scales=2, channels=1, width=16, hidden=16)


def small_model(classes: int = 4, **options: Any) -> Glimpse:
    attnkit.manual_seed(3)
    return build_model(GlimpseConfig(**{**SMALL, **options}), classes)


def images_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 12, 12, 1)).astype(np.float32)


def test_the_policy_follows_reinforce_with_a_learned_baseline() -> None:
    attnkit.manual_seed(1)
    policy = GaussianPolicy(3, 2, 0.2)
    state = (0.2 * np.random.default_rng(4).standard_normal((5, 3))).astype(np.float32)
    rewards = np.array([0.0, 1.0, 0.25, 0.5, 1.0], np.float32)
    attnkit.manual_seed(9)
    step = policy(attnkit.tensor(state))
    term = reinforce([step], rewards)
    assert term.item() == 0.0
    term.backward()

    weight, bias = (np.asarray(x, np.float64) for x in (policy.mean.weight, policy.mean.bias))
    mean = np.tanh(state @ weight.T + bias)
    assert (np.abs(step.chosen) < 1).all()  # so that none is cut at the edge
    expected = state @ np.asarray(policy.baseline.weight, np.float64)[0] + np.asarray(policy.baseline.bias)[0]
    # d/dm log N(x; m, s) = (x - m) / s²; d tanh = 1 - tanh²; what is minimised is -mean (R - b) log p.
    by_mean = -((rewards - expected)[:, None] * (step.chosen - mean) / 0.2**2) * (1 - mean**2) / 5
    assert policy.mean.weight.grad is not None and policy.baseline.weight.grad is not None
    np.testing.assert_allclose(policy.mean.weight.grad.numpy(), by_mean.T @ state, rtol=2e-4, atol=1e-5)
    by_baseline = 2 * (expected - rewards) / 5
    np.testing.assert_allclose(policy.baseline.weight.grad.numpy()[0], by_baseline @ state, rtol=2e-4, atol=1e-5)


def test_the_estimate_is_unbiased() -> None:
    """For the reward -(x - 0.5)² the gradient of its mean by the Gaussian's is -2 (m - 0.5), whatever the baseline."""
    policy = GaussianPolicy(1, 1, 0.1)
    policy.mean.weight.copy_(np.zeros((1, 1), np.float32))
    policy.mean.bias.copy_(np.zeros(1, np.float32))
    attnkit.manual_seed(2)
    step = policy(attnkit.tensor(np.ones((200_000, 1), np.float32)))
    reinforce([step], -((step.chosen[:, 0] - 0.5) ** 2)).backward()
    assert policy.mean.bias.grad is not None
    assert policy.mean.bias.grad.numpy()[0] == pytest.approx(-1.0, abs=0.05)  # of what is minimised


@pytest.mark.parametrize("places", ["learned", "random"])
def test_every_parameter_learns_and_the_loss_is_the_cross_entropy(places: str) -> None:
    model = small_model(places=places)
    batch = ImageBatch(images_of(6), np.array([0, 1, 2, 3, 0, 1], np.int32))
    result = model.loss(batch)
    assert result.loss.item() == pytest.approx(result.nll_sum / 6, rel=1e-5)
    result.loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert any("policy" in name for name, _ in model.named_parameters()) == (places == "learned")


@pytest.mark.parametrize("places", ["learned", "random"])
def test_evaluation_depends_neither_on_chance_nor_on_the_batch(places: str, tmp_path: Path) -> None:
    model = small_model(places=places).eval()
    images = images_of(7)
    before = model.predict(images).numpy()
    attnkit.manual_seed(77)
    assert np.array_equal(model.predict(images).numpy(), before)
    np.testing.assert_array_equal(model.predict(images[2:4]).numpy(), before[2:4])
    save_model(model, tmp_path)
    assert np.array_equal(load_model(tmp_path).eval().predict(images).numpy(), before)
    model.train()
    assert not np.array_equal(model(images).numpy(), model(images).numpy())


def test_look_says_where_and_attention_marks_it() -> None:
    model = small_model().eval()
    images = images_of(5)
    look = model.look(images)
    assert look.places.shape == (5, 3, 2) and look.log_probs.shape == (5, 3, 4)
    assert (look.places[:, 0] == 0).all() and (np.abs(look.places) <= 1).all()
    np.testing.assert_array_equal(look.log_probs[:, -1], model.predict(images).numpy())
    again = model.look(images, look.places)
    np.testing.assert_array_equal(again.log_probs, look.log_probs)
    assert model.look(images, np.full((5, 2, 2), 0.5)).log_probs.shape == (5, 2, 4)
    maps = model.attention(images)
    assert maps.shape == (5, 12, 12)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1.0, rtol=1e-5)
    assert (maps[:, 4:8, 4:8] > 0).all()  # the first glimpse
    each = model.attention_by_glimpse(images)
    np.testing.assert_allclose(each.sum(axis=(2, 3)), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(each[:, 0] > 0, np.pad(np.ones((5, 4, 4), bool), ((0, 0), (4, 4), (4, 4))))


def test_it_learns_to_look_where_the_answer_is() -> None:
    """Bars in one of four corners, upright or level: blocks of the coarse crop hold whole ones, alike, and the first
    sharp crop is beside them."""
    random = np.random.default_rng(5)
    corners, kinds = random.integers(0, 4, 512), random.integers(0, 2, 512)
    images = np.zeros((512, 16, 16, 1), np.float32)
    for image, corner, kind in zip(images, corners, kinds, strict=True):
        y, x = 12 * (corner // 2), 12 * (corner % 2)
        image[y : y + 4, x : x + 4] = np.where(np.indices((4, 4))[kind] % 2, 3.0, -1.0)[..., None]
    model = small_model(2, glimpses=2, size=4, scales=3, deviation=0.3, width=32, hidden=32)
    optimizer = Adam(model.parameters(), lr=0.005)
    for _ in range(500):
        chosen = random.integers(0, 512, 64)
        optimizer.zero_grad()
        model.loss(ImageBatch(images[chosen], kinds[chosen].astype(np.int32))).loss.backward()
        optimizer.step()
    model.eval()
    assert (model.predict(images).numpy().argmax(axis=1) == kinds).mean() > 0.95
    middles = np.stack([12 * (corners // 2) + 2, 12 * (corners % 2) + 2], axis=1) / 8 - 1
    missed = np.abs(model.look(images).places[:, 1] - middles).max(axis=1)
    assert np.median(missed) < 0.4  # 3 pixels


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("expected images of shape [B, H, W, 1], got [2, 8, 8, 3]")):
        small_model()(np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(ValueError, match="scales: expected crops of at most 512 pixels a side, got 1024"):
        GlimpseConfig(size=32, scales=6)
