"""A step of a Transformer's decoder: all layers in one call against layer by layer, and its attention by formula."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from closeness import assert_close

import attnkit
from attnkit import _core, nn

OFFSETS = np.array([0, 4, 5, 16], np.int32)


def numbers(*shape: int, seed: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def stack(width: int = 32, heads: int = 2, **options: Any) -> nn.TransformerDecoder:
    attnkit.manual_seed(1)
    decoder = nn.TransformerDecoder(2, width, heads, 48, **options)
    for number, parameter in enumerate(decoder.parameters()):  # biases and norms that do something
        parameter.copy_(numbers(*parameter.shape, seed=number) * 0.3)
    decoder.eval()
    return decoder


def run(decoder: nn.TransformerDecoder, fused: bool, width: int, memory_width: int | None = None) -> list[Any]:
    """Six steps in which rows repeat, change places and go: hidden states and weights of each."""
    with attnkit.no_grad():
        state = decoder.start(attnkit.tensor(numbers(16, memory_width or width, seed=5)), OFFSETS)
        whole = decoder.fuse() if fused else None
        results = []
        for step, rows in enumerate(([0, 1, 2], [0, 0, 1, 2, 2], [1, 0, 2, 4], [3, 1], [1], [0])):
            x = attnkit.tensor(numbers(state.rows, width, seed=20 + step))
            results += decoder.step(x, state, whole, return_weights=True)
            state.select(np.array(rows, np.int32))
    return [np.array(result) for result in results]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize(
    "options",
    [{"norm": "pre", "activation": "gelu_tanh"}, {"norm": "post", "activation": "silu"}, {"activation": "quick_gelu"},
     {"norm": "pre", "norm_kind": "rms", "norm_eps": 1e-3}, {"norm_kind": "rms", "norm_eps": 0.1},
     {"norm": "pre", "gated": True, "activation": "gelu"},
     {"norm": "pre", "gated": True, "activation": "silu", "norm_kind": "rms"}, {"gated": True, "norm_eps": 0.1},
     {"ssru": True, "activation": "relu"}, {"ssru": True, "norm": "pre", "gated": True, "norm_kind": "rms"}],
    ids=str,
)  # fmt: skip
def test_one_call_equals_layer_by_layer(options: dict[str, Any], precision: str, isa: str) -> None:
    decoder = stack(**options)
    with attnkit.precision(precision):
        for whole, composed in zip(run(decoder, True, 32), run(decoder, False, 32), strict=True):
            np.testing.assert_array_equal(whole, composed)


# Heads narrower and wider than their part of the layer; the feed-forward network is 48 wide.
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("head_dim", [5, 24])
@pytest.mark.parametrize("ssru", [False, True], ids=["attention", "ssru"])
def test_one_call_with_heads_and_memory_of_other_widths(ssru: bool, head_dim: int, precision: str) -> None:
    decoder = stack(norm="pre", head_dim=head_dim, memory_width=20, ssru=ssru)
    with attnkit.precision(precision):
        for whole, composed in zip(run(decoder, True, 32, 20), run(decoder, False, 32, 20), strict=True):
            np.testing.assert_array_equal(whole, composed)


def test_a_state_of_other_heads_is_refused() -> None:
    state = stack(head_dim=5).start(attnkit.tensor(numbers(16, 32, seed=5)), OFFSETS)
    whole = stack().fuse()
    assert whole is not None
    with pytest.raises(ValueError, match=r"\[decoder_step\] expected a state of 2 layers of width 32 .*, got 2 of 10"):
        whole.step(attnkit.tensor(numbers(3, 32, seed=1)), state)


def test_a_state_without_cells_or_with_cells_in_vain_is_refused() -> None:
    x, memory = attnkit.tensor(numbers(3, 32, seed=1)), attnkit.tensor(numbers(16, 32, seed=5))
    for ssru, own, given in ((True, 32, 0), (False, 0, 32)):
        whole = stack(ssru=ssru).fuse()
        assert whole is not None
        message = f"expected a state of 2 layers of width 32 with {own} cells, got 2 of 32 with {given}"
        with pytest.raises(ValueError, match=message):
            whole.step(x, stack(ssru=not ssru).start(memory, OFFSETS))


# --- whose weights a step gives


def weights_of_heads(decoder: nn.TransformerDecoder, x: Any, memory: Any, layer: int) -> list[Any]:
    """[heads, words, source's words] for each of three sentences of six words, from the forward pass."""
    _, weights = decoder(x, np.arange(0, 19, 6, dtype=np.int32), memory, OFFSETS, return_weights=True)
    lengths = np.diff(OFFSETS)
    parts = np.split(weights[layer].numpy(), np.cumsum(2 * 6 * lengths)[:-1])
    return [part.reshape(2, 6, length) for part, length in zip(parts, lengths, strict=True)]


@pytest.mark.parametrize("ssru", [False, True], ids=["attention", "ssru"])
@pytest.mark.parametrize("layer", [0, 1, None])
@pytest.mark.parametrize("head", [0, 1, None])
def test_the_weights_of_a_head_are_those_of_the_forward_pass(layer: int | None, head: int | None, ssru: bool) -> None:
    decoder = stack(ssru=ssru)
    x, memory = numbers(3, 6, 32, seed=7), attnkit.tensor(numbers(16, 32, seed=5))
    with attnkit.no_grad():
        every = weights_of_heads(decoder, attnkit.tensor(x.reshape(-1, 32)), memory, 1 if layer is None else layer)
        whole = stack_as(decoder, alignment_layer=layer, alignment_head=head)
        state, plain = decoder.start(memory, OFFSETS), decoder.start(memory, OFFSETS)
        for t in range(6):
            token = attnkit.tensor(x[:, t].copy())
            hidden, weights = whole.step(token, state, return_weights=True)
            np.testing.assert_array_equal(hidden.numpy(), decoder.step(token, plain, decoder.fuse())[0].numpy())
            assert weights is not None
            for row, heads in enumerate(every):
                expected = heads[:, t].mean(axis=0) if head is None else heads[head, t]
                length = len(expected)
                assert_close(weights.numpy()[row, :length], expected, terms=64)
                assert not weights.numpy()[row, length:].any()


def stack_as(decoder: nn.TransformerDecoder, **options: Any) -> _core.DecoderStack:
    """As `decoder.fuse()` makes it, with other options."""
    made: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attnkit.nn.transformer.DecoderStack", lambda **given: made.append(given))
        decoder.fuse()
    return _core.DecoderStack(**{**made[0], **options})


@pytest.mark.parametrize(("layer", "head"), [(2, 0), (-2, 0), (0, 2), (None, -2)])
def test_an_alignment_that_is_not_there_is_refused(layer: int | None, head: int | None) -> None:
    message = r"\[decoder_stack\] expected an alignment among 2 layers of 2 heads, got layer .* and head"
    with pytest.raises(ValueError, match=message):
        stack_as(stack(), alignment_layer=layer, alignment_head=head)
    state = stack().start(attnkit.tensor(numbers(16, 32, seed=5)), OFFSETS)
    with pytest.raises(ValueError, match=r"\[memory_attention\] expected a head below 2, got 2"):
        _core.memory_attention(attnkit.tensor(numbers(3, 32, seed=1)), state, 0, 2, True, weights_head=2)


def test_layers_with_a_gate_and_without_go_together() -> None:
    decoder = stack()
    decoder.layers[1].feed_forward = nn.FeedForward(32, 100, 0.0, "relu", gated=True)
    for whole, composed in zip(run(decoder, True, 32), run(decoder, False, 32), strict=True):
        np.testing.assert_array_equal(whole, composed)


def test_other_layers_run_one_by_one() -> None:
    class Louder(nn.TransformerDecoderLayer):
        pass

    decoder = stack()
    decoder.layers = nn.ModuleList([Louder(32, 2, 48) for _ in range(2)])
    assert decoder.fuse() is None


# Head sizes of whole vectors, of a part of one, and of several and a part; histories around four and a vector.
@pytest.mark.parametrize("d_head", [5, 16, 24, 64])
def test_attention_of_a_step(d_head: int, isa: str, threads: int) -> None:
    heads, width = 3, 3 * d_head
    memory = numbers(16, 2 * width, seed=1)
    state = _core.DecoderState([attnkit.tensor(memory)], OFFSETS)
    keys: list[npt.NDArray[np.float32]] = []
    for step in range(21):
        state.advance()
        projected = numbers(3, 3 * width, seed=100 + step)
        keys.append(projected[:, width:])
        got = np.array(_core.cached_attention(attnkit.tensor(projected), state, 0, heads))
        looked, weights = _core.memory_attention(attnkit.tensor(projected[:, :width].copy()), state, 0, heads, True)
        for row in range(3):
            own = np.stack([key[row] for key in keys])
            expected, _ = attend(projected[row, :width], own, heads)
            assert_close(got[row], expected, terms=d_head + len(own))
            source = memory[OFFSETS[row] : OFFSETS[row + 1]]
            expected, mean = attend(projected[row, :width], source, heads)
            assert_close(np.array(looked)[row], expected, terms=d_head + len(source))
            padded = np.zeros(11)
            padded[: len(source)] = mean
            assert_close(np.array(weights)[row], padded, terms=d_head)


def attend(query: Any, keys_values: Any, heads: int) -> tuple[Any, Any]:
    """softmax(q · k / √d) · v for each head, and the mean of the weights over heads."""
    keys, values = np.split(keys_values.astype(np.float64), 2, axis=1)
    q, k, v = (x.reshape(*x.shape[:-1], heads, -1) for x in (query.astype(np.float64), keys, values))
    scores = np.einsum("hd,jhd->hj", q, k) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    return np.einsum("hj,jhd->hd", weights, v).ravel(), weights.mean(0)


def test_a_source_of_no_token_gives_zeros() -> None:
    state = _core.DecoderState([attnkit.tensor(numbers(2, 16, seed=0))], np.array([0, 0, 2], np.int32))
    result, weights = _core.memory_attention(attnkit.tensor(numbers(2, 8, seed=1)), state, 0, 2, True)
    assert not np.array(result)[0].any() and not np.array(weights)[0].any() and np.array(result)[1].any()


def test_a_step_after_a_selection_needs_place_for_it() -> None:
    state = _core.DecoderState([attnkit.tensor(numbers(3, 16, seed=0))], np.array([0, 3], np.int32))
    state.advance()
    state.select(np.zeros(5, np.int32))
    with pytest.raises(ValueError, match="advanced after its last selection"):
        _core.cached_attention(attnkit.tensor(numbers(5, 24, seed=1)), state, 0, 2)


@pytest.mark.parametrize("heads", [0, -1, 3])
def test_a_stack_whose_heads_do_not_divide_its_width(heads: int) -> None:
    whole = stack()
    whole.layers[0].cross_attention.heads = heads
    with pytest.raises(ValueError, match=rf"a divisor of W as heads, got \[32, 32\] and {heads}"):
        whole.fuse()


def projection(rows: int, columns: int, **parts: Any) -> Any:
    return SimpleNamespace(**{"weight": attnkit.tensor(numbers(rows, columns, seed=0)), "bias": None} | parts)


def norm(size: int, **parts: Any) -> Any:
    ones = attnkit.tensor(np.ones(size, np.float32))
    return SimpleNamespace(**{"weight": ones, "bias": ones, "eps": 1e-5} | parts)


def fields(**changes: Any) -> dict[str, Any]:
    """Those of a layer of width 8 and a feed-forward network of 12."""
    layer = {
        "self_norm": norm(8),
        "self_projection": projection(24, 8),
        "self_output": projection(8, 8),
        "cross_norm": norm(8),
        "cross_query": projection(8, 8),
        "cross_output": projection(8, 8),
        "feed_forward_norm": norm(8),
        "up": projection(12, 8),
        "down": projection(8, 12),
    }
    return layer | changes


def stack_of(layer: dict[str, Any], **changes: Any) -> _core.DecoderStack:
    options = {"last_norm": None, "pre_norm": False, "heads": 2, "activation": "relu"} | changes
    return _core.DecoderStack(layers=[_core.DecoderLayer(**layer)], **options)


@pytest.mark.parametrize("name", list(fields()))
def test_a_field_of_a_layer_is_named_where_it_is_wrong(name: str) -> None:
    missing = fields()
    del missing[name]
    with pytest.raises(TypeError, match=rf"^\[decoder_layer\] expected {name}, got none$"):
        stack_of(missing)
    with pytest.raises(TypeError, match=rf"^\[decoder_layer\] expected {name}\.weight to be a Tensor, got NoneType$"):
        stack_of(fields(**{name: (1, 2)}))
    wrong = norm(3) if "norm" in name else projection(8, 7)
    with pytest.raises(ValueError, match=rf"^\[decoder_stack\] expected {name}\.weight of shape .*, got "):
        stack_of(fields(**{name: wrong}))


def test_a_norm_needs_a_bias_and_a_number() -> None:
    with pytest.raises(TypeError, match=r"expected cross_norm\.bias to be a Tensor, got NoneType"):
        stack_of(fields(cross_norm=norm(8, bias=None)))
    with pytest.raises(TypeError, match=r"expected cross_norm\.eps to be a number, got str"):
        stack_of(fields(cross_norm=norm(8, eps="small")))


def test_an_rms_norm_has_no_bias_and_a_kind_is_one_of_two() -> None:
    stack_of(fields(cross_norm=norm(8, kind="rms", bias=None)))
    with pytest.raises(ValueError, match=r'^\[decoder_layer\] expected cross_norm\.kind layer or rms, got "batch"$'):
        stack_of(fields(cross_norm=norm(8, kind="batch")))
    with pytest.raises(TypeError, match=r"expected cross_norm\.kind to be a string, got int"):
        stack_of(fields(cross_norm=norm(8, kind=1)))


def test_a_gate_may_be_left_out_and_is_named_where_it_is_wrong() -> None:
    stack_of(fields(gate=None))
    with pytest.raises(TypeError, match=r"^\[decoder_layer\] expected gate\.weight to be a Tensor, got NoneType$"):
        stack_of(fields(gate=(1, 2)))
    with pytest.raises(ValueError, match=r"^\[decoder_stack\] expected gate\.weight of shape \[12, 8\], got \[8, 7\]"):
        stack_of(fields(gate=projection(8, 7)))


def with_ssru(**changes: Any) -> dict[str, Any]:
    layer = fields(ssru=projection(16, 8, bias=attnkit.tensor(numbers(8, seed=1))))
    del layer["self_projection"], layer["self_output"]
    return layer | changes


def test_an_ssru_is_named_where_it_is_wrong() -> None:
    stack_of(with_ssru())
    bias = attnkit.tensor(numbers(8, seed=1))
    with pytest.raises(ValueError, match=r"^\[decoder_stack\] expected ssru\.weight of shape \[16, 8\], got \[24, 8\]"):
        stack_of(with_ssru(ssru=projection(24, 8, bias=bias)))
    with pytest.raises(ValueError, match=r"^\[decoder_stack\] expected ssru\.bias of shape \[8\], got \[16\]"):
        stack_of(with_ssru(ssru=projection(16, 8, bias=attnkit.tensor(numbers(16, seed=1)))))
    with pytest.raises(ValueError, match=r"^\[decoder_stack\] expected ssru\.bias of shape \[8\]"):
        stack_of(with_ssru(ssru=projection(16, 8)))
    with pytest.raises(TypeError, match=r"^\[decoder_layer\] expected ssru\.weight to be a Tensor, got NoneType$"):
        stack_of(with_ssru(ssru=(1, 2)))
    with pytest.raises(TypeError, match=r"^\[decoder_layer\] expected no field self_output$"):
        stack_of(with_ssru(self_output=projection(8, 8)))


def test_layers_with_an_ssru_and_with_attention_do_not_go_together() -> None:
    layers = [_core.DecoderLayer(**with_ssru()), _core.DecoderLayer(**fields())]
    for order in (layers, layers[::-1]):
        with pytest.raises(ValueError, match=r"^\[decoder_stack\] expected"):
            _core.DecoderStack(layers=order, last_norm=None, pre_norm=False, heads=2, activation="relu")


def test_a_layer_takes_no_other_field() -> None:
    with pytest.raises(TypeError, match=r"^\[decoder_layer\] expected no field query$"):
        stack_of(fields(query=fields()["cross_query"]))


def test_a_stack_names_a_wrong_bias_and_a_wrong_last_norm() -> None:
    with pytest.raises(ValueError, match=r"expected up\.bias of shape \[12\], got \[3\]"):
        stack_of(fields(up=projection(12, 8, bias=attnkit.tensor(numbers(3, seed=0)))))
    with pytest.raises(ValueError, match=r"expected last_norm\.weight of shape \[8\], got \[3\]"):
        stack_of(fields(), last_norm=norm(3))


def test_errors() -> None:
    keys = attnkit.tensor(numbers(4, 16, seed=0))
    offsets = np.array([0, 4], np.int32)
    state = _core.DecoderState([keys], offsets)
    query = attnkit.tensor(numbers(1, 24, seed=1))
    for call, message in (
        (lambda: _core.DecoderState([keys], np.array([0, 3], np.int32)), r"expected offsets from 0 to 4, got 0 to 3"),
        (lambda: _core.cached_attention(query, state, 0, 2), r"expected a state that was advanced"),
        (
            lambda: _core.memory_attention(query, state, 0, 2, False),
            r"expected a query of shape \[1, 8\], got \[1, 24\]",
        ),
        (lambda: state.select(np.array([1], np.int32)), r"\[decoder_state\] expected rows below 1, got 1"),
        (lambda: stack().fuse().step(query, state), r"\[decoder_step\] expected a state of 2 layers of width 32"),  # type: ignore[union-attr]
    ):
        with pytest.raises(ValueError, match=message):
            call()
