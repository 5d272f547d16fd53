"""Module, and the layers against PyTorch's."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from closeness import assert_close
from pytorch_twin import (
    copy_attention,
    copy_decoder_layer,
    copy_encoder_layer,
    gradients_by_our_names,
    randomise,
    torch_layer,
)

import attnkit
from attnkit import nn, ops


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Block(nn.Module):
    """Two layers, a parameter of its own, and one matrix in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = attnkit.tensor(np.ones(3, np.float32), requires_grad=True)
        self.constant = attnkit.tensor(np.ones(3, np.float32))  # needs no gradient: not a parameter
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.rest = nn.ModuleList([nn.Dropout(0.5), nn.LayerNorm(3)])

    def forward(self, x: attnkit.Tensor) -> attnkit.Tensor:
        for layer in self.rest:
            x = layer(x)
        return self.second(self.first(x)) * self.scale


# --- Module


def test_named_parameters_come_in_order_of_definition_and_shared_ones_once() -> None:
    block = Block()
    names = [name for name, _ in block.named_parameters()]
    assert names == ["scale", "first.weight", "first.bias", "rest.1.weight", "rest.1.bias"]
    assert len(list(block.parameters())) == 5
    assert next(block.named_parameters("model."))[0] == "model.scale"
    every = [name for name, _ in block.named_parameters(remove_duplicate=False)]
    assert [name for name in every if name not in names] == ["second.weight"]
    block(attnkit.tensor(numbers(4, 3))).sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())
    block.zero_grad()
    assert all(parameter.grad is None for parameter in block.parameters())


def test_an_attribute_that_is_replaced_or_deleted_is_no_parameter_any_more() -> None:
    block = Block()
    block.scale = None
    del block.first
    assert [name for name, _ in block.named_parameters()] == ["second.weight", "rest.1.weight", "rest.1.bias"]
    with pytest.raises(AttributeError):
        del block.first


def test_state_dict_round_trip_is_a_copy() -> None:
    source, target = Block(), Block()
    randomise(source)
    state = source.state_dict()
    target.load_state_dict(state)
    x = attnkit.tensor(numbers(4, 3))
    np.testing.assert_array_equal(source.eval()(x).numpy(), target.eval()(x).numpy())
    state["scale"][:] = 100.0
    assert not np.any(np.asarray(source.scale) == 100.0) and not np.any(np.asarray(target.scale) == 100.0)
    target.load_state_dict({name: array.astype(np.float64) for name, array in source.state_dict().items()})


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    block = Block()
    before = block.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    wrong: list[tuple[dict[str, np.ndarray], str]] = [
        (
            {**{k: v for k, v in state.items() if k != "scale"}, "more": state["scale"]},
            "[load_state_dict] missing: ['scale']; unexpected: ['more']",
        ),
        (
            {**state, "rest.1.bias": np.zeros((3, 1), np.float32)},
            "[load_state_dict] expected rest.1.bias of shape [3], got [3, 1]",
        ),
    ]
    for bad, message in wrong:
        with pytest.raises(ValueError, match=re.escape(message)):
            block.load_state_dict(bad)
        for name, array in block.state_dict().items():
            np.testing.assert_array_equal(array, before[name])


def test_train_and_eval_reach_every_module() -> None:
    block = Block()
    assert all(module.training for module in block.modules())
    assert block.eval() is block and not any(module.training for module in block.modules())
    assert block.train() is block and all(module.training for module in block.modules())


def test_repr_shows_the_tree() -> None:
    assert repr(Block()).split("\n") == [
        "Block(",
        "  (first): Linear(3, 3, bias=True, activation=None)",
        "  (second): Linear(3, 3, bias=False, activation=None)",
        "  (rest): ModuleList(",
        "    (0): Dropout(p=0.5)",
        "    (1): LayerNorm(3, eps=1e-05)",
        "  )",
        ")",
    ]


def test_misuse_of_a_module_is_named() -> None:
    class Forgot(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=re.escape("expected super().__init__() before Forgot.layer is set")):
        Forgot()
    with pytest.raises(NotImplementedError, match="expected a forward method in Module"):
        nn.Module()(1)


def test_module_list() -> None:
    layers = nn.ModuleList([nn.Dropout(0.1), nn.Dropout(0.2)])
    assert len(layers) == 2 and [layer.p for layer in layers] == [0.1, 0.2] and layers[-1].p == 0.2


