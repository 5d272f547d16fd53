"""Biases of relative positions: T5's buckets and ALiBi's slopes, shared by layers, in training and a step at a time."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from closeness import assert_close
from decoder_steps import CLOSE, check_steps
from pytorch_twin import randomise

import attnkit
from attnkit import nn
from attnkit.nn.attention.position_bias import alibi_slopes, distance_buckets

Array = npt.NDArray[Any]

OFFSETS = np.array([0, 5, 6, 40], np.int32)
MEMORY_OFFSETS = np.array([0, 3, 12, 14], np.int32)


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# --- the tables


def test_buckets_by_hand() -> None:
    """8 buckets to 16 places: of each side's 4, one for 0 and 1 each, then 2 to 5 (2√8 = 5.7) and all beyond."""
    distance = np.array([-99, -16, -6, -5, -2, -1, 0, 1, 2, 5, 6, 16, 99])
    both = distance_buckets(distance, 8, 16, True)
    np.testing.assert_array_equal(both, [3, 3, 3, 2, 2, 1, 0, 5, 6, 6, 7, 7, 7])
    before = distance_buckets(distance, 4, 16, False)
    np.testing.assert_array_equal(before, [3, 3, 3, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("buckets", "max_distance"), [(32, 128), (32, 64), (16, 100), (64, 256), (8, 20), (4, 2)])
def test_buckets_as_float32_counts_them(buckets: int, max_distance: int, bidirectional: bool) -> None:
    """The formula of the paper's code with PyTorch's logarithm, which decided the borders that models learnt with."""
    torch = pytest.importorskip("torch")
    if max_distance <= buckets // (4 if bidirectional else 2):
        return
    distance = torch.arange(-2 * max_distance, 2 * max_distance + 1)
    side = buckets // 2 if bidirectional else buckets
    far = distance.abs() if bidirectional else (-distance).clamp(min=0)
    near = side // 2
    wide = near + (torch.log(far.float() / near) / math.log(max_distance / near) * (side - near)).to(torch.long)
    expected = torch.where(far < near, far, wide.clamp(max=side - 1))
    if bidirectional:
        expected = expected + (distance > 0) * side
    found = distance_buckets(distance.numpy(), buckets, max_distance, bidirectional)
    np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_table_of_a_trained_bias(bidirectional: bool) -> None:
    bias = nn.RelativePositionBias(3, buckets=8, max_distance=16, bidirectional=bidirectional)
    table = bias.table(1000).numpy()
    weight = bias.weight.numpy()
    assert table.shape == (3, 33) and weight.shape == (8, 3)
    for distance in range(-16, 17):
        bucket = distance_buckets(np.array(distance), 8, 16, bidirectional)
        np.testing.assert_array_equal(table[:, 16 + distance], weight[bucket])
    assert repr(bias) == f"RelativePositionBias(3, buckets=8, max_distance=16, bidirectional={bidirectional})"


def test_slopes() -> None:
    np.testing.assert_allclose(alibi_slopes(8), 2.0 ** -np.arange(1, 9))
    np.testing.assert_allclose(alibi_slopes(1), [2.0**-8])
    np.testing.assert_allclose(
        alibi_slopes(6), [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3]
    )  # 4 heads' slopes, then the first and third of 8 heads'
    bias = nn.ALiBi(2)
    for length in (1, 5, 40, 7):
        table = bias.table(length).numpy()
        reach = table.shape[1] // 2
        assert reach >= length - 1
        assert_close(table, -np.abs(np.arange(-reach, reach + 1)) * alibi_slopes(2)[:, None])
    assert not list(bias.parameters())


# --- in layers


def shared(kind: str, heads: int, causal: bool) -> nn.PositionBias:
    if kind == "alibi":
        return nn.ALiBi(heads)
    return nn.RelativePositionBias(heads, buckets=8, max_distance=6, bidirectional=not causal, deviation=1.0)


@pytest.mark.parametrize("kind", ["learned", "alibi"])
@pytest.mark.parametrize("causal", [False, True])
def test_a_stack_with_a_bias_against_pytorch(kind: str, causal: bool) -> None:
    """torch's encoder takes the bias as a float mask; the gradient of the learned one comes from both layers."""
    torch = pytest.importorskip("torch")
    ours = nn.TransformerEncoder(2, 16, 4, 24, dropout=0.0, position_bias=shared(kind, 4, causal))
    randomise(ours)
    array, upstream = numbers(40, 16), numbers(40, 16, seed=2)
    x, y = attnkit.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    weights = {name: torch.tensor(value, requires_grad=True) for name, value in ours.state_dict().items()}
    rows = [torch_stack(torch, weights, y[begin:end], ours, causal) for begin, end in pairwise(OFFSETS)]
    out = ours(x, OFFSETS, causal=causal)
    assert_close(out.numpy(), torch.cat(rows).detach().numpy(), terms=64, scale=1.0)
    out.backward(upstream)
    torch.cat(rows).backward(torch.tensor(upstream))
    assert x.grad is not None
    assert_close(x.grad.numpy(), y.grad.numpy(), terms=256, scale=1.0)
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None
        assert_close(parameter.grad.numpy(), weights[name].grad.numpy(), terms=1024, scale=1.0)


def torch_stack(torch: Any, weights: dict[str, Any], x: Any, ours: nn.TransformerEncoder, causal: bool) -> Any:
    """Two post-norm layers of one sentence, from weights under our names."""
    functional, n = torch.nn.functional, len(x)
    distance = torch.arange(n)[None, :] - torch.arange(n)[:, None]
    if "position_bias.weight" in weights:
        buckets = distance_buckets(distance.numpy(), 8, 6, not causal)
        bias = weights["position_bias.weight"][torch.tensor(buckets.astype(np.int64))].permute(2, 0, 1)
    else:
        bias = -torch.tensor(alibi_slopes(4).astype(np.float32))[:, None, None] * distance.abs()
    if causal:
        bias = bias.masked_fill(distance > 0, float("-inf"))
    for layer in range(2):
        own = {name.removeprefix(f"layers.{layer}."): value for name, value in weights.items()}
        projected = functional.linear(x, own["attention.projection.weight"], own["attention.projection.bias"])
        q, k, v = projected.reshape(n, 3, 4, -1).permute(1, 2, 0, 3)
        found = functional.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=bias[None])[0]
        found = functional.linear(
            found.transpose(0, 1).reshape(n, -1), own["attention.output.weight"], own["attention.output.bias"]
        )
        norm = own["attention_norm.weight"], own["attention_norm.bias"]
        x = functional.layer_norm(x + found, (16,), *norm)
        up = functional.linear(x, own["feed_forward.up.weight"], own["feed_forward.up.bias"]).relu()
        down = functional.linear(up, own["feed_forward.down.weight"], own["feed_forward.down.bias"])
        x = functional.layer_norm(x + down, (16,), own["feed_forward_norm.weight"], own["feed_forward_norm.bias"])
    return x


