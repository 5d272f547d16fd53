"""What `special:model.yml` of Marian's own model files says of a Transformer, as a configuration of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from attnkit import typed
from attnkit.models.config import Activation, Layers, Positive
from attnkit.models.transformer_config import TransformerConfig
from attnkit.printable import quoted, shortened

_Dim = Annotated[int, Meta(ge=1, le=2**24)]

# Marian's gelu is x · σ(1.702 x).
_ACTIVATIONS: dict[str, Activation] = {"relu": "relu", "swish": "silu", "gelu": "quick_gelu"}

_EPS = 1e-6  # of every norm of a Transformer there


class MarianOptions(msgspec.Struct, frozen=True, rename=lambda name: name.replace("_", "-")):
    """The options that a Transformer's shape and arithmetic depend on, with Marian's defaults."""

    type: Literal["transformer"]
    dim_emb: _Dim
    dim_vocabs: Annotated[tuple[_Dim, ...], Meta(min_length=2, max_length=2)]
    enc_depth: Layers = 6
    dec_depth: Layers = 6
    dec_cell: str = "gru"
    transformer_heads: Positive = 8
    transformer_dim_ffn: _Dim = 2048
    transformer_decoder_dim_ffn: Annotated[int, Meta(ge=0, le=2**24)] = 0  # 0: the encoder's
    transformer_ffn_depth: int = 2
    transformer_decoder_ffn_depth: int = 0
    transformer_ffn_activation: Literal["relu", "swish", "gelu"] = "swish"
    transformer_decoder_autoreg: str = "self-attention"
    transformer_preprocess: str = ""
    transformer_postprocess: str = "dan"
    transformer_postprocess_emb: str = "d"
    transformer_postprocess_top: str = ""
    transformer_guided_alignment_layer: str | int = "last"
    tied_embeddings: bool = False
    tied_embeddings_all: bool = False
    tied_embeddings_src: bool = False
    output_omit_bias: bool = False
    transformer_no_projection: bool = False
    transformer_rnn_projection: bool = False
    transformer_pool: bool = False
    transformer_train_position_embeddings: bool = False
    transformer_tied_layers: tuple[Any, ...] = ()
    input_types: tuple[Any, ...] = ()
    right_left: bool = False
    ulr: bool = False
    lemma_dim_emb: int = 0
    layer_normalization: bool = False

    @classmethod
    def read(cls, table: dict[str, Any], file: Path) -> MarianOptions:
        """Raises ValueError, naming the file and the option, for a model that attnkit does not run."""
        if (kind := table.get("type")) != "transformer":
            raise ValueError(f"[convert] {file}: expected a model of type transformer, got {quoted(kind)}")
        try:
            options = typed.convert({name: value for name, value in table.items() if value is not None}, cls)
        except msgspec.ValidationError as error:
            raise ValueError(f"[convert] {file}: special:model.yml: {shortened(str(error), 500)}") from None
        for unsupported in _UNSUPPORTED:
            if unsupported.holds(options):
                raise ValueError(f"[convert] {file}: {unsupported.what} is not supported")
        return options

    @property
    def is_ssru(self) -> bool:
        return self.transformer_decoder_autoreg == "rnn"

    @property
    def is_pre_norm(self) -> bool:
        return "n" in self.transformer_preprocess

    @property
    def tie(self) -> Literal["all", "decoder", "none"]:
        if self.tied_embeddings_all:
            return "all"
        return "decoder" if self.tied_embeddings else "none"

    @property
    def decoder_dim_ffn(self) -> int:
        return self.transformer_decoder_dim_ffn or self.transformer_dim_ffn

    @property
    def alignment_layer(self) -> int:
        """Whose first head was trained on alignments, where one was: from 0."""
        layer = self.transformer_guided_alignment_layer
        number = self.dec_depth if layer == "last" else int(layer)
        return min(max(number, 1), self.dec_depth) - 1

    def to_transformer(self, start: int, eos: int, aligned: bool) -> TransformerConfig:
        """The same architecture as one of ours. start: the id of a token whose embedding is zero, which stands for the
        zero vector that Marian's decoders begin with. aligned: whether a head was trained on alignments."""
        return TransformerConfig(
            d_model=self.dim_emb,
            ffn=self.transformer_dim_ffn,
            heads=self.transformer_heads,
            decoder_ffn=self.decoder_dim_ffn if self.decoder_dim_ffn != self.transformer_dim_ffn else None,
            encoder_layers=self.enc_depth,
            decoder_layers=self.dec_depth,
            decoder="ssru" if self.is_ssru else "attention",
            norm="pre" if self.is_pre_norm else "post",
            norm_eps=_EPS,
            activation=_ACTIVATIONS[self.transformer_ffn_activation],
            tie_embeddings=self.tie,
            output_bias=self.tie != "none",
            positions="sinusoidal-halves",
            position_spacing="tensor2tensor",
            alignment_head=0 if aligned else None,
            alignment_layer=self.alignment_layer if aligned and self.alignment_layer != self.dec_depth - 1 else None,
            bos_id=start,
            eos_id=eos,
        )


class _Unsupported(NamedTuple):
    what: str
    holds: Callable[[MarianOptions], bool]


def _other_norms(options: MarianOptions) -> bool:
    """Letters are operations in their order: d dropout, a addition, n norm."""
    before, after, top = (
        steps.replace("d", "")
        for steps in (
            options.transformer_preprocess, options.transformer_postprocess, options.transformer_postprocess_top,
        )
    )  # fmt: skip
    return (before, after, top) not in (("", "an", ""), ("n", "a", "n"))


_UNSUPPORTED = (
    _Unsupported("an order of norms other than post-norm (dan) and pre-norm (n, da, n)", _other_norms),
    _Unsupported("a norm behind the embeddings", lambda o: o.transformer_postprocess_emb.replace("d", "") != ""),
    _Unsupported(
        "a decoder of another kind than self-attention or an SSRU (transformer-decoder-autoreg, dec-cell)",
        lambda o: o.transformer_decoder_autoreg != "self-attention" and not (o.is_ssru and o.dec_cell == "ssru"),
    ),
    _Unsupported(
        "a feed-forward network of other than two layers",
        lambda o: o.transformer_ffn_depth != 2 or o.transformer_decoder_ffn_depth not in (0, 2),
    ),
    _Unsupported("transformer-no-projection", lambda o: o.transformer_no_projection),
    _Unsupported("transformer-rnn-projection", lambda o: o.is_ssru and o.transformer_rnn_projection),
    _Unsupported("transformer-pool", lambda o: o.transformer_pool),
    _Unsupported("transformer-train-position-embeddings", lambda o: o.transformer_train_position_embeddings),
    _Unsupported("transformer-tied-layers", lambda o: bool(o.transformer_tied_layers)),
    _Unsupported("a source with more than words (input-types)", lambda o: bool(o.input_types)),
    _Unsupported("a decoder that writes from right to left", lambda o: o.right_left),
    _Unsupported("ulr", lambda o: o.ulr),
    _Unsupported("factored vocabularies", lambda o: o.lemma_dim_emb != 0),
)
