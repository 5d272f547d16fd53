"""The configuration of the recurrent encoder-decoder."""

from __future__ import annotations

from typing import Literal

import msgspec

from attnkit.models.config import NotNegative, NotNegativeFloat, Positive, Rate

EQUAL_WIDTHS = ("dot", "scaled-dot", "cosine")
"""The scores that compare a state and a source state of one width."""


class RecurrentConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="recurrent"
):
    """A recurrent encoder-decoder with any attention or none; docs/attention.md explains the mechanisms.

    As it stands it is the model of Bahdanau et al. (2015).
    """

    cell: Literal["rnn", "gru", "lstm"] = "gru"
    """The recurrent unit of encoder and decoder."""

    embedding_size: Positive = 256
    """Width of the embeddings."""

    hidden_size: Positive = 256
    """Width of the decoder's states."""

    encoder_size: Positive | None = None
    """Width of the encoder's states, in each direction; as `hidden_size` where not given."""

    layers: Positive = 1
    """Recurrent layers of the encoder, and of the decoder."""

    encoder: Literal["recurrent", "lstmn"] = "recurrent"
    """"lstmn": the encoder is an LSTM network that attends to its own past (Cheng et al., 2016); one direction."""

    bidirectional: bool = True
    """The encoder reads the source in both directions."""

    reverse_source: bool = False
    """The encoder reads the source from its last word to its first (Sutskever et al., 2014)."""

    share_weights: bool = False
    """Encoder and decoder are one recurrent network (each with its embeddings)."""

    score: Literal[
        "additive", "concat", "dot", "scaled-dot", "general", "scaled-general", "location", "cosine", "none"
    ] = "additive"
    """How decoder states and source states are compared; "none": no attention, the source is one fixed vector."""

    normaliser: Literal["softmax", "local-m", "local-p", "hard", "structured"] = "softmax"
    """How scores become weights."""

    attention_size: Positive | None = None
    """Width inside the additive and concat scores; as `hidden_size` where not given."""

    attend: Literal["before", "after"] = "before"
    """"before": the last state attends, and the cell reads the result (Bahdanau et al., 2015); "after": the new state
    attends (Luong et al., 2015)."""

    input_feeding: bool = False
    """With attend = "after": the cell also reads what the last word was predicted from (Luong et al., 2015)."""

    coverage: bool = False
    """The additive and concat scores also read the sum of a source position's weights so far (Tu et al., 2016)."""

    balance: NotNegativeFloat = 0.0
    """Adds this times the sum over source positions of (1 - their weights over all steps)², a target token (Xu et al.,
    2015, section 4.2.1): every source word is to be looked at once, which makes of attention an alignment."""

    window: Positive = 10
    """The D of local-m and local-p: they see the source positions from D before their centre to D behind it."""

    hard_gradient: Literal["reinforce", "straight-through"] = "reinforce"
    """How hard attention is trained."""

    baseline_decay: Rate = 0.9
    """How slowly the moving mean of the reward, REINFORCE's baseline, forgets."""

    entropy_bonus: Rate = 0.01
    """What REINFORCE adds for each nat of entropy of the weights that are sampled from."""

    context: Literal["first-state", "every-step", "both"] = "first-state"
    """With score = "none", where the decoder finds the source: as its first state (Sutskever et al., 2014), beside
    every input (with zeros as first state), or both (Cho et al., 2014)."""

    readout_size: Positive | None = None
    """Width of the layer that words are predicted from; as `embedding_size` where not given."""

    tie_embeddings: Literal["all", "decoder", "none"] = "none"
    """"all": source, target and output share one matrix (needs a joint vocabulary); "decoder": target and output do."""

    dropout: Rate = 0.2
    """Of embeddings, between layers, of source states and of what words are predicted from; in training only."""

    encoder_pretraining: Literal["none", "autoencoder", "language-model"] = "none"
    """What the encoder learns first by itself: to give the source back, or to predict its next word."""

    pretraining_batches: NotNegative = 0
    """How many batches the encoder is trained by itself for."""

    freeze_encoder: bool = False
    """Leaves the pretrained encoder as it is afterwards; else it is trained on with the rest."""

    max_length: Positive = 1024
    """Longest source and target, in tokens."""

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
