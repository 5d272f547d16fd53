"""GPT-2 (Radford et al., 2019) and those that have its layers: DistilGPT-2, DialoGPT and others."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import ACTIVATIONS, HiddenAct
from attnkit.interop.hf_weights import left_out_tensors
from attnkit.interop.huggingface.causal_search import read_causal_search
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, Plan, filled_model, weight_and_bias
from attnkit.interop.huggingface.text_tokenizer import read_text_tokenizer
from attnkit.models.config import Layers, NotNegative, Positive, Rate
from attnkit.models.decoder_only_config import DecoderOnlyConfig
from attnkit.tasks.shared.directory import save_directory


class GPT2Config(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    vocab_size: Positive = 50257
    n_positions: Positive = 1024
    n_embd: Positive = 768
    n_layer: Layers = 12
    n_head: Positive = 12
    n_inner: Positive | None = None
    activation_function: HiddenAct = "gelu_new"
    resid_pdrop: Rate = 0.1
    embd_pdrop: Rate = 0.1
    attn_pdrop: Rate = 0.1
    layer_norm_epsilon: float = 1e-5
    eos_token_id: NotNegative | None = 50256
    scale_attn_weights: Literal[True] = True
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    add_cross_attention: Literal[False] = False
    tie_word_embeddings: bool = True


def convert_gpt2(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    checkpoint = Checkpoint.open(source, directory, lambda name: name.removeprefix("transformer."))
    config = checkpoint.config(GPT2Config)
    if checkpoint.architecture not in ("", "GPT2LMHeadModel", "GPT2Model"):
        raise checkpoint.refused(f"expected the architecture GPT2LMHeadModel, got {checkpoint.architecture!r}")
    tokenizer = read_text_tokenizer(checkpoint.folder, config.vocab_size)
    search, end, left_out = read_causal_search(checkpoint, config.n_positions, config.vocab_size)
    end = config.eos_token_id if end is None else end
    if end is None or end >= config.vocab_size:
        raise checkpoint.refused(f"eos_token_id: expected an id below vocab_size = {config.vocab_size}, got {end}")
    untied = not config.tie_word_embeddings and "lm_head.weight" in checkpoint.tensors
    try:
        ours = _config(config, tokenizer.bos_id, end, untied)
    except ValueError as error:
        raise checkpoint.refused(str(error)) from None
    plan = gpt2_plan(config.n_layer) | ({"generator.bias": None} if untied else {})
    plan |= {"generator.weight": Part(("lm_head.weight",))} if untied else {}
    model, unread = filled_model(checkpoint.tensors, ours, (config.vocab_size,), plan)
    unread = [name for name in unread if not name.endswith((".attn.bias", ".attn.masked_bias", "lm_head.weight"))]
    with atomic_folder(checkpoint.target) as new:
        save_directory(model, new, "language-model", tokenizers=tokenizer.tokenizers, decoding=search)
    tensors = checkpoint.tensors.tensors
    left_out = [*tensors.notes, *left_out, *left_out_tensors(tensors, unread, "the model that is made of it")]
    return Converted(ours, sum(parameter.size for parameter in model.parameters()), left_out)


def _config(config: GPT2Config, bos_id: int | None, eos_id: int, untied: bool) -> DecoderOnlyConfig:
    return DecoderOnlyConfig(
        d_model=config.n_embd,
        ffn=config.n_inner or 4 * config.n_embd,
        heads=config.n_head,
        layers=config.n_layer,
        dropout=config.resid_pdrop,
        attention_dropout=config.attn_pdrop,
        activation_dropout=0.0,
        norm="pre",
        norm_eps=config.layer_norm_epsilon,
        activation=ACTIVATIONS[config.activation_function],
        scale_embeddings=False,
        positions="learned",
        max_length=config.n_positions,
        bos_id=bos_id,
        eos_id=eos_id,
        tie_embeddings=not untied,
    )


def gpt2_plan(layers: int) -> dict[str, Part | None]:
    """The stack of a decoder-only model, by GPT-2's names; its matrices are [in, out]."""
    plan: dict[str, Part | None] = {
        "embedding.weight": Part(("wte.weight",)),
        "embedding.positions.weight": Part(("wpe.weight",)),
        **weight_and_bias("layers.last_norm", "ln_f"),
    }
    for index in range(layers):
        plan |= gpt2_layer(f"layers.layers.{index}", f"h.{index}")
    return plan


def gpt2_layer(ours: str, theirs: str) -> Plan:
    """A layer with the names that GPT-2 gives its parts."""
    return {
        **weight_and_bias(f"{ours}.attention_norm", f"{theirs}.ln_1"),
        **conv1d(f"{ours}.attention.projection", f"{theirs}.attn.c_attn"),
        **conv1d(f"{ours}.attention.output", f"{theirs}.attn.c_proj"),
        **weight_and_bias(f"{ours}.feed_forward_norm", f"{theirs}.ln_2"),
        **conv1d(f"{ours}.feed_forward.up", f"{theirs}.mlp.c_fc"),
        **conv1d(f"{ours}.feed_forward.down", f"{theirs}.mlp.c_proj"),
    }


def conv1d(ours: str, theirs: str) -> dict[str, Part]:
    """The plan of a layer whose matrix is [in, out]."""
    return {
        f"{ours}.weight": Part((f"{theirs}.weight",), transposed=True),
        f"{ours}.bias": Part((f"{theirs}.bias",)),
    }