def test_first_values_depend_on_the_seed_alone() -> None:
    def values(seed: int) -> np.ndarray:
        attnkit.manual_seed(seed)
        return nn.Linear(40, 30).state_dict()["weight"]

    first = values(5)
    np.testing.assert_array_equal(first, values(5))
    assert not np.array_equal(first, values(6))
    bound = np.sqrt(6 / 70)
    assert np.abs(first).max() <= bound and abs(first.std() - bound / np.sqrt(3)) < 0.1 * bound


# --- small layers


@pytest.mark.parametrize("kind", [nn.SelfAttention, nn.CrossAttention])
def test_attention_begins_as_parts_of_one_matrix(kind: type[nn.SelfAttention | nn.CrossAttention]) -> None:
    layer = kind(64, 4)
    parts = [layer.query, layer.key_value] if isinstance(layer, nn.CrossAttention) else [layer.projection]
    for weight, bound in [
        *((part.weight, (6 / 256) ** 0.5) for part in parts),
        (layer.output.weight, (6 / 128) ** 0.5),
    ]:
        assert 0.99 * bound < np.abs(weight.numpy()).max() <= bound


def test_dropout_only_in_training() -> None:
    layer = nn.Dropout(0.25)
    x = attnkit.tensor(np.ones((100, 100), np.float32))
    dropped = layer(x).numpy()
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((dropped == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 10_000)
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())
    for p in (-0.1, 1.0):
        with pytest.raises(ValueError, match=re.escape(f"[dropout] expected p in [0, 1), got {p}")):
            nn.Dropout(p)


def test_embedding_scales_and_adds_positions() -> None:
    offsets = np.array([0, 3, 5], np.int32)
    positions = nn.packed_positions(offsets)
    assert positions.dtype == np.int32 and positions.tolist() == [0, 1, 2, 0, 1]
    ids = np.array([1, 4, 4, 0, 2], np.int32)
    for table in (nn.SinusoidalPositions(6, length=2), nn.LearnedPositions(6, length=3)):
        layer = nn.Embedding(5, 6, 2.0, table)
        expected = 2.0 * layer.weight.numpy()[ids] + table.table(3).numpy()[positions]
        assert_close(layer(ids, positions), expected)
    with pytest.raises(ValueError, match=re.escape("[embedding] expected position_ids")):
        layer(ids)
    with pytest.raises(ValueError, match=re.escape("[positions] expected at most 3 tokens in a sentence, got 4")):
        layer(ids, np.array([0, 1, 2, 3, 0], np.int32))


def test_sinusoids_are_those_of_the_paper() -> None:
    table = nn.sinusoids(50, 8)
    for position, i in ((0, 0), (7, 1), (49, 3)):
        angle = position / 10000 ** (2 * i / 8)
        assert_close(table[position, [2 * i, 2 * i + 1]], [np.sin(angle), np.cos(angle)])
    grown = nn.SinusoidalPositions(8, length=4).table(50)
    np.testing.assert_array_equal(grown.numpy(), table)
    assert nn.sinusoids(3, 5).shape == (3, 5)
    for width in (8, 5):  # the other layout holds the same numbers, all sines first
        order = [*range(0, width, 2), *range(1, width, 2)]
        np.testing.assert_array_equal(nn.sinusoids(50, width, halves=True), nn.sinusoids(50, width)[:, order])
    halves = nn.SinusoidalPositions(8, length=4, halves=True).table(50)
    np.testing.assert_array_equal(halves.numpy(), nn.sinusoids(50, 8, halves=True))


def test_sinusoids_of_tensor2tensor_and_fairseq() -> None:
    """Sines, then cosines, of frequencies e^(-i · ln 10000 / (half - 1)); an odd last column is zero."""
    for width in (8, 9, 3):
        half = width // 2
        frequency = np.exp(-np.arange(half) * np.log(10000.0) / max(1, half - 1))
        angle = np.arange(2, 52)[:, None] * frequency
        exact = np.concatenate([np.sin(angle), np.cos(angle), np.zeros((50, width - 2 * half))], axis=1)
        table = nn.sinusoids(50, width, halves=True, spacing="tensor2tensor", offset=2)
        assert_close(table, exact)
        order = [column for pair in range(half) for column in (pair, half + pair)]
        interleaved = nn.sinusoids(50, width, spacing="tensor2tensor", offset=2)
        np.testing.assert_array_equal(interleaved[:, : 2 * half], table[:, order])
    with pytest.raises(ValueError, match=re.escape('[sinusoids] expected spacing "paper" or "tensor2tensor", got "x"')):
        nn.sinusoids(3, 4, spacing="x")


