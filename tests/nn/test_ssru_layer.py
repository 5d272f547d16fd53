"""nn.SSRU, alone and in a decoder: against its formula, its gradients, and a token at a time against all at once."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference_recurrent
from closeness import assert_close, numeric_gradients
from decoder_steps import CLOSE, check_steps
from pytorch_twin import randomise

import attnkit
from attnkit import nn

OFFSETS = np.array([0, 4, 4, 5, 30], np.int32)
MEMORY_OFFSETS = np.array([0, 3, 12, 14], np.int32)


def numbers(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def formula(x: Any, weight: Any, bias: Any) -> npt.NDArray[np.float64]:
    """h of every token, from zeros."""
    x, weight, bias = (np.asarray(array, np.float64) for array in (x, weight, bias))
    return reference_recurrent.ssru(x @ weight.T, OFFSETS, bias, np.zeros((len(OFFSETS) - 1, len(bias))))[0]


@pytest.mark.parametrize("width", [1, 19, 48])
def test_the_formula(width: int) -> None:
    layer = nn.SSRU(width)
    randomise(layer)
    assert layer.weight.shape == (2 * width, width) and layer.bias.shape == (width,)
    x = numbers(30, width)
    assert_close(layer(attnkit.tensor(x), OFFSETS), formula(x, layer.weight, layer.bias), terms=width)


def test_gradients() -> None:
    layer = nn.SSRU(3)
    randomise(layer, deviation=0.7)
    array, upstream = numbers(30, 3), numbers(30, 3, seed=1)
    x = attnkit.tensor(array, requires_grad=True)
    layer(x, OFFSETS).backward(upstream)
    exact = numeric_gradients(formula, [array, layer.weight.numpy(), layer.bias.numpy()], upstream)
    for tensor, expected in zip((x, layer.weight, layer.bias), exact, strict=True):
        assert_close(tensor.grad, expected, terms=30, scale=1.0)


def test_its_first_values() -> None:
    """Of each of the two matrices as of one alone, and gates that are half open."""
    layer = nn.SSRU(64)
    bound = np.sqrt(6 / 128)
    for part in np.split(layer.weight.numpy(), 2):
        assert 0.95 * bound < np.abs(part).max() <= bound
    assert not layer.bias.numpy().any()
    assert [name for name, _ in layer.named_parameters()] == ["bias", "projection.weight"]


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=re.escape("[ssru] expected a width of at least 1, got 0")):
        nn.SSRU(0)


def test_its_step_is_its_forward() -> None:
    """To the bit, token by token."""
    layer = nn.SSRU(24).eval()
    randomise(layer)
    x = numbers(3, 40, 24)
    with attnkit.no_grad():
        whole = layer(attnkit.tensor(x.reshape(-1, 24)), np.arange(0, 121, 40, dtype=np.int32)).numpy()
        memory = attnkit.tensor(np.zeros((3, 2), np.float32))
        state = attnkit._core.DecoderState([memory], np.arange(4, dtype=np.int32), 24)
        for t in range(40):
            state.advance()
            step = layer.step(attnkit.tensor(x[:, t].copy()), state, 0).numpy()
            np.testing.assert_array_equal(step, whole.reshape(3, 40, 24)[:, t])


# --- in a decoder


def test_a_layer_has_it_in_place_of_its_self_attention() -> None:
    layer = nn.TransformerDecoderLayer(16, 2, 24, ssru=True)
    names = {name for name, _ in layer.named_parameters()}
    with_attention = {name for name, _ in nn.TransformerDecoderLayer(16, 2, 24).named_parameters()}
    assert names - with_attention == {"ssru.projection.weight", "ssru.bias"}
    assert with_attention - names == {
        f"self_attention.{part}.{kind}" for part in ("projection", "output") for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_decoder_knows_the_words_before_and_none_behind(norm: str) -> None:
    decoder = nn.TransformerDecoder(2, 16, 2, 24, dropout=0.0, norm=norm, ssru=True).eval()
    randomise(decoder)
    x, memory = numbers(12, 16), attnkit.tensor(numbers(5, 16, seed=1))

    def read(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        whole = np.array([0, 12], np.int32), memory, np.array([0, 5], np.int32)
        return decoder(attnkit.tensor(array), *whole).numpy()

    changed = x.copy()
    changed[5, :8] += 1.0  # of some numbers: a norm takes away what all have
    differs = (read(x) != read(changed)).any(axis=1)
    assert not differs[:5].any() and differs[5:8].all()


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("options", [{}, {"norm": "pre", "gated": True, "head_dim": 5}], ids=str)
def test_a_decoder_steps_as_it_reads_all_at_once(options: dict[str, Any], precision: str) -> None:
    """In one call, and layer by layer with the same bytes."""
    decoder = nn.TransformerDecoder(2, 24, 4, 32, dropout=0.0, ssru=True, **options).eval()
    randomise(decoder)
    check_steps(decoder, precision)
