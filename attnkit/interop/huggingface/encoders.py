"""What the text encoders of BERT's family have in common: the stack, and what stands behind it decides the task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted
from attnkit.interop.hf_weights import left_out_tensors
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, Plan, filled_model, weight_and_bias
from attnkit.interop.huggingface.labels import read_labels
from attnkit.interop.huggingface.sentence_transformers import WithModules, has_modules, read_modules
from attnkit.interop.huggingface.text_tokenizer import TextTokenizer, read_text_tokenizer
from attnkit.models.encoder_only_config import EncoderOnlyConfig
from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
from attnkit.models.transformer_classifier_config import TransformerClassifierConfig
from attnkit.tasks.shared.directory import save_directory


class Stack(NamedTuple):
    """Embeddings and layers. keys: of `TextStackConfig`. vocab_size: entries of the vocabulary. plan: of our parameters
    below `embedding` and `encoder`."""

    keys: dict[str, Any]
    vocab_size: int
    plan: Plan


class MaskedHead(NamedTuple):
    """What guesses hidden tokens: the names of the layer, its norm and the output layer, whose matrix is the embeddings
    unless config.json says that they are two; of its bias, which may have either of two names; and the activation."""

    transform: str
    norm: str
    output: str
    bias: str
    activation: str = "gelu"


class ClassifierHead(NamedTuple):
    """What classifies: the names of the layer behind the first token's state, and of the output layer."""

    pooler: str
    output: str
    activation: str = "tanh"


class EncoderFamily(NamedTuple):
    """What a family calls its heads; None for one that it does not have.

    also_masked: ends of the names of its classes that have the masked head beside others. also_encoders: of those whose
    head is for their training alone, so that an encoder is left.
    """

    masked: MaskedHead | None
    classifier: ClassifierHead | None
    also_masked: tuple[str, ...] = ()
    also_encoders: tuple[str, ...] = ()


def convert_encoder(checkpoint: Checkpoint, stack: Stack, family: EncoderFamily) -> Converted:
    """Writes the model directory: what makes vectors of texts, where sentence-transformers says how or nothing stands
    behind the stack, a masked language model, or a classifier of texts."""
    tokenizer = read_text_tokenizer(checkpoint.folder, stack.vocab_size)
    keys = {**stack.keys, "bos_id": tokenizer.bos_id, "eos_id": tokenizer.eos_id}
    architecture = checkpoint.architecture
    if has_modules(checkpoint.folder):
        return _embedder(checkpoint, stack, keys, tokenizer)
    if architecture.endswith(("ForMaskedLM", *family.also_masked)) and family.masked is not None:
        return _masked(checkpoint, stack, keys, tokenizer, family.masked)
    if architecture.endswith("ForSequenceClassification") and family.classifier is not None:
        return _classifier(checkpoint, stack, keys, tokenizer, family.classifier)
    if architecture and not architecture.endswith(("Model", *family.also_encoders)):
        raise checkpoint.refused(f"expected an encoder, a masked language model or a classifier, got {architecture!r}")
    return _embedder(checkpoint, stack, keys, tokenizer)


def _masked(
    checkpoint: Checkpoint, stack: Stack, keys: dict[str, Any], tokenizer: TextTokenizer, head: MaskedHead
) -> Converted:
    tied = checkpoint.table.get("tie_word_embeddings") is not False
    config = _made(checkpoint, EncoderOnlyConfig, keys | {"transform": head.activation, "tie_embeddings": tied})
    # With a matrix of its own the output layer has a bias of its own too, and transformers leaves the other unread.
    names = (head.bias, f"{head.output}.bias") if tied else (f"{head.output}.bias", head.bias)
    name = next((name for name in names if name in checkpoint.tensors), None)
    bias = None if name is None else Part((name,))
    plan: dict[str, Part | None] = {
        **stack.plan,
        **weight_and_bias("transform", head.transform),
        **weight_and_bias("transform_norm", head.norm),
        **({"tied_output_bias": bias} if tied else {"generator.weight": Part((f"{head.output}.weight",))}),
        **({} if tied else {"generator.bias": bias}),
    }
    return _written(checkpoint, config, (stack.vocab_size,), plan, "masked-language-model", tokenizer, {})


def _classifier(
    checkpoint: Checkpoint, stack: Stack, keys: dict[str, Any], tokenizer: TextTokenizer, head: ClassifierHead
) -> Converted:
    labels = read_labels(checkpoint)
    config = _made(checkpoint, TransformerClassifierConfig, keys | {"pooling": "cls", "pooler": head.activation})
    plan = {**stack.plan, **weight_and_bias("pooler", head.pooler), **weight_and_bias("output", head.output)}
    more = {"labels": labels, "html": False}
    return _written(checkpoint, config, (stack.vocab_size, len(labels)), plan, "classify", tokenizer, more)


def _embedder(checkpoint: Checkpoint, stack: Stack, keys: dict[str, Any], tokenizer: TextTokenizer) -> Converted:
    modules = read_modules(checkpoint.folder)
    config = _made(checkpoint, SentenceEncoderConfig, keys | modules.keys(keys))
    if modules.lowercase:
        tokenizer = tokenizer.lowercased()
    plan = {**stack.plan, **modules.plan()}
    more = {
        "prompts": dict(modules.prompts) or None,
        "default_prompt": modules.default_prompt,
        "similarity": modules.similarity,
    }
    if config.positions == "learned" and (part := plan["embedding.positions.weight"]) is not None:
        # Of positions beyond the longest text that is read there is no use.
        plan["embedding.positions.weight"] = part._replace(rows=keys["max_length"] + keys.get("position_offset", 0))
    tensors = WithModules(checkpoint.tensors, modules)
    whole = checkpoint._replace(tensors=tensors)
    converted = _written(whole, config, (stack.vocab_size,), plan, "embed", tokenizer, more)
    return converted._replace(left_out=[*modules.notes, *converted.left_out])


def _made(checkpoint: Checkpoint, kind: type[Any], keys: dict[str, Any]) -> Any:
    try:
        return kind(**keys)
    except ValueError as error:
        raise checkpoint.refused(str(error)) from None


def _written(
    checkpoint: Checkpoint,
    config: Any,
    sizes: tuple[int, ...],
    plan: Plan,
    task: str,
    tokenizer: TextTokenizer,
    more: dict[str, Any],
) -> Converted:
    model, unread = filled_model(checkpoint.tensors, config, sizes, plan)
    with atomic_folder(checkpoint.target) as new:
        save_directory(model, new, task, tokenizers=tokenizer.tokenizers, **more)
    tensors = checkpoint.tensors.tensors
    left_out = [*tensors.notes, *left_out_tensors(tensors, unread, "the model that is made of it")]
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)


def renamed(prefixes: tuple[str, ...]) -> Callable[[str], str]:
    """For `Checkpoint.open`: names without the prefix that a head's class puts before the stack's, and as they are
    since 2019."""

    def canonical(name: str) -> str:
        for prefix in prefixes:
            name = name.removeprefix(prefix)
        return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")

    return canonical
