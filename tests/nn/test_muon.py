"""Muon: which parameters take orthogonal steps, what such a step is, and that nothing else does."""

from __future__ import annotations

import re

import numpy as np
import pytest
from closeness import assert_close

import attnkit
from attnkit import _core, nn, optim
from attnkit._testing import orthogonalise
from attnkit.models.transformer import Transformer
from attnkit.models.transformer_config import TransformerConfig
from attnkit.models.vit import ViT
from attnkit.models.vit_config import ViTConfig
from attnkit.optim.muon import hidden_matrices


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def gradients(layer: nn.Module, seed: int) -> list[np.ndarray]:
    """New ones for all parameters, in their order."""
    arrays = [numbers(*p.shape, seed=seed + i) for i, p in enumerate(layer.parameters())]
    for parameter, array in zip(layer.parameters(), arrays, strict=True):
        parameter.grad = attnkit.tensor(array)
    return arrays


@pytest.mark.parametrize("shape", [(8, 8), (5, 40), (40, 5), (1, 7), (128, 256)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_all_singular_values_end_near_one(shape: tuple[int, int], precision: str) -> None:
    u, _, v = np.linalg.svd(numbers(*shape), full_matrices=False)
    values = np.linspace(1.0, 0.1, min(shape))
    with attnkit.precision(precision):
        result = orthogonalise((u * values @ v).astype(np.float32) * 1000)
    assert result.shape == shape
    found = np.diag(u.T @ result @ v.T)  # in the directions of the matrix
    assert found.min() > 0.6 and found.max() < 1.25
    assert np.linalg.norm(result) ** 2 == pytest.approx((found**2).sum(), rel=1e-3)  # and in no others


def test_products_have_the_precision_of_the_training() -> None:
    matrix = numbers(24, 40)
    exact = orthogonalise(matrix)
    with attnkit.precision("bf16"):
        rounded = orthogonalise(matrix)
    assert 1e-4 < np.abs(rounded - exact).max() < 0.05


def test_no_gradient_is_no_step() -> None:
    np.testing.assert_array_equal(orthogonalise(np.zeros((4, 6), np.float32)), 0)


@pytest.mark.parametrize("shape", [(6, 16), (16, 6)])
def test_against_pytorch(shape: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    rows, columns = shape
    layer = nn.Linear(columns, rows, bias=False)
    theirs = torch.tensor(layer.weight.numpy().copy(), requires_grad=True)
    ours = optim.Muon(layer, lr=0.1, weight_decay=0.3)
    peer = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.3, adjust_lr_fn="match_rms_adamw")
    start = layer.weight.numpy().copy()
    for step in range(4):
        theirs.grad = torch.tensor(gradients(layer, step)[0])
        ours.step()
        peer.step()
    moved, expected = layer.weight.numpy() - start, theirs.detach().numpy() - start
    assert np.abs(moved - expected).max() < 0.03 * np.abs(expected).max()  # PyTorch's products are in bfloat16


def test_matrices_on_top_of_each_other_are_orthogonalised_one_by_one() -> None:
    layer = nn.Linear(4, 12, bias=False, blocks=3)
    start = layer.weight.numpy().copy()
    optimizer = optim.Muon(layer, lr=0.5)
    [gradient] = gradients(layer, 0)
    optimizer.step()
    steps = np.concatenate([orthogonalise(part) for part in gradient.reshape(3, 4, 4)])
    assert_close(layer.weight, start - 0.5 * 0.2 * 2 * steps, terms=40)


def test_convolutions_too() -> None:
    layer = nn.Conv2d(3, 8, 3, bias=False)
    start = layer.weight.numpy().copy()
    optimizer = optim.Muon(layer, lr=0.5)
    [gradient] = gradients(layer, 0)
    optimizer.step()
    step = orthogonalise(gradient.reshape(8, 27)).reshape(layer.weight.shape)
    assert_close(layer.weight, start - 0.5 * 0.2 * 27**0.5 * step, terms=40)


def test_any_number_of_threads_makes_the_same_step() -> None:
    moved = []
    for threads in 1, 3:
        attnkit.set_num_threads(threads)
        attnkit.manual_seed(3)
        layers = nn.ModuleList([nn.Linear(40, 96, blocks=3), nn.Linear(300, 200), nn.Conv2d(8, 16, 3)])
        gradients(layers, 0)
        optim.Muon(layers, lr=0.5).step()
        moved.append([p.numpy().copy() for p in layers.parameters()])
    for one, three in zip(*moved, strict=True):
        np.testing.assert_array_equal(one, three)


@pytest.mark.cpu_only
def test_parameters_and_moments_that_cannot_be_moved_are_refused() -> None:
    weight, gradient = _core.parameter(numbers(4, 2)), attnkit.tensor(numbers(4, 2))
    point, momentum = _core.parameter(np.float32(1)), _core.zeros((4, 2))
    for parameter, matrices in (point, 1), (weight, 0), (weight, 3):
        with pytest.raises(ValueError, match="equal parts"):
            _core.muon_step([parameter], [gradient], [momentum], [matrices], 0.1, 0.9, 0.0, 1.0)
    with pytest.raises(ValueError, match=re.escape("[muon] expected 8 numbers in the gradient and the momentum")):
        _core.muon_step([weight], [gradient], [_core.zeros((3,))], [1], 0.1, 0.9, 0.0, 1.0)
    with pytest.raises(TypeError):  # of a copy nobody would see what became of it
        _core.adam_step(weight, gradient, momentum, momentum.numpy(), 1, 0.1, 0.9, 0.9, 1e-8, 0.0, True, 1.0)  # type: ignore[arg-type]
    array = np.zeros((4, 2), np.float32)
    array.flags.writeable = False
    frozen = _core.from_array(array)
    for parameter, moved in (weight, frozen), (frozen, momentum):
        with pytest.raises(ValueError, match=re.escape("[muon] expected memory that may be written")):
            _core.muon_step([parameter], [gradient], [moved], [1], 0.1, 0.9, 0.0, 1.0)
        with pytest.raises(ValueError, match=re.escape("[adam] expected memory that may be written")):
            _core.adam_step(parameter, gradient, momentum, moved, 1, 0.1, 0.9, 0.9, 1e-8, 0.0, True, 1.0)


def test_the_others_are_adamws() -> None:
    """Biases, norms, embeddings and the last layer."""
    config = TransformerConfig(d_model=8, ffn=16, heads=2, encoder_layers=1, decoder_layers=1, tie_embeddings="none")
    attnkit.manual_seed(3)
    translator = Transformer(config, 11, 13)
    attnkit.manual_seed(3)
    twin = Transformer(config, 11, 13)
    muon, adamw = (kind(what, lr=0.1, weight_decay=0.2) for kind, what in
                   ((optim.Muon, translator), (optim.AdamW, list(twin.parameters()))))  # fmt: skip
    for model in (translator, twin):
        gradients(model, 5)
    muon.step(0.5)
    adamw.step(0.5)
    hidden = {id(weight) for weight, _ in hidden_matrices(translator)}
    same = {name for (name, p), (_, q) in zip(translator.named_parameters(), twin.named_parameters(), strict=True)
            if np.array_equal(p.numpy(), q.numpy())}  # fmt: skip
    assert same == {name for name, p in translator.named_parameters() if id(p) not in hidden}
    assert {"source_embedding.weight", "target_embedding.weight", "generator.weight", "generator.bias"} <= same
    assert not any(name.endswith(("up.weight", "down.weight", "projection.weight")) for name in same)


@pytest.mark.parametrize("name", ["generator", "head", "output"])
def test_layers_that_give_words_or_classes_are_not_hidden(name: str) -> None:
    """Wherever they are: a captioner's and a document classifier's are called output."""

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(3, 3)
            setattr(self.inner, name, nn.Linear(3, 2))
            self.twice = self.inner

    model = Outer()
    assert [id(weight) for weight, _ in hidden_matrices(model)] == [id(model.inner.weight)]


@pytest.mark.parametrize("kind", [nn.SelfAttention, nn.CrossAttention])
def test_the_output_projection_of_an_attention_is_hidden(kind: type[nn.SelfAttention | nn.CrossAttention]) -> None:
    attention = kind(8, 2)
    assert id(attention.output.weight) in {id(weight) for weight, _ in hidden_matrices(attention)}


def test_groups_of_a_convolution_are_matrices_of_their_own() -> None:
    [(_, blocks)] = hidden_matrices(nn.Conv2d(4, 8, 3, groups=2))
    assert blocks == 2


def test_the_head_of_a_classifier_is_not_hidden() -> None:
    model = ViT(ViTConfig(image_size=8, patch_size=4, channels=1, d_model=8, layers=1, heads=2, ffn=16), classes=3)
    hidden = {id(weight) for weight, _ in hidden_matrices(model)}
    assert model.head is not None and id(model.head.weight) not in hidden
    assert id(model.patches.projection.weight) in hidden


def test_a_weight_without_a_gradient_stays() -> None:
    layer = nn.Linear(3, 2)
    before = layer.weight.numpy().copy()
    optim.Muon(layer, lr=1.0, weight_decay=0.5).step()
    np.testing.assert_array_equal(layer.weight, before)


def test_taken_up_again() -> None:
    one, other = nn.Linear(4, 6), nn.Linear(4, 6)
    first, second = optim.Muon(one, lr=0.1), optim.Muon(other, lr=0.1)
    gradients(one, 1)
    first.step()
    other.load_state_dict(one.state_dict())
    second.load_state_dict({name: np.copy(value) for name, value in first.state_dict().items()})
    assert second.steps == 1
    for layer, optimizer in ((one, first), (other, second)):
        gradients(layer, 9)
        optimizer.step()
        optimizer.zero_grad()
        assert layer.weight.grad is None and layer.bias is not None and layer.bias.grad is None
    np.testing.assert_array_equal(one.weight, other.weight.numpy())
    with pytest.raises(ValueError, match=re.escape("[optim] expected momentum.0 of shape [6, 4], got nothing")):
        second.load_state_dict({k: v for k, v in first.state_dict().items() if k != "momentum.0"})


def test_what_it_refuses() -> None:
    with pytest.raises(ValueError, match=re.escape("[optim] expected momentum in [0, 1), got 1.0")):
        optim.Muon(nn.Linear(2, 2), momentum=1.0)
    with pytest.raises(ValueError, match=re.escape("[optim] expected lr >= 0")):
        optim.Muon(nn.Linear(2, 2), lr=-1)
