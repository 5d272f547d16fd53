"""T5 and those that have its layers: T5 1.1, FLAN-T5, UL2 and mT5 (Raffel et al., 2020; Chung et al., 2022).

Scores there are not divided by the root of a head's width: queries are multiplied by it here. The first T5 divides
states by the root of their width before the output matrix: so is the last norm's weight here.

What such a model does is said before the text, "summarize: " say: these are the prompts of the model directory.
"""

from __future__ import annotations

import os
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from attnkit.decoding.defaults import DecodingDefaults
from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import (
    ACTIVATIONS,
    GenerationConfig,
    Ids,
    left_out_of_search,
    only,
    read_generation,
    task_params,
)
from attnkit.interop.hf_weights import left_out_tensors
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, Plan, check_one, filled_model
from attnkit.interop.huggingface.seq2seq import SUMMARIZATION, SUMMARIZE
from attnkit.interop.huggingface.t5_encoder import convert_t5_encoder, is_t5_encoder
from attnkit.interop.huggingface.t5_parts import EMBEDDINGS, decoder_plan, encoder_plan
from attnkit.interop.huggingface.text_tokenizer import read_text_tokenizer
from attnkit.models.config import Layers, NotNegative, Positive, Rate, RelativeBuckets, RelativeDistance
from attnkit.models.transformer_config import TransformerConfig
from attnkit.tasks.shared.directory import save_directory

_OUT = "lm_head.weight"
_UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"  # of the first checkpoints
FeedForward = Literal[
    "relu", "gelu", "gelu_new", "silu", "swish", "gated-relu", "gated-gelu", "gated-gelu_new", "gated-silu",
    "gated-swish",
]  # fmt: skip


