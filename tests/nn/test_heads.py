"""Heads of any width, memories of another width than the queries: by formula, against PyTorch, a step at a time."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from closeness import assert_close
from pytorch_twin import randomise
from reference import attention

import attnkit
from attnkit import nn

Array = npt.NDArray[Any]

D_MODEL, HEADS, MEMORY_WIDTH = 24, 4, 10
OFFSETS = np.array([0, 5, 6, 13], np.int32)
MEMORY_OFFSETS = np.array([0, 3, 12, 14], np.int32)
HEAD_DIMS = [1, 5, 16]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def linear(layer: nn.Linear, x: Array) -> Array:
    assert layer.bias is not None
    projected: Array = x.astype(np.float64) @ layer.weight.numpy().T.astype(np.float64) + layer.bias.numpy()
    return projected


def by_formula(query: Array, key: Array, value: Array, heads: int, **options: Any) -> Array:
    """Of one sentence: [n, heads · head_dim] each."""
    split = [x.reshape(len(x), heads, -1).swapaxes(0, 1)[None] for x in (query, key, value)]
    attended, _ = attention(split[0], split[1], split[2], **options)
    return attended[0].swapaxes(0, 1).reshape(len(query), -1)


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_self_attention_by_formula(head_dim: int, isa: str) -> None:
    layer = nn.SelfAttention(D_MODEL, HEADS, head_dim=head_dim)
    randomise(layer)
    assert layer.projection.weight.shape == (3 * HEADS * head_dim, D_MODEL)
    assert layer.output.weight.shape == (D_MODEL, HEADS * head_dim)
    x = numbers(13, D_MODEL)
    got = layer(attnkit.tensor(x), OFFSETS, causal=True).numpy()
    for begin, end in pairwise(OFFSETS):
        query, key, value = np.split(linear(layer.projection, x[begin:end]), 3, axis=1)
        expected = linear(layer.output, by_formula(query, key, value, HEADS, causal=True))
        assert_close(got[begin:end], expected, terms=D_MODEL + HEADS * head_dim)


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_cross_attention_by_formula(head_dim: int, isa: str) -> None:
    layer = nn.CrossAttention(D_MODEL, HEADS, head_dim=head_dim, memory_width=MEMORY_WIDTH)
    randomise(layer)
    assert layer.key_value.weight.shape == (2 * HEADS * head_dim, MEMORY_WIDTH)
    x, memory = numbers(13, D_MODEL), numbers(14, MEMORY_WIDTH, seed=1)
    got = layer(attnkit.tensor(x), OFFSETS, attnkit.tensor(memory), MEMORY_OFFSETS).numpy()
    for b in range(3):
        rows, keys = slice(*OFFSETS[b : b + 2]), slice(*MEMORY_OFFSETS[b : b + 2])
        key, value = np.split(linear(layer.key_value, memory[keys]), 2, axis=1)
        attended = by_formula(linear(layer.query, x[rows]), key, value, HEADS)
        assert_close(got[rows], linear(layer.output, attended), terms=D_MODEL + HEADS * head_dim)


def copy_cross_attention(ours: nn.CrossAttention, theirs: Any) -> None:
    """Into a torch.nn.MultiheadAttention with kdim and vdim, which has a weight for each of query, key and value."""
    import torch

    assert ours.query.bias is not None and ours.key_value.bias is not None
    key, value = np.split(ours.key_value.weight.numpy(), 2)
    with torch.no_grad():
        theirs.q_proj_weight.copy_(torch.tensor(ours.query.weight.numpy()))
        theirs.k_proj_weight.copy_(torch.tensor(key))
        theirs.v_proj_weight.copy_(torch.tensor(value))
        theirs.in_proj_bias.copy_(torch.tensor(np.concatenate([ours.query.bias.numpy(), ours.key_value.bias.numpy()])))
        theirs.out_proj.weight.copy_(torch.tensor(ours.output.weight.numpy()))
        theirs.out_proj.bias.copy_(torch.tensor(np.asarray(ours.output.bias)))


def test_a_memory_of_another_width_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    ours = nn.CrossAttention(D_MODEL, HEADS, memory_width=MEMORY_WIDTH)
    theirs = torch.nn.MultiheadAttention(D_MODEL, HEADS, kdim=MEMORY_WIDTH, vdim=MEMORY_WIDTH, batch_first=True)
    randomise(ours)
    copy_cross_attention(ours, theirs)
    arrays = numbers(13, D_MODEL), numbers(14, MEMORY_WIDTH, seed=1)
    x, memory = (attnkit.tensor(a, requires_grad=True) for a in arrays)
    y, other = (torch.tensor(a, requires_grad=True) for a in arrays)
    out = ours(x, OFFSETS, memory, MEMORY_OFFSETS)
    expected = torch.cat(
        [
            theirs(y[None, slice(*OFFSETS[b : b + 2])], source, source)[0][0]
            for b in range(3)
            for source in [other[None, slice(*MEMORY_OFFSETS[b : b + 2])]]
        ]
    )
    assert_close(out.numpy(), expected.detach().numpy(), terms=D_MODEL, scale=1.0)
    upstream = numbers(13, D_MODEL, seed=2)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    pairs = [
        (x.grad, y.grad),
        (memory.grad, other.grad),
        (ours.query.weight.grad, theirs.q_proj_weight.grad),
        (ours.key_value.weight.grad, torch.cat([theirs.k_proj_weight.grad, theirs.v_proj_weight.grad])),
        (ours.output.weight.grad, theirs.out_proj.weight.grad),
    ]
    for mine, his in pairs:
        assert mine is not None
        assert_close(mine.numpy(), his.numpy(), terms=D_MODEL * 4, scale=1.0)


def test_gradients_of_wide_heads_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    ours = nn.SelfAttention(D_MODEL, HEADS, head_dim=16)
    randomise(ours)
    array, upstream = numbers(13, D_MODEL), numbers(13, D_MODEL, seed=2)
    x, y = attnkit.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    parameters = {name: torch.tensor(value, requires_grad=True) for name, value in ours.state_dict().items()}
    rows = []
    for part in np.split(np.arange(13), OFFSETS[1:-1]):
        projected = torch.nn.functional.linear(y[part], parameters["projection.weight"], parameters["projection.bias"])
        q, k, v = projected.reshape(len(part), 3, HEADS, 16).permute(1, 2, 0, 3)
        attended = torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        attended = attended.transpose(0, 1).reshape(len(part), -1)
        rows.append(torch.nn.functional.linear(attended, parameters["output.weight"], parameters["output.bias"]))
    torch.cat(rows).backward(torch.tensor(upstream))
    ours(x, OFFSETS, causal=True).backward(upstream)
    assert x.grad is not None
    assert_close(x.grad.numpy(), y.grad.numpy(), terms=D_MODEL * 4, scale=1.0)
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None
        assert_close(parameter.grad.numpy(), parameters[name].grad.numpy(), terms=D_MODEL * 4, scale=1.0)


# How far a step may lie from all at once: a number that falls to the other side of a rounding changes what follows.
CLOSE = {"fp32": 1e-5, "bf16": 2e-2, "int8": 4e-2}


@pytest.mark.parametrize("precision", CLOSE)
def test_a_decoder_steps_as_it_reads_all_at_once(precision: str) -> None:
    decoder = nn.TransformerDecoder(2, D_MODEL, HEADS, 32, dropout=0.0, head_dim=5, memory_width=MEMORY_WIDTH).eval()
    randomise(decoder)
    x, memory = numbers(3, 6, D_MODEL), attnkit.tensor(numbers(14, MEMORY_WIDTH, seed=1))
    with attnkit.no_grad(), attnkit.precision(precision):
        offsets = np.arange(0, 19, 6, dtype=np.int32)
        whole = np.asarray(decoder(attnkit.tensor(x.reshape(18, D_MODEL)), offsets, memory, MEMORY_OFFSETS))
        state, fused = decoder.start(memory, MEMORY_OFFSETS), decoder.fuse()
        assert fused is not None
        for i in range(6):
            step, _ = decoder.step(attnkit.tensor(x[:, i].copy()), state, fused)
            difference = step.numpy() - whole.reshape(3, 6, D_MODEL)[:, i]
            assert np.linalg.norm(difference) <= CLOSE[precision] * np.linalg.norm(step.numpy())


@pytest.mark.parametrize("precision", CLOSE)
def test_a_causal_stack_steps_as_it_reads_all_at_once(precision: str) -> None:
    stack = nn.TransformerEncoder(2, D_MODEL, HEADS, 32, dropout=0.0, norm="pre", head_dim=16).eval()
    randomise(stack)
    x = numbers(3, 6, D_MODEL)
    with attnkit.no_grad(), attnkit.precision(precision):
        offsets = np.arange(0, 19, 6, dtype=np.int32)
        whole = np.asarray(stack(attnkit.tensor(x.reshape(18, D_MODEL)), offsets, causal=True))
        state = stack.start(3)
        for i in range(6):
            step = stack.step(attnkit.tensor(x[:, i].copy()), state).numpy()
            difference = step - whole.reshape(3, 6, D_MODEL)[:, i]
            assert np.linalg.norm(difference) <= CLOSE[precision] * np.linalg.norm(step)


def test_the_width_of_a_head_that_divides_is_what_it_was() -> None:
    for made in (nn.SelfAttention, nn.CrossAttention):
        attnkit.manual_seed(3)
        plain = made(8, 2)
        attnkit.manual_seed(3)
        named = made(8, 2, head_dim=4)
        assert "head_dim=4" in repr(plain) and plain.width == 8
        for name, value in plain.state_dict().items():
            np.testing.assert_array_equal(named.state_dict()[name], value)
    assert nn.MultiHeadAttention(10, 4, head_dim=3).width == 12


def test_errors() -> None:
    for call, message in (
        (lambda: nn.SelfAttention(8, 2, head_dim=0), "[attention] expected a head_dim of at least 1, got 0"),
        (lambda: nn.CrossAttention(8, 2, memory_width=0), "[attention] expected a memory_width of at least 1, got 0"),
        (lambda: nn.CrossAttention(9, 2, memory_width=8), "expected d_model to be a multiple of heads, got 9 and 2"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            call()
