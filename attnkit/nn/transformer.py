"""Transformer encoder and decoder layers and stacks (Vaswani et al., 2017), with the norm before or after."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from attnkit import _core, ops
from attnkit._core import DecoderLayer, DecoderStack, DecoderState, Tensor
from attnkit.nn.attention import CrossAttention, PositionBias, SelfAttention
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module, ModuleList
from attnkit.nn.normalisation import Norm, make_norm
from attnkit.nn.stochastic_depth import StochasticDepth

if TYPE_CHECKING:
    from attnkit.nn.ssru import SSRU


class FeedForward(Module):
    """x → down(dropout(activation(up(x)))), [T, d_model] → [T, d_model].

    gated: down(dropout(activation(gate(x)) · up(x))) (GLU variants: Shazeer, 2020), called GEGLU with a GELU and SwiGLU
    with "silu".
    """

    def __init__(self, d_model: int, ffn: int, dropout: float, activation: str, gated: bool = False) -> None:
        super().__init__()
        self.gate = Linear(d_model, ffn, activation=activation) if gated else None
        self.up = Linear(d_model, ffn, activation=None if gated else activation)
        self.down = Linear(ffn, d_model)
        self.activation, self.dropout = activation, dropout

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.up(x)
        if self.gate is not None:
            hidden = self.gate(x) * hidden
        if self.training and self.dropout:
            hidden = ops.dropout(hidden, self.dropout)
        return self.down(hidden)


class Sublayers(Module):
    """What encoder and decoder layers share: sublayers with a residual connection and a norm around each.

    norm "post": x = norm(x + dropout(sublayer(x))), as in the paper; "pre": x = x + dropout(sublayer(norm(x))).
    norm_kind "layer" or "rms" (RMSNorm), norm_eps and gated (`FeedForward`) are options of both.
    """

    def __init__(self, dropout: float, norm: str) -> None:
        super().__init__()
        if norm not in ("pre", "post"):
            raise ValueError(f'[transformer] expected norm "pre" or "post", got "{norm}"')
        self.dropout = dropout
        self.norm = norm

    def before(self, norm: Norm, x: Tensor) -> Tensor:
        """What the sublayer reads."""
        return norm(x) if self.norm == "pre" else x

    def after(self, norm: Norm, x: Tensor, result: Tensor) -> Tensor:
        """The residual stream behind the sublayer."""
        rate = self.dropout if self.training else 0.0
        if self.norm == "post":
            return norm.add(x, result, rate)[1]
        return ops.add_dropout(x, result, rate)

    def extra_repr(self) -> str:
        return f"dropout={self.dropout}, norm={self.norm}"


class TransformerEncoderLayer(Sublayers):
    """Self-attention, then a feed-forward network: [T, d_model] → [T, d_model]."""

    def __init__(
        self,
        d_model: int,
        heads: int,
        ffn: int,
        dropout: float = 0.1,
        norm: str = "post",
        activation: str = "relu",
        attention_dropout: float | None = None,
        activation_dropout: float | None = None,
        stochastic_depth: float = 0.0,
        norm_kind: str = "layer",
        norm_eps: float = 1e-5,
        gated: bool = False,
        head_dim: int | None = None,
    ) -> None:
        super().__init__(dropout, norm)
        self.attention = SelfAttention(
            d_model, heads, dropout if attention_dropout is None else attention_dropout, head_dim=head_dim
        )
        self.attention_norm = make_norm(norm_kind, d_model, norm_eps)
        self.feed_forward = FeedForward(
            d_model, ffn, dropout if activation_dropout is None else activation_dropout, activation, gated
        )
        self.feed_forward_norm = make_norm(norm_kind, d_model, norm_eps)
        self.stochastic_depth = StochasticDepth(stochastic_depth)

    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        causal: bool = False,
        return_weights: Literal[False] = False,
        position_bias: Tensor | None = None,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        causal: bool = False,
        *,
        return_weights: Literal[True],
        position_bias: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        causal: bool = False,
        return_weights: bool = False,
        position_bias: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        causal: bool = False,
        return_weights: bool = False,
        position_bias: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """With return_weights also the flat attention weights. position_bias as in SelfAttention."""
        read = self.before(self.attention_norm, x)
        result = self.attention(
            read, offsets, causal=causal, position_bias=position_bias, return_weights=return_weights
        )
        attended, weights = result if isinstance(result, tuple) else (result, None)
        x = self._rest(x, attended, offsets)
        return x if weights is None else (x, weights)

    if TYPE_CHECKING:
        __call__ = forward

    def step(self, x: Tensor, state: DecoderState, layer: int, position_bias: Tensor | None = None) -> Tensor:
        """One new token a row, causally: x [rows, d_model] → [rows, d_model]."""
        read = self.before(self.attention_norm, x)
        return self._rest(x, self.attention.step(read, state, layer, position_bias))

    def _rest(self, x: Tensor, attended: Tensor, offsets: np.ndarray | None = None) -> Tensor:
        x = self._residual(self.attention_norm, x, attended, offsets)
        hidden = self.feed_forward(self.before(self.feed_forward_norm, x))
        return self._residual(self.feed_forward_norm, x, hidden, offsets)

    def _residual(self, norm: Norm, x: Tensor, result: Tensor, offsets: np.ndarray | None) -> Tensor:
        """`after`, where a sequence may go without the sublayer (in training, where there are offsets)."""
        if offsets is None or not self.stochastic_depth.active:
            return self.after(norm, x, result)
        x = self.stochastic_depth(x, ops.dropout(result, self.dropout), offsets)
        return norm(x) if self.norm == "post" else x


class TransformerDecoderLayer(Sublayers):
    """Causal self-attention, cross-attention to the encoder's states, feed-forward: [T, d_model] → [T, d_model].

    ssru: an SSRU in place of the self-attention (Kim et al., 2019), which then is None.
    """

    def __init__(
        self,
        d_model: int,
        heads: int,
        ffn: int,
        dropout: float = 0.1,
        norm: str = "post",
        activation: str = "relu",
        attention_dropout: float | None = None,
        activation_dropout: float | None = None,
        norm_kind: str = "layer",
        norm_eps: float = 1e-5,
        gated: bool = False,
        head_dim: int | None = None,
        memory_width: int | None = None,
        ssru: bool = False,
    ) -> None:
        super().__init__(dropout, norm)
        rate = dropout if attention_dropout is None else attention_dropout
        self.self_attention = None if ssru else SelfAttention(d_model, heads, rate, head_dim=head_dim)
        self.ssru = _ssru(d_model) if ssru else None
        self.self_attention_norm = make_norm(norm_kind, d_model, norm_eps)
        self.cross_attention = CrossAttention(d_model, heads, rate, head_dim=head_dim, memory_width=memory_width)
        self.cross_attention_norm = make_norm(norm_kind, d_model, norm_eps)
        self.feed_forward = FeedForward(
            d_model, ffn, dropout if activation_dropout is None else activation_dropout, activation, gated
        )
        self.feed_forward_norm = make_norm(norm_kind, d_model, norm_eps)

    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        return_weights: Literal[False] = False,
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        return_weights: Literal[True],
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> tuple[Tensor, Tensor]: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        return_weights: bool = False,
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        return_weights: bool = False,
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """memory [S, memory_width]. With return_weights also the flat cross-attention weights, of `head` alone as
        `CrossAttention` gives them.

        position_bias as in SelfAttention; the cross-attention has none.
        """
        read = self.before(self.self_attention_norm, x)
        x = self.after(self.self_attention_norm, x, self._history(read, offsets, position_bias))
        read = self.before(self.cross_attention_norm, x)
        result = self.cross_attention(read, offsets, memory, memory_offsets, return_weights=return_weights, head=head)
        attended, weights = result if isinstance(result, tuple) else (result, None)
        x = self._feed(self.after(self.cross_attention_norm, x, attended))
        return x if weights is None else (x, weights)

    if TYPE_CHECKING:
        __call__ = forward

    @overload
    def step(
        self,
        x: Tensor,
        state: DecoderState,
        layer: int,
        return_weights: Literal[False] = False,
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> Tensor: ...
    @overload
    def step(
        self,
        x: Tensor,
        state: DecoderState,
        layer: int,
        return_weights: bool,
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def step(
        self,
        x: Tensor,
        state: DecoderState,
        layer: int,
        return_weights: bool = False,
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """One new token a row: x [rows, d_model]. With return_weights also those of the cross-attention, of `head` or
        the mean over heads."""
        read = self.before(self.self_attention_norm, x)
        x = self.after(self.self_attention_norm, x, self._history_step(read, state, layer, position_bias))
        read = self.before(self.cross_attention_norm, x)
        result = self.cross_attention.step(read, state, layer, return_weights, head=head)
        attended, weights = result if isinstance(result, tuple) else (result, None)
        x = self._feed(self.after(self.cross_attention_norm, x, attended))
        return x if weights is None else (x, weights)

    def _history(self, x: Tensor, offsets: np.ndarray, position_bias: Tensor | None) -> Tensor:
        """What each token finds in those before it."""
        if self.self_attention is not None:
            return self.self_attention(x, offsets, causal=True, position_bias=position_bias)
        assert self.ssru is not None
        return self.ssru(x, offsets)

    def _history_step(self, x: Tensor, state: DecoderState, layer: int, position_bias: Tensor | None) -> Tensor:
        if self.self_attention is not None:
            return self.self_attention.step(x, state, layer, position_bias)
        assert self.ssru is not None
        return self.ssru.step(x, state, layer)

    def _feed(self, x: Tensor) -> Tensor:
        return self.after(self.feed_forward_norm, x, self.feed_forward(self.before(self.feed_forward_norm, x)))


def _last_norm(
    d_model: int, norm: str = "post", norm_kind: str = "layer", norm_eps: float = 1e-5, **_: Any
) -> Norm | None:
    """Of a stack whose layers have these options."""
    return make_norm(norm_kind, d_model, norm_eps) if norm == "pre" else None


class TransformerEncoder(Module):
    """A stack of encoder layers; with pre-norm, a last norm.

    `stochastic_depth` is the rate of the last layer; it rises evenly from 0 in the first (Huang et al., 2016). All
    layers share `position_bias`.
    """

    def __init__(
        self,
        layers: int,
        d_model: int,
        heads: int,
        ffn: int,
        stochastic_depth: float = 0.0,
        position_bias: PositionBias | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.position_bias = position_bias
        # Not a list: a hostile configuration may say any number of layers, and loading stops at the first too many.
        rates = (stochastic_depth * layer / max(1, layers - 1) for layer in range(layers))
        self.layers = ModuleList(
            [TransformerEncoderLayer(d_model, heads, ffn, stochastic_depth=rate, **options) for rate in rates]
        )
        self.last_norm = _last_norm(d_model, **options)

    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, causal: bool = False, return_weights: Literal[False] = False
    ) -> Tensor: ...
    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, causal: bool = False, *, return_weights: Literal[True]
    ) -> tuple[Tensor, list[Tensor]]: ...
    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, causal: bool = False, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]: ...
    def forward(
        self, x: Tensor, offsets: np.ndarray, causal: bool = False, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """x [T, d_model] → [T, d_model]. With return_weights also a list of flat attention weights, one a layer."""
        weights = []
        options = _bias_option(self.position_bias, offsets)
        for layer in self.layers:
            result = layer(x, offsets, causal, return_weights=return_weights, **options)
            x = result[0] if isinstance(result, tuple) else result
            if isinstance(result, tuple):
                weights.append(result[1])
        x = x if self.last_norm is None else self.last_norm(x)
        return (x, weights) if return_weights else x

    if TYPE_CHECKING:
        __call__ = forward

    def start(self, texts: int) -> DecoderState:
        """What writing `texts` texts, a row each, starts from."""
        nothing = [_core.zeros((0, 2 * layer.attention.width), self.device) for layer in self.layers]
        return DecoderState(nothing, np.zeros(texts + 1, np.int32))

    def step(self, x: Tensor, state: DecoderState) -> Tensor:
        """One new token a row, causally: x [rows, d_model] → [rows, d_model]."""
        state.advance()
        options = _step_option(self.position_bias, state)
        for index, layer in enumerate(self.layers):
            x = layer.step(x, state, index, **options)
        return x if self.last_norm is None else self.last_norm(x)


class TransformerDecoder(Module):
    """A stack of decoder layers; with pre-norm, a last norm. All self-attentions share `position_bias`.

    alignment_layer, alignment_head: whose cross-attention says where a token comes from, counted from 0: the last
    layer's and the mean over its heads where not given. `align` trains it, and `step` returns it.
    """

    def __init__(
        self,
        layers: int,
        d_model: int,
        heads: int,
        ffn: int,
        position_bias: PositionBias | None = None,
        alignment_layer: int | None = None,
        alignment_head: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        for name, found, count in (("layer", alignment_layer, layers), ("head", alignment_head, heads)):
            if found is not None and not 0 <= found < count:
                raise ValueError(f"[transformer] expected an alignment_{name} from 0 to {count - 1}, got {found}")
        self.alignment_layer = layers - 1 if alignment_layer is None else alignment_layer
        self.alignment_head = alignment_head
        if position_bias is not None and options.get("ssru"):
            raise ValueError("[transformer] expected no position_bias with ssru, which attends to nothing, got one")
        self.position_bias = position_bias
        self.layers = ModuleList([TransformerDecoderLayer(d_model, heads, ffn, **options) for _ in range(layers)])
        self.last_norm = _last_norm(d_model, **options)

    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        return_weights: Literal[False] = False,
    ) -> Tensor: ...
    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, memory: Tensor, memory_offsets: np.ndarray, return_weights: Literal[True]
    ) -> tuple[Tensor, list[Tensor]]: ...
    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, memory: Tensor, memory_offsets: np.ndarray, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]: ...
    def forward(
        self, x: Tensor, offsets: np.ndarray, memory: Tensor, memory_offsets: np.ndarray, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """x [T, d_model], memory [S, memory_width] → [T, d_model].

        With return_weights also a list of flat cross-attention weights, one a layer.
        """
        wanted = range(len(self.layers)) if return_weights else ()
        x, weights = self._through(x, offsets, memory, memory_offsets, wanted)
        return (x, weights) if return_weights else x

    if TYPE_CHECKING:
        __call__ = forward

    def align(
        self, x: Tensor, offsets: np.ndarray, memory: Tensor, memory_offsets: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """`forward`, and the flat weights of the alignment head, which can be differentiated.

        Raises ValueError for a decoder without such a head.
        """
        if self.alignment_head is None:
            raise ValueError("[transformer] expected a decoder with an alignment_head, got one without")
        wanted, head = (self.alignment_layer,), self.alignment_head
        x, (weights,) = self._through(x, offsets, memory, memory_offsets, wanted, head=head)
        return x, weights

    def _through(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        wanted: Container[int],
        **chosen: int,
    ) -> tuple[Tensor, list[Tensor]]:
        """x behind the stack, and the weights of the wanted layers."""
        weights = []
        options = _bias_option(self.position_bias, offsets)
        for index, layer in enumerate(self.layers):
            asked: dict[str, Any] = {"return_weights": True, **chosen} if index in wanted else {}
            result = layer(x, offsets, memory, memory_offsets, **asked, **options)
            x = result[0] if isinstance(result, tuple) else result
            if isinstance(result, tuple):
                weights.append(result[1])
        return x if self.last_norm is None else self.last_norm(x), weights

    def start(self, memory: Tensor, memory_offsets: np.ndarray) -> DecoderState:
        """What decoding of the sources starts from: memory [S, memory_width], offsets int32 [B + 1]."""
        key_values = [layer.cross_attention.key_value(memory) for layer in self.layers]
        return DecoderState(key_values, memory_offsets, 0 if self.layers[0].ssru is None else self.layers[0].ssru.width)

    def step(
        self, x: Tensor, state: DecoderState, fused: DecoderStack | None, return_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """One new token a row: x [rows, d_model] → (states, weights [rows, longest source] of the cross-attention that
        is the alignment, or None).

        `fused` comes from `fuse`; None runs the layers one by one, which gives the same bits.
        """
        if fused is not None:
            bias = None if self.position_bias is None else self.position_bias.table(state.position + 1)
            return fused.step(x, state, return_weights, bias)
        state.advance()
        options = _step_option(self.position_bias, state)
        # Layers of other kinds need not know of a head.
        asked: dict[str, Any] = {} if self.alignment_head is None else {"head": self.alignment_head}
        weights: Tensor | None = None
        for index, layer in enumerate(self.layers):
            aligns = return_weights and index == self.alignment_layer
            result = layer.step(x, state, index, aligns, **options, **(asked if aligns else {}))
            x, weights = result if isinstance(result, tuple) else (result, weights)
        return x if self.last_norm is None else self.last_norm(x), weights

    def fuse(self) -> DecoderStack | None:
        """The whole stack for a step in one call, with the weights as they are now, packed for the present precision.

        None where a layer is of another kind than those here.
        """
        if any(type(layer) is not TransformerDecoderLayer for layer in self.layers):
            return None
        first = self.layers[0]
        return DecoderStack(
            layers=[_fields(layer) for layer in self.layers],
            last_norm=self.last_norm,
            pre_norm=first.norm == "pre",
            heads=first.cross_attention.heads,
            activation=first.feed_forward.activation,
            alignment_layer=self.alignment_layer,
            alignment_head=self.alignment_head,
        )


def _bias_option(bias: PositionBias | None, offsets: np.ndarray) -> dict[str, Any]:
    """What a stack with a bias tells its layers: those of other kinds, without one, need not know of it."""
    return {} if bias is None else {"position_bias": bias.table(int(np.diff(offsets).max(initial=1)))}


def _step_option(bias: PositionBias | None, state: DecoderState) -> dict[str, Any]:
    """The same in a step, behind `state.advance()`."""
    return {} if bias is None else {"position_bias": bias.table(state.position)}


def _ssru(width: int) -> SSRU:
    from attnkit.nn.ssru import SSRU  # few models have one

    return SSRU(width)


def _fields(layer: TransformerDecoderLayer) -> DecoderLayer:
    itself, cross, feed_forward = layer.self_attention, layer.cross_attention, layer.feed_forward
    history: dict[str, Any] = {"ssru": layer.ssru}
    if itself is not None:
        history = {"self_projection": itself.projection, "self_output": itself.output}
    return DecoderLayer(
        self_norm=layer.self_attention_norm,
        **history,
        cross_norm=layer.cross_attention_norm,
        cross_query=cross.query,
        cross_output=cross.output,
        feed_forward_norm=layer.feed_forward_norm,
        up=feed_forward.up,
        down=feed_forward.down,
        gate=feed_forward.gate,
    )