class T5Config(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    model_type: Literal["t5", "mt5"]
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
    feed_forward_proj: FeedForward | None = None
    tie_word_embeddings: bool | None = None
    scale_decoder_outputs: bool | None = None
    eos_token_id: Ids = 1
    pad_token_id: NotNegative = 0
    decoder_start_token_id: NotNegative | None = None

    @property
    def start_id(self) -> int:
        return self.pad_token_id if self.decoder_start_token_id is None else self.decoder_start_token_id

    @property
    def feed_forward(self) -> FeedForward:
        return self.feed_forward_proj or ("relu" if self.model_type == "t5" else "gated-gelu")

    @property
    def gated(self) -> bool:
        return self.feed_forward.startswith("gated-")

    @property
    def activation(self) -> str:
        """transformers takes "gated-gelu" for the approximation that these models were trained with."""
        return "gelu_new" if self.feed_forward == "gated-gelu" else self.feed_forward.removeprefix("gated-")

    @property
    def output_scale(self) -> float:
        """What states are multiplied by before the output matrix. Files of before 2026 say so by tie_word_embeddings,
        whatever becomes of the matrices."""
        scaled = self.tie_word_embeddings is not False if self.scale_decoder_outputs is None else None
        scaled = self.scale_decoder_outputs if scaled is None else scaled
        return self.d_model**-0.5 if scaled and self.model_type == "t5" else 1.0

    @property
    def alike(self) -> dict[str, Any]:
        """What a whole model and its encoder alone call by the same keys."""
        return dict(
            d_model=self.d_model,
            ffn=self.d_ff,
            heads=self.num_heads,
            head_dim=self.d_kv,
            dropout=self.dropout_rate,
            norm="pre",
            norm_kind="rms",
            norm_eps=self.layer_norm_epsilon,
            activation=ACTIVATIONS[self.activation],
            gated=self.gated,
            scale_embeddings=False,
            positions="none",
            relative_buckets=self.relative_attention_num_buckets,
            relative_distance=self.relative_attention_max_distance,
        )

    def to_transformer(self, own_output: bool) -> TransformerConfig:
        """The same architecture as one of ours. own_output: the output matrix is not that of the embeddings. Raises
        ValueError for one that is none."""
        return TransformerConfig(
            **self.alike,
            encoder_layers=self.num_layers,
            decoder_layers=self.num_layers if self.num_decoder_layers is None else self.num_decoder_layers,
            tie_embeddings="inputs" if own_output else "all",
            bos_id=self.start_id,
            eos_id=only(self.eos_token_id, "eos_token_id"),
        )


def convert_t5(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    checkpoint = Checkpoint.open(source, directory)
    config = checkpoint.config(T5Config)
    if is_t5_encoder(checkpoint):
        return convert_t5_encoder(checkpoint, config)
    if not checkpoint.architecture.endswith(("ForConditionalGeneration", "WithLMHeadModel")):
        raise checkpoint.refused(
            f"expected the architecture T5ForConditionalGeneration or T5EncoderModel, got {checkpoint.architecture!r}"
        )
    own_output = _own_output(checkpoint, config)
    try:
        ours = config.to_transformer(own_output)
    except ValueError as error:
        raise checkpoint.refused(str(error)) from None
    search = _searches(checkpoint, config, ours)
    tokenizer = read_text_tokenizer(checkpoint.folder, config.vocab_size)
    sizes = (config.vocab_size, config.vocab_size)
    model, unread = filled_model(checkpoint.tensors, ours, sizes, _plan(checkpoint, config, ours))
    unread = [name for name in unread if name not in (*EMBEDDINGS, _OUT, _UNUSED)]
    if more := [name for name in unread if ".block." in name]:
        raise ValueError(f"[convert] {checkpoint.folder}: expected no layer's tensor {more[0]} by config.json, got one")
    with atomic_folder(checkpoint.target) as new:
        save_directory(
            model, new, SUMMARIZE, tokenizers=tokenizer.framed(), decoding=search.plain, prompts=search.prompts,
            default_prompt=SUMMARIZATION if SUMMARIZATION in search.prompts else None,
            prompt_decoding=search.prompted or None,
        )  # fmt: skip
    tensors = checkpoint.tensors.tensors
    left_out = [*tensors.notes, *search.left_out, *left_out_tensors(tensors, unread, "a T5")]
    return Converted(ours, sum(parameter.size for parameter in model.parameters()), left_out)


def _own_output(checkpoint: Checkpoint, config: T5Config) -> bool:
    """Whether the output matrix is another than that of the embeddings, which may stand in the file by several names:
    config.json does not say it. Raises ValueError for matrices of other sizes, and where there are two embeddings."""
    tensors, shape = checkpoint.tensors, (config.vocab_size, config.d_model)
    check_one(tensors, EMBEDDINGS, shape)
    embedding = _embedding(checkpoint)
    if _OUT not in tensors or embedding not in tensors:
        return False
    return not np.array_equal(tensors.read(_OUT, shape), tensors.read(embedding, shape))


def _embedding(checkpoint: Checkpoint) -> str:
    return next((name for name in EMBEDDINGS if name in checkpoint.tensors), EMBEDDINGS[0])


class _Searches(NamedTuple):
    """plain: how text is searched for. prompts: by task, as config.json names it, what is put before a text for it.
    prompted: how it is searched for then. left_out: a line for each setting that attnkit does not follow."""

    plain: DecodingDefaults
    prompts: dict[str, str]
    prompted: dict[str, DecodingDefaults]
    left_out: list[str]


def _searches(checkpoint: Checkpoint, config: T5Config, ours: TransformerConfig) -> _Searches:
    folder = checkpoint.folder

    def read(task: str) -> tuple[DecodingDefaults, list[str]]:
        file, table, generation = read_generation(folder, checkpoint.table, GenerationConfig, task)
        try:
            defaults = generation.to_defaults(ours.max_length, config.vocab_size)
        except ValueError as error:
            raise ValueError(f"[convert] {file}: {error}") from None
        return defaults, left_out_of_search(table, file)

    plain, left_out = read("")
    prompts: dict[str, str] = {}
    prompted: dict[str, DecodingDefaults] = {}
    for task, params in task_params(folder, checkpoint.table).items():
        prefix: Any = params.get("prefix") if isinstance(params, dict) else None
        if isinstance(prefix, str):
            prompts[task] = prefix
            prompted[task], more = read(task)
            left_out += [line for line in more if line not in left_out]
    return _Searches(plain, prompts, prompted, left_out)


def _plan(checkpoint: Checkpoint, config: T5Config, ours: TransformerConfig) -> Plan:
    plan: dict[str, Part | None] = {"source_embedding.weight": Part((_embedding(checkpoint),))}
    if ours.tie_embeddings == "inputs":
        plan |= {"generator.weight": Part((_OUT,)), "generator.bias": None}
    return plan | {**encoder_plan(config), **decoder_plan(config)}