def test_sinusoids_begin_at_their_offset() -> None:
    np.testing.assert_array_equal(nn.sinusoids(5, 6, offset=3), nn.sinusoids(8, 6)[3:])
    grown = nn.SinusoidalPositions(6, length=2, offset=3, spacing="tensor2tensor")
    wanted = nn.sinusoids(20, 6, offset=3, spacing="tensor2tensor")
    for length in (2, 20):
        np.testing.assert_array_equal(grown.table(length).numpy()[:length], wanted[:length])


def test_learned_positions_begin_at_their_offset() -> None:
    positions = nn.LearnedPositions(4, 5, offset=2)
    layer, ids = nn.Embedding(7, 4, positions=positions), np.array([1, 3, 3], np.int32)
    assert positions.weight.shape == (7, 4)
    out = layer(ids, np.array([0, 4, 0], np.int32))
    assert_close(out, layer.weight.numpy()[ids] + positions.weight.numpy()[[2, 6, 2]])
    np.testing.assert_array_equal(
        layer.at(ids[:1], 4).numpy(), (layer.weight.numpy()[1] + positions.weight.numpy()[6])[None]
    )
    upstream = numbers(3, 4)
    out.backward(upstream)
    expected = np.zeros((7, 4), np.float32)
    expected[2], expected[6] = upstream[0] + upstream[2], upstream[1]
    assert_close(positions.weight.grad, expected)
    with pytest.raises(ValueError, match=re.escape("[positions] expected at most 5 tokens in a sentence, got 6")):
        layer(ids, np.array([0, 5, 0], np.int32))


@pytest.mark.parametrize("token_types", [0, 3])
@pytest.mark.parametrize("kind", [None, nn.LayerNorm, nn.RMSNorm])
def test_an_embedding_with_token_types_and_a_norm(token_types: int, kind: Any) -> None:
    """As in BERT: norm(word + position + type)."""
    torch = pytest.importorskip("torch")
    norm = None if kind is None else kind(6, 0.01)
    layer = nn.Embedding(5, 6, 2.0, nn.LearnedPositions(6, 4), 0.0, None, token_types, norm)
    randomise(layer)
    ids, places = np.array([1, 4, 4, 0], np.int32), np.array([0, 1, 2, 0], np.int32)
    types = np.array([0, 2, 1, 2], np.int32)
    parameters = {name: torch.tensor(array, requires_grad=True) for name, array in layer.state_dict().items()}
    x = parameters["weight"][ids] * 2.0 + parameters["positions.weight"][places]
    if token_types:
        x = x + parameters["token_type_weight"][types]
    if kind is nn.LayerNorm:
        x = torch.nn.functional.layer_norm(x, (6,), parameters["norm.weight"], parameters["norm.bias"], 0.01)
    elif kind is nn.RMSNorm:
        x = torch.nn.functional.rms_norm(x, (6,), parameters["norm.weight"], 0.01)
    out = layer(ids, places, types)
    assert_close(out, x.detach(), terms=16)
    upstream = numbers(4, 6, seed=3)
    out.backward(upstream)
    x.backward(torch.tensor(upstream))
    for name, parameter in layer.named_parameters():
        assert_close(parameter.grad, parameters[name].grad, terms=24, scale=1.0)
    same = layer(ids, places, np.zeros(4, np.int32)).numpy()  # the types where none are given
    np.testing.assert_array_equal(layer(ids, places).numpy(), same)
    np.testing.assert_array_equal(layer.at(ids[2:3], 2).numpy(), same[2:3])


