"""The configuration of the recurrent encoder-decoder."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.models.config import Layers, NotNegative, NotNegativeFloat, Positive, Rate

EQUAL_WIDTHS = ("dot", "scaled-dot", "cosine")
"""The scores that compare a state and a source state of one width."""


class RecurrentConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="recurrent"
):
    """A recurrent encoder-decoder with any attention or none; docs/attention.md explains the mechanisms.

    As it stands it is the model of Bahdanau et al. (2015).
    """

    cell: Annotated[Literal["rnn", "gru", "lstm"], Meta(description="The recurrent unit of encoder and decoder.")] = (
        "gru"
    )

    embedding_size: Annotated[Positive, Meta(description="Width of the embeddings.")] = 256

    hidden_size: Annotated[Positive, Meta(description="Width of the decoder's states.")] = 256

    encoder_size: Annotated[
        Positive | None,
        Meta(description="Width of the encoder's states, in each direction; as `hidden_size` where not given."),
    ] = None

    layers: Annotated[Layers, Meta(description="Recurrent layers of the encoder, and of the decoder.")] = 1

    encoder: Annotated[
        Literal["recurrent", "lstmn"],
        Meta(
            description='"lstmn": the encoder is an LSTM network that attends to its own past (Cheng et al., 2016); '
            "one direction."
        ),
    ] = "recurrent"

    bidirectional: Annotated[bool, Meta(description="The encoder reads the source in both directions.")] = True

    reverse_source: Annotated[
        bool, Meta(description="The encoder reads the source from its last word to its first (Sutskever et al., 2014).")
    ] = False

    share_weights: Annotated[
        bool, Meta(description="Encoder and decoder are one recurrent network (each with its embeddings).")
    ] = False

    score: Annotated[
        Literal["additive", "concat", "dot", "scaled-dot", "general", "scaled-general", "location", "cosine", "none"],
        Meta(
            description='How decoder states and source states are compared; "none": no attention, the source is one '
            "fixed vector."
        ),
    ] = "additive"

    normaliser: Annotated[
        Literal["softmax", "local-m", "local-p", "hard", "structured"], Meta(description="How scores become weights.")
    ] = "softmax"

    attention_size: Annotated[
        Positive | None,
        Meta(description="Width inside the additive and concat scores; as `hidden_size` where not given."),
    ] = None

    attend: Annotated[
        Literal["before", "after"],
        Meta(
            description='"before": the last state attends, and the cell reads the result (Bahdanau et al., 2015); '
            '"after": the new state attends (Luong et al., 2015).'
        ),
    ] = "before"

    input_feeding: Annotated[
        bool,
        Meta(
            description='With attend = "after": the cell also reads what the last word was predicted from (Luong et '
            "al., 2015)."
        ),
    ] = False

    coverage: Annotated[
        bool,
        Meta(
            description="The additive and concat scores also read the sum of a source position's weights so far (Tu "
            "et al., 2016)."
        ),
    ] = False

    balance: Annotated[
        NotNegativeFloat,
        Meta(
            description="Adds this times the sum over source positions of (1 - their weights over all steps)², a "
            "target token (Xu et al., 2015, section 4.2.1): every source word is to be looked at once, "
            "which makes of attention an alignment."
        ),
    ] = 0.0

    window: Annotated[
        Positive,
        Meta(
            description="The D of local-m and local-p: they see the source positions from D before their centre to D "
            "behind it."
        ),
    ] = 10

    hard_gradient: Annotated[
        Literal["reinforce", "straight-through"], Meta(description="How hard attention is trained.")
    ] = "reinforce"

    baseline_decay: Annotated[
        Rate, Meta(description="How slowly the moving mean of the reward, REINFORCE's baseline, forgets.")
    ] = 0.9

    entropy_bonus: Annotated[
        Rate, Meta(description="What REINFORCE adds for each nat of entropy of the weights that are sampled from.")
    ] = 0.01

    context: Annotated[
        Literal["first-state", "every-step", "both"],
        Meta(
            description='With score = "none", where the decoder finds the source: as its first state (Sutskever et '
            "al., 2014), beside every input (with zeros as first state), or both (Cho et al., 2014)."
        ),
    ] = "first-state"

    blank_inputs: Annotated[
        bool,
        Meta(
            description="The decoder reads a blank at every step instead of the last word: a network that is unfolded "
            "over source and target, whose writing does not know what it wrote."
        ),
    ] = False

    readout_size: Annotated[
        Positive | None,
        Meta(description="Width of the layer that words are predicted from; as `embedding_size` where not given."),
    ] = None

    tie_embeddings: Annotated[
        Literal["all", "decoder", "none"],
        Meta(
            description='"all": source, target and output share one matrix (needs a joint vocabulary); "decoder": '
            "target and output do."
        ),
    ] = "none"

    dropout: Annotated[
        Rate,
        Meta(
            description="Of embeddings, between layers, of source states and of what words are predicted from; in "
            "training only."
        ),
    ] = 0.2

    encoder_pretraining: Annotated[
        Literal["none", "autoencoder", "language-model"],
        Meta(
            description="What the encoder learns first by itself: to give the source back, or to predict its next word."
        ),
    ] = "none"

    pretraining_batches: Annotated[
        NotNegative, Meta(description="How many batches the encoder is trained by itself for.")
    ] = 0

    freeze_encoder: Annotated[
        bool,
        Meta(description="Leaves the pretrained encoder as it is afterwards; else it is trained on with the rest."),
    ] = False

    max_length: Annotated[Positive, Meta(description="Longest source and target, in tokens.")] = 1024

    @property
    def memory_size(self) -> int:
        """The width of a source state: both directions side by side."""
        return (self.encoder_size or self.hidden_size) * (2 if self.bidirectional else 1)

    def __post_init__(self) -> None:
        self._check_attention()
        self._check_encoder()
        if self.tie_embeddings != "none" and self.readout_size not in (None, self.embedding_size):
            raise ValueError(
                f"readout_size: expected embedding_size = {self.embedding_size}, since the output shares its matrix, "
                f"got {self.readout_size}"
            )

    def _check_attention(self) -> None:
        if self.score == "none" and (
            self.normaliser != "softmax" or self.coverage or self.input_feeding or self.balance
        ):
            raise ValueError('score: expected one, got "none" with a normaliser, coverage, input_feeding or balance')
        if self.balance and self.normaliser == "hard" and self.hard_gradient == "reinforce":
            raise ValueError("balance: expected 0 with weights that are sampled, since it needs their gradient")
        if self.score != "none" and self.context != "first-state":
            raise ValueError(f'context: expected "first-state" with attention, got "{self.context}"')
        if self.score == "location" and self.normaliser in ("local-m", "local-p"):
            raise ValueError(
                f'normaliser: expected "softmax" with score = "location", got "{self.normaliser}", which chooses a '
                "window by position, and the score knows nothing but the position"
            )
        if self.score in EQUAL_WIDTHS and self.hidden_size != self.memory_size:
            raise ValueError(
                f'score: expected "general", or source states as wide as the decoder\'s {self.hidden_size} for '
                f'"{self.score}", got {self.memory_size} (encoder_size sets it, for each direction)'
            )
        if self.coverage and self.score not in ("additive", "concat"):
            raise ValueError(f'coverage: expected score = "additive" or "concat", got "{self.score}"')
        if self.input_feeding and self.attend == "before":
            raise ValueError('input_feeding: expected attend = "after", got "before", where the cell reads the context')

    def _check_encoder(self) -> None:
        if self.encoder == "lstmn" and (self.bidirectional or self.layers > 1 or self.share_weights):
            raise ValueError('encoder: expected bidirectional = false, layers = 1 and own weights with "lstmn"')
        if self.share_weights:
            if self.bidirectional or self.memory_size != self.hidden_size:
                raise ValueError("share_weights: expected an encoder of one direction, as wide as the decoder")
            if self.context != "first-state":
                raise ValueError(f'share_weights: expected context = "first-state", got "{self.context}"')
        if (self.encoder_pretraining == "none") != (self.pretraining_batches == 0):
            raise ValueError("pretraining_batches: expected as many as encoder_pretraining takes, and 0 without it")
        if self.freeze_encoder and self.encoder_pretraining == "none":
            raise ValueError("freeze_encoder: expected an encoder_pretraining, or nothing would ever train it")
        if self.freeze_encoder and (self.share_weights or self.tie_embeddings == "all"):
            raise ValueError("freeze_encoder: expected weights of its own, which the decoder does not train")
        if self.encoder_pretraining == "language-model" and self.bidirectional:
            raise ValueError(
                'encoder_pretraining: expected bidirectional = false with "language-model", since an encoder that '
                "reads backwards has seen the next word"
            )