def test_a_cross_attention_takes_a_bias_too() -> None:
    layer = nn.CrossAttention(8, 2, memory_width=6).eval()
    randomise(layer)
    x, memory = attnkit.tensor(numbers(9, 8)), attnkit.tensor(numbers(5, 6, seed=1))
    table, ends = attnkit.tensor(numbers(2, 7, seed=2)), np.array([0, 5], np.int32)
    with attnkit.no_grad():
        whole = layer(x, np.array([0, 9], np.int32), memory, ends, position_bias=table).numpy()
        assert not np.allclose(whole, layer(x, np.array([0, 9], np.int32), memory, ends).numpy())
        state = attnkit._core.DecoderState([layer.key_value(memory)], ends)
        for i in range(9):
            state.advance()
            step = layer.step(attnkit.tensor(x.numpy()[i : i + 1].copy()), state, 0, position_bias=table)
            assert_close(step.numpy(), whole[i : i + 1], terms=16, scale=1.0)


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize("kind", ["learned", "alibi"])
def test_a_decoder_steps_as_it_reads_all_at_once(kind: str, precision: str) -> None:
    """In one call, layer by layer with the same bytes, and as `forward`; sixty steps go beyond every distance."""
    decoder = nn.TransformerDecoder(
        2, 24, 4, 32, dropout=0.0, position_bias=shared(kind, 4, causal=True), head_dim=5
    ).eval()
    randomise(decoder)
    check_steps(decoder, precision)


