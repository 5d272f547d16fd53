"""What CLIP and SigLIP have in common as transformers keeps them: an encoder of texts and one of images."""

from __future__ import annotations

from typing import Any, TypeVar

from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import ACTIVATIONS, CONFIG_FILE, decode
from attnkit.interop.hf_weights import left_out_tensors
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, Plan, filled_model, weight_and_bias
from attnkit.interop.huggingface.text_tokenizer import TextTokenizer
from attnkit.interop.huggingface.vit_parts import vit_config
from attnkit.models.clip_config import CLIPConfig
from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
from attnkit.models.vit_config import ViTConfig
from attnkit.tasks.shared.directory import save_directory
from attnkit.vision.preprocessing import Preprocessing

TEXT, IMAGE = "text_model.", "vision_model."
"""What the names of both encoders begin with."""
T = TypeVar("T")


def prefixed(name: str, prefix: str) -> str:
    """As the class of both encoders names it: that of one may leave the prefix out."""
    return name if name.startswith((prefix, "text_projection", "visual_projection")) else prefix + name


def decoded_part(checkpoint: Checkpoint, table: dict[str, Any] | None, kind: type[T], key: str) -> T:
    try:
        return decode(table or {}, kind, checkpoint.folder / CONFIG_FILE)
    except ValueError as error:
        raise ValueError(f"{error} (below {key})") from None


def text_config(checkpoint: Checkpoint, text: Any, tokenizer: TextTokenizer, **more: Any) -> SentenceEncoderConfig:
    """Of what both families say of texts; `more` is what one has for itself. Raises ValueError."""
    try:
        return SentenceEncoderConfig(
            d_model=text.hidden_size,
            ffn=text.intermediate_size,
            heads=text.num_attention_heads,
            layers=text.num_hidden_layers,
            dropout=0.0,
            attention_dropout=text.attention_dropout,
            norm="pre",
            norm_eps=text.layer_norm_eps,
            activation=ACTIVATIONS[text.hidden_act],
            scale_embeddings=False,
            positions="learned",
            max_length=text.max_position_embeddings,
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
            normalize=True,
            **more,
        )
    except ValueError as error:
        raise checkpoint.refused(str(error)) from None


def image_config(checkpoint: Checkpoint, image: Any, **more: Any) -> ViTConfig:
    """The same of images."""
    return vit_config(
        checkpoint,
        image_size=image.image_size,
        patch_size=image.patch_size,
        channels=image.num_channels,
        d_model=image.hidden_size,
        layers=image.num_hidden_layers,
        heads=image.num_attention_heads,
        ffn=image.intermediate_size,
        norm_eps=image.layer_norm_eps,
        activation=ACTIVATIONS[image.hidden_act],
        attention_dropout=image.attention_dropout,
        **more,
    )


def text_plan(config: SentenceEncoderConfig) -> Plan:
    """Without a projection."""
    return {
        "embedding.weight": Part((f"{TEXT}embeddings.token_embedding.weight",)),
        "embedding.positions.weight": Part((f"{TEXT}embeddings.position_embedding.weight",)),
        **weight_and_bias("encoder.last_norm", f"{TEXT}final_layer_norm"),
        **encoder_layers(TEXT, config.layers),
    }


def encoder_layers(prefix: str, count: int) -> Plan:
    """Of the layers of either encoder."""
    plan: dict[str, Part | None] = {}
    for index in range(count):
        ours, theirs = f"encoder.layers.{index}", f"{prefix}encoder.layers.{index}"
        queries, keys, values, output = (f"{theirs}.self_attn.{name}_proj" for name in ("q", "k", "v", "out"))
        plan |= {
            **weight_and_bias(f"{ours}.attention.projection", queries, keys, values),
            **weight_and_bias(f"{ours}.attention.output", output),
            **weight_and_bias(f"{ours}.attention_norm", f"{theirs}.layer_norm1"),
            **weight_and_bias(f"{ours}.feed_forward.up", f"{theirs}.mlp.fc1"),
            **weight_and_bias(f"{ours}.feed_forward.down", f"{theirs}.mlp.fc2"),
            **weight_and_bias(f"{ours}.feed_forward_norm", f"{theirs}.layer_norm2"),
        }
    return plan


def write_pair(
    checkpoint: Checkpoint,
    config: CLIPConfig,
    plans: tuple[Plan, Plan, Plan],
    tokenizer: TextTokenizer,
    preprocessing: Preprocessing,
    entries: int,
) -> Converted:
    """The model directory of both encoders: a classifier of images whose classes are texts. plans: of texts, of images,
    and of what stands beside the two. entries: of the vocabulary."""
    text, image, beside = plans
    plan = {f"text.{name}": part for name, part in text.items()}
    plan |= {f"image.{name}": part for name, part in image.items()}
    model, unread = filled_model(checkpoint.tensors, config, (entries,), {**plan, **beside})
    with atomic_folder(checkpoint.target) as new:
        save_directory(
            model, new, "classify", reads="images-and-texts", image=preprocessing, tokenizers=tokenizer.tokenizers
        )
    return _converted(checkpoint, config, model, unread)


def write_text_encoder(
    checkpoint: Checkpoint, config: SentenceEncoderConfig, plan: Plan, tokenizer: TextTokenizer, entries: int
) -> Converted:
    """The model directory of the encoder of texts alone: what makes vectors of them."""
    model, unread = filled_model(checkpoint.tensors, config, (entries,), plan)
    with atomic_folder(checkpoint.target) as new:
        save_directory(model, new, "embed", tokenizers=tokenizer.tokenizers)
    return _converted(checkpoint, config, model, unread)


def _converted(checkpoint: Checkpoint, config: Any, model: Any, unread: list[str]) -> Converted:
    unread = [name for name in unread if not name.endswith(".position_ids")]  # 0, 1, 2, ... in older files
    tensors = checkpoint.tensors.tensors
    left_out = [*tensors.notes, *left_out_tensors(tensors, unread, "the model that is made of it")]
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)
