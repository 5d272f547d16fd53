"""T5 and those that have its layers: T5 1.1, FLAN-T5 and mT5 (Raffel et al., 2020; Chung et al., 2022).

Scores there are not divided by the root of a head's width: queries are multiplied by it here. Where the output shares
the embeddings' matrix, states are divided by the root of their width before it: so is the last norm's weight here.
"""

from __future__ import annotations

import os
from typing import Literal

import msgspec
import numpy as np

from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import (
    ACTIVATIONS,
    GenerationConfig,
    left_out_of_search,
    read_generation,
    task_params,
)
from attnkit.interop.hf_weights import left_out_tensors
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, Plan, filled_model
from attnkit.interop.huggingface.seq2seq import SUMMARIZATION, SUMMARIZE
from attnkit.interop.huggingface.text_tokenizer import read_text_tokenizer
from attnkit.models.config import Layers, NotNegative, Positive, Rate, RelativeBuckets, RelativeDistance
from attnkit.models.transformer_config import TransformerConfig
from attnkit.tasks.shared.directory import save_directory

_OUT = "lm_head.weight"
_SHARED = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
FeedForward = Literal["relu", "gated-gelu", "gated-silu", "gelu", "gelu_new", "silu"]


class T5Config(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    vocab_size: Positive = 32128
    d_model: Positive = 512
    d_kv: Positive = 64
    d_ff: Positive = 2048
    num_layers: Layers = 6
    num_decoder_layers: Layers | None = None
    num_heads: Positive = 8
    relative_attention_num_buckets: RelativeBuckets = 32
    relative_attention_max_distance: RelativeDistance = 128
    dropout_rate: Rate = 0.1
    layer_norm_epsilon: float = 1e-6
    feed_forward_proj: FeedForward = "relu"
    tie_word_embeddings: bool = True
    scale_decoder_outputs: bool | None = None
    n_positions: Positive = 512
    eos_token_id: NotNegative = 1
    pad_token_id: NotNegative = 0
    decoder_start_token_id: NotNegative | None = None

    @property
    def start_id(self) -> int:
        return self.pad_token_id if self.decoder_start_token_id is None else self.decoder_start_token_id

    @property
    def gated(self) -> bool:
        return self.feed_forward_proj.startswith("gated-")

    @property
    def scaled(self) -> bool:
        """Whether states are divided before the output. Files of before transformers 5 said it by tying matrices."""
        return self.tie_word_embeddings if self.scale_decoder_outputs is None else self.scale_decoder_outputs

    def to_transformer(self, tied: bool) -> TransformerConfig:
        """The same architecture as one of ours. tied: the output shares the embeddings' matrix. Raises ValueError for
        one that is none."""
        # transformers takes "gated-gelu" for the approximation that these models were trained with.
        activation = self.feed_forward_proj.removeprefix("gated-")
        activation = "gelu_new" if self.feed_forward_proj == "gated-gelu" else activation
        return TransformerConfig(
            d_model=self.d_model,
            ffn=self.d_ff,
            heads=self.num_heads,
            head_dim=self.d_kv,
            encoder_layers=self.num_layers,
            decoder_layers=self.num_layers if self.num_decoder_layers is None else self.num_decoder_layers,
            dropout=self.dropout_rate,
            norm="pre",
            norm_kind="rms",
            norm_eps=self.layer_norm_epsilon,
            activation=ACTIVATIONS[activation],
            gated=self.gated,
            tie_embeddings="all" if tied else "inputs",
            scale_embeddings=False,
            positions="none",
            relative_buckets=self.relative_attention_num_buckets,
            relative_distance=self.relative_attention_max_distance,
            max_length=self.n_positions,
            bos_id=self.start_id,
            eos_id=self.eos_token_id,
        )


def convert_t5(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    checkpoint = Checkpoint.open(source, directory)
    config = checkpoint.config(T5Config)
    if not checkpoint.architecture.endswith(("ForConditionalGeneration", "WithLMHeadModel")):
        raise checkpoint.refused(
            f"expected the architecture T5ForConditionalGeneration, got {checkpoint.architecture!r}"
        )
    file, table, generation = read_generation(checkpoint.folder, checkpoint.table, GenerationConfig, SUMMARIZATION)
    tokenizer = read_text_tokenizer(checkpoint.folder, config.vocab_size)
    try:
        ours = config.to_transformer(_is_tied(checkpoint, config))
        defaults = generation.to_defaults(ours.max_length, config.vocab_size)
    except ValueError as error:
        raise checkpoint.refused(str(error)) from None
    sizes = (config.vocab_size, config.vocab_size)
    model, unread = filled_model(checkpoint.tensors, ours, sizes, _plan(checkpoint, config, ours))
    prefix = task_params(checkpoint.folder, checkpoint.table).get(SUMMARIZATION, {}).get("prefix")
    with atomic_folder(checkpoint.target) as new:
        prompts = {SUMMARIZE: prefix} if isinstance(prefix, str) else None
        save_directory(
            model, new, SUMMARIZE, tokenizers=tokenizer.framed(), decoding=defaults, prompts=prompts,
            default_prompt=SUMMARIZE if prompts else None,
        )  # fmt: skip
    tensors = checkpoint.tensors.tensors
    unread = [name for name in unread if name not in (*_SHARED, _OUT)]
    left_out = [*tensors.notes, *left_out_of_search(table, file), *left_out_tensors(tensors, unread, "a T5")]
    return Converted(ours, sum(parameter.size for parameter in model.parameters()), left_out)


def _shared(checkpoint: Checkpoint) -> str:
    """What the embeddings' matrix is called."""
    return next((name for name in _SHARED if name in checkpoint.tensors), _SHARED[0])


def _is_tied(checkpoint: Checkpoint, config: T5Config) -> bool:
    """Whether the output shares the embeddings' matrix: config.json does not say it in all versions of transformers."""
    tensors, shape = checkpoint.tensors, (config.vocab_size, config.d_model)
    if _OUT not in tensors:
        return True
    return np.array_equal(tensors.read(_OUT, shape), tensors.read(_shared(checkpoint), shape))


def _plan(checkpoint: Checkpoint, config: T5Config, ours: TransformerConfig) -> Plan:
    plan: dict[str, Part | None] = {"source_embedding.weight": Part((_shared(checkpoint),))}
    if ours.tie_embeddings == "inputs":
        plan |= {"generator.weight": Part((_OUT,)), "generator.bias": None}
    for stack, layers in (("encoder", ours.encoder_layers), ("decoder", ours.decoder_layers)):
        bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        plan[f"{stack}.position_bias.weight"] = Part((bias,))
        for index in range(layers):
            plan |= _layer(stack, index, config)
    last = config.d_model**-0.5 if config.scaled else 1.0
    plan["encoder.last_norm.weight"] = Part(("encoder.final_layer_norm.weight",))
    plan["decoder.last_norm.weight"] = Part(("decoder.final_layer_norm.weight",), scale=last)
    return plan


def _layer(stack: str, index: int, config: T5Config) -> dict[str, Part | None]:
    ours, theirs = f"{stack}.layers.{index}", f"{stack}.block.{index}.layer"
    root = config.d_kv**0.5
    attention = "attention" if stack == "encoder" else "self_attention"
    itself = [f"{theirs}.0.SelfAttention.{name}.weight" for name in "qkv"]
    plan: dict[str, Part | None] = {
        f"{ours}.{attention}.projection.weight": Part(tuple(itself), scale=(root, 1.0, 1.0)),
        f"{ours}.{attention}.output.weight": Part((f"{theirs}.0.SelfAttention.o.weight",)),
        f"{ours}.{attention}_norm.weight": Part((f"{theirs}.0.layer_norm.weight",)),
    }
    if stack == "decoder":
        cross = f"{theirs}.1.EncDecAttention"
        plan |= {
            f"{ours}.cross_attention.query.weight": Part((f"{cross}.q.weight",), scale=root),
            f"{ours}.cross_attention.key_value.weight": Part((f"{cross}.k.weight", f"{cross}.v.weight")),
            f"{ours}.cross_attention.output.weight": Part((f"{cross}.o.weight",)),
            f"{ours}.cross_attention_norm.weight": Part((f"{theirs}.1.layer_norm.weight",)),
        }
    last = f"{theirs}.{1 if stack == 'encoder' else 2}"
    dense = f"{last}.DenseReluDense"
    plan |= {
        f"{ours}.feed_forward.up.weight": Part((f"{dense}.wi_1.weight" if config.gated else f"{dense}.wi.weight",)),
        f"{ours}.feed_forward.gate.weight": Part((f"{dense}.wi_0.weight",)) if config.gated else None,
        f"{ours}.feed_forward.down.weight": Part((f"{dense}.wo.weight",)),
        f"{ours}.feed_forward_norm.weight": Part((f"{last}.layer_norm.weight",)),
    }
    # It has no biases.
    return plan | {name.removesuffix("weight") + "bias": None for name in plan if not name.endswith("norm.weight")}