@pytest.mark.parametrize("kind", ["learned", "alibi"])
def test_a_causal_stack_steps_as_it_reads_all_at_once(kind: str) -> None:
    stack = nn.TransformerEncoder(2, 24, 4, 32, dropout=0.0, norm="pre", position_bias=shared(kind, 4, True)).eval()
    randomise(stack)
    x, offsets = numbers(2, 50, 24), np.array([0, 50, 100], np.int32)
    with attnkit.no_grad():
        whole = np.asarray(stack(attnkit.tensor(x.reshape(-1, 24)), offsets, causal=True)).reshape(2, 50, 24)
        state = stack.start(2)
        for i in range(50):
            step = stack.step(attnkit.tensor(x[:, i].copy()), state).numpy()
            assert np.linalg.norm(step - whole[:, i]) <= CLOSE["fp32"] * np.linalg.norm(step)


def test_the_fused_step_refuses_a_wrong_table_before_it_advances() -> None:
    decoder = nn.TransformerDecoder(1, 8, 2, 12).eval()
    memory = attnkit.tensor(numbers(14, 8))
    with attnkit.no_grad():
        state, fused = decoder.start(memory, MEMORY_OFFSETS), decoder.fuse()
        assert fused is not None
        with pytest.raises(
            ValueError, match=r"\[decoder_step\] expected position_bias of shape \[2, 2 \* reach \+ 1\]"
        ):
            fused.step(attnkit.tensor(numbers(3, 8)), state, position_bias=attnkit.tensor(numbers(2, 4)))
        assert state.position == 0


def test_a_bias_learns_what_the_words_cannot_say() -> None:
    """Each token's target is the token two places before it; without positions the words do not tell which that is."""
    attnkit.manual_seed(0)
    embedding = nn.Embedding(6, 16)
    stack = nn.TransformerEncoder(1, 16, 2, 32, dropout=0.0, norm="pre", position_bias=shared("learned", 2, True))
    output = nn.Linear(16, 6)
    parameters = [*embedding.parameters(), *stack.parameters(), *output.parameters()]
    optimizer = attnkit.optim.Adam(parameters, lr=3e-2)
    ids = np.random.default_rng(0).integers(0, 6, (8, 12)).astype(np.int32)
    offsets = np.arange(0, 97, 12, dtype=np.int32)
    labels = np.where(np.arange(12) < 2, -100, np.roll(ids, 2, axis=1)).astype(np.int32).ravel()
    before = stack.position_bias.weight.numpy().copy()  # type: ignore[union-attr]
    for _ in range(150):
        loss = attnkit.ops.cross_entropy(output(stack(embedding(ids.ravel()), offsets, causal=True)), labels)
        loss.backward()
        optimizer.step()
        for parameter in parameters:
            parameter.zero_grad()
    assert float(loss.item()) < 0.1
    assert np.abs(stack.position_bias.weight.numpy() - before).max() > 0.3  # type: ignore[union-attr]


def test_errors() -> None:
    for arguments, message in (
        (
            (2, 2),
            "[position_bias] expected at least 4 buckets and a max_distance above a quarter of them, got 2 and 128",
        ),
        ((2, 32, 8), "a max_distance above a quarter of them, got 32 and 8"),
        ((2, 32, 16, False), "at least 2 buckets and a max_distance above a half of them, got 32 and 16"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            nn.RelativePositionBias(*arguments)
    with pytest.raises(ValueError, match="expected at least one head, got 0"):
        nn.ALiBi(0)
    with pytest.raises(NotImplementedError, match="expected a table method in PositionBias"):
        nn.PositionBias().table(3)