def test_dropout_of_an_embedding_stands_behind_its_norm() -> None:
    layer = nn.Embedding(5, 600, dropout=0.25, norm=nn.LayerNorm(600))
    ids = np.array([1, 4], np.int32)
    dropped, kept = layer(ids).numpy(), layer.eval()(ids).numpy()
    assert_close(dropped[dropped != 0], kept[dropped != 0] / 0.75)
    assert abs((dropped == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 1200)


# --- attention and Transformer layers against PyTorch's, sentence by sentence

D_MODEL, HEADS, FFN = 24, 4, 40
OFFSETS = np.array([0, 5, 6, 13], np.int32)
MEMORY_OFFSETS = np.array([0, 3, 12, 14], np.int32)


def sentences(array: Any, offsets: np.ndarray) -> list[Any]:
    return [array[begin:end] for begin, end in pairwise(offsets)]


def causal_mask(length: int) -> Any:
    torch = pytest.importorskip("torch")
    return torch.full((length, length), float("-inf")).triu(1)


def flat_weights(weights: np.ndarray, offsets: np.ndarray, key_offsets: np.ndarray) -> list[np.ndarray]:
    """[H, n, m] for each sentence."""
    result, begin = [], 0
    for n, m in zip(np.diff(offsets), np.diff(key_offsets), strict=True):
        result.append(weights[begin : begin + HEADS * n * m].reshape(HEADS, n, m))
        begin += HEADS * n * m
    assert begin == len(weights)
    return result


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["self", "causal", "cross"])
def test_multi_head_attention_against_pytorch(kind: str, bias: bool) -> None:
    torch = pytest.importorskip("torch")
    cross = kind == "cross"
    ours = (nn.CrossAttention if cross else nn.SelfAttention)(D_MODEL, HEADS, bias=bias)
    theirs = torch.nn.MultiheadAttention(D_MODEL, HEADS, bias=bias, batch_first=True)
    randomise(ours)
    copy_attention(ours, theirs)
    x, memory = numbers(13, D_MODEL), numbers(14, D_MODEL, seed=1)
    extra = (
        {"memory": attnkit.tensor(memory), "memory_offsets": MEMORY_OFFSETS} if cross else {"causal": kind == "causal"}
    )
    out, weights = ours(attnkit.tensor(x), OFFSETS, **extra, return_weights=True)
    np.testing.assert_array_equal(out.numpy(), ours(attnkit.tensor(x), OFFSETS, **extra).numpy())
    key_offsets = MEMORY_OFFSETS if cross else OFFSETS
    keys = sentences(torch.tensor(memory if cross else x), key_offsets)
    for i, (query, key, got) in enumerate(
        zip(sentences(torch.tensor(x), OFFSETS), keys, sentences(out.numpy(), OFFSETS), strict=True)
    ):
        mask = causal_mask(len(query)) if kind == "causal" else None
        expected, attended = theirs(query[None], key[None], key[None], attn_mask=mask, average_attn_weights=False)
        assert_close(got, expected[0].detach(), terms=D_MODEL, scale=1.0)
        assert_close(flat_weights(weights.numpy(), OFFSETS, key_offsets)[i], attended[0].detach(), terms=D_MODEL)


def test_attention_windows_and_dropout_change_the_result() -> None:
    layer = nn.SelfAttention(D_MODEL, HEADS, dropout=0.5)
    randomise(layer)
    x = attnkit.tensor(numbers(13, D_MODEL))
    trained, evaluated = layer(x, OFFSETS).numpy(), layer.eval()(x, OFFSETS).numpy()
    assert not np.allclose(trained, evaluated)
    windowed, weights = layer(x, OFFSETS, window=(1, 0), return_weights=True)
    assert not np.allclose(windowed.numpy(), evaluated)
    for block in flat_weights(weights.numpy(), OFFSETS, OFFSETS):
        n = block.shape[1]
        distance = np.arange(n)[:, None] - np.arange(n)[None, :]
        assert not block[:, (distance < 0) | (distance > 1)].any()


def test_attention_errors() -> None:
    with pytest.raises(
        ValueError, match=re.escape("[attention] expected d_model to be a multiple of heads, got 10 and 4")
    ):
        nn.SelfAttention(10, 4)
    with pytest.raises(ValueError, match=re.escape('[transformer] expected norm "pre" or "post", got "rms"')):
        nn.TransformerEncoderLayer(8, 2, 16, norm="rms")


def test_attention_refuses_what_it_would_not_heed() -> None:
    x, offsets = attnkit.tensor(numbers(3, 8)), np.array([0, 3], np.int32)
    itself = nn.MultiHeadAttention(8, 2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'memory'"):
        itself(x, offsets, memory=x, memory_offsets=offsets)
    with pytest.raises(TypeError, match="positional arguments"):
        itself(x, offsets, x, offsets)
    cross = nn.MultiHeadAttention(8, 2, cross=True)
    for option in ({"causal": True}, {"window": (1, 0)}):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{next(iter(option))}'"):
            cross(x, offsets, x, offsets, **option)
    with pytest.raises(TypeError, match="'memory' and 'memory_offsets'"):
        cross(x, offsets)


@pytest.mark.parametrize("cross", [False, True])
def test_the_name_of_both_attentions_makes_either(cross: bool) -> None:
    attnkit.manual_seed(3)
    made = nn.MultiHeadAttention(8, 2, 0.5, False, cross)
    attnkit.manual_seed(3)
    named = (nn.CrossAttention if cross else nn.SelfAttention)(8, 2, 0.5, False)
    assert type(made) is type(named) and (made.heads, made.dropout) == (2, 0.5)
    for name, value in named.state_dict().items():
        np.testing.assert_array_equal(made.state_dict()[name], value)


OPTIONS: list[dict[str, Any]] = [
    *({"activation": name} for name in ("relu", "gelu", "silu", "gelu_tanh", "quick_gelu")),
    {"norm_eps": 0.1},
    {"norm_kind": "rms", "norm_eps": 0.01},
    {"gated": True, "activation": "gelu"},
    {"gated": True, "activation": "silu", "norm_kind": "rms"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("causal", [False, True])
def test_encoder_layer_against_pytorch(norm: str, options: dict[str, Any], causal: bool) -> None:
    torch = pytest.importorskip("torch")
    ours = nn.TransformerEncoderLayer(D_MODEL, HEADS, FFN, dropout=0.0, norm=norm, **options)
    theirs = torch_layer("Encoder", D_MODEL, HEADS, FFN, norm, **options)
    randomise(ours)
    copy_encoder_layer(ours, theirs)
    array, upstream = numbers(13, D_MODEL), numbers(13, D_MODEL, seed=2)
    x = attnkit.tensor(array, requires_grad=True)
    y = torch.tensor(array, requires_grad=True)
    out = ours(x, OFFSETS, causal=causal)
    expected = torch.cat(
        [theirs(s[None], src_mask=causal_mask(len(s)) if causal else None)[0] for s in sentences(y, OFFSETS)]
    )
    assert_close(out, expected.detach(), terms=FFN)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    assert_close(x.grad, y.grad, terms=FFN)
    for name, gradient in gradients_by_our_names(ours, copy_encoder_layer, theirs).items():
        assert_close(dict(ours.named_parameters())[name].grad, gradient, terms=FFN * 4, scale=1.0)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("norm", ["post", "pre"])
def test_decoder_layer_against_pytorch(norm: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours = nn.TransformerDecoderLayer(D_MODEL, HEADS, FFN, dropout=0.0, norm=norm, **options)
    theirs = torch_layer("Decoder", D_MODEL, HEADS, FFN, norm, **options)
    randomise(ours)
    copy_decoder_layer(ours, theirs)
    arrays = numbers(13, D_MODEL), numbers(14, D_MODEL, seed=1)
    upstream = numbers(13, D_MODEL, seed=2)
    x, memory = (attnkit.tensor(a, requires_grad=True) for a in arrays)
    y, other = (torch.tensor(a, requires_grad=True) for a in arrays)
    out = ours(x, OFFSETS, memory, MEMORY_OFFSETS)
    pairs = zip(sentences(y, OFFSETS), sentences(other, MEMORY_OFFSETS), strict=True)
    expected = torch.cat([theirs(t[None], m[None], tgt_mask=causal_mask(len(t)))[0] for t, m in pairs])
    assert_close(out, expected.detach(), terms=FFN)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    assert_close(x.grad, y.grad, terms=FFN, scale=1.0)
    assert_close(memory.grad, other.grad, terms=FFN, scale=1.0)
    for name, gradient in gradients_by_our_names(ours, copy_decoder_layer, theirs).items():
        assert_close(dict(ours.named_parameters())[name].grad, gradient, terms=FFN * 4, scale=1.0)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_stacks_run_their_layers_in_order(norm: str) -> None:
    encoder = nn.TransformerEncoder(2, D_MODEL, HEADS, FFN, dropout=0.0, norm=norm)
    decoder = nn.TransformerDecoder(2, D_MODEL, HEADS, FFN, dropout=0.0, norm=norm)
    randomise(encoder)
    randomise(decoder, seed=1)
    x, memory = attnkit.tensor(numbers(13, D_MODEL)), attnkit.tensor(numbers(14, D_MODEL, seed=1))

    expected = encoder.layers[1](encoder.layers[0](memory, MEMORY_OFFSETS), MEMORY_OFFSETS)
    expected = encoder.last_norm(expected) if norm == "pre" else expected
    np.testing.assert_array_equal(encoder(memory, MEMORY_OFFSETS).numpy(), expected.numpy())

    out, weights = decoder(x, OFFSETS, memory, MEMORY_OFFSETS, return_weights=True)
    first, first_weights = decoder.layers[0](x, OFFSETS, memory, MEMORY_OFFSETS, return_weights=True)
    second = decoder.layers[1](first, OFFSETS, memory, MEMORY_OFFSETS)
    np.testing.assert_array_equal(out.numpy(), (decoder.last_norm(second) if norm == "pre" else second).numpy())
    assert len(weights) == 2
    np.testing.assert_array_equal(weights[0].numpy(), first_weights.numpy())
    for block in flat_weights(weights[1].numpy(), OFFSETS, MEMORY_OFFSETS):
        assert_close(block.sum(axis=-1), np.ones(block.shape[:2]), terms=9)


@pytest.mark.parametrize("kind", [nn.TransformerEncoder, nn.TransformerDecoder])
def test_every_norm_of_a_stack_is_of_its_kind_and_eps(kind: Any) -> None:
    stack = kind(2, D_MODEL, HEADS, FFN, norm="pre", norm_kind="rms", norm_eps=1e-3)
    norms = [module for module in stack.modules() if isinstance(module, nn.LayerNorm | nn.RMSNorm)]
    assert len(norms) == (5 if kind is nn.TransformerEncoder else 7)
    assert all(isinstance(norm, nn.RMSNorm) and norm.eps == 1e-3 for norm in norms)
    assert repr(stack.last_norm) == "RMSNorm(24, eps=0.001)"
    with pytest.raises(ValueError, match=re.escape('[transformer] expected norm_kind "layer" or "rms", got "batch"')):
        kind(1, D_MODEL, HEADS, FFN, norm_kind="batch")


def test_a_gated_network_by_its_formula() -> None:
    layer = nn.FeedForward(8, 12, 0.0, "silu", gated=True)
    randomise(layer)
    x, state = numbers(5, 8), {name: array.astype(np.float64) for name, array in layer.state_dict().items()}
    gate, up = (x @ state[f"{name}.weight"].T + state[f"{name}.bias"] for name in ("gate", "up"))
    exact = (gate / (1 + np.exp(-gate)) * up) @ state["down.weight"].T + state["down.bias"]
    assert_close(layer(attnkit.tensor(x)), exact, terms=12)
    assert [name for name in nn.FeedForward(8, 12, 0.0, "silu").state_dict() if "gate" in name] == []


def test_dropout_of_a_layer_acts_in_training_only() -> None:
    layer = nn.TransformerEncoderLayer(D_MODEL, HEADS, FFN, dropout=0.3)
    x = attnkit.tensor(numbers(13, D_MODEL))
    assert not np.array_equal(layer(x, OFFSETS).numpy(), layer(x, OFFSETS).numpy())
    layer.eval()
    np.testing.assert_array_equal(layer(x, OFFSETS).numpy(), layer(x, OFFSETS).numpy())
    only_attention = nn.TransformerEncoderLayer(D_MODEL, HEADS, FFN, dropout=0.0, attention_dropout=0.5)
    assert not np.array_equal(only_attention(x, OFFSETS).numpy(), only_attention.eval()(x, OFFSETS).numpy())


def test_the_dropout_of_the_feed_forward_network_keeps_its_mean() -> None:
    layer = nn.FeedForward(8, 4000, 0.5, "relu")
    x = attnkit.tensor(numbers(1, 8))
    exact = layer.eval()(x).numpy()
    layer.train()
    mean = np.mean([layer(x).numpy() for _ in range(200)], axis=0)
    hidden = ops.linear(x.numpy(), layer.up.weight, layer.up.bias, "relu").numpy()
    deviation = np.sqrt((hidden**2) @ (layer.down.weight.numpy() ** 2).T / 200)
    assert (np.abs(mean - exact) < 5 * deviation).all()
