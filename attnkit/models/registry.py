"""Every model by name: the `type` of a configuration, the class that it stands for, and the sizes that the data gives.

Classes are named by strings, so that a program pays for the models that it uses.
"""

from __future__ import annotations

import functools
import operator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, overload

if TYPE_CHECKING:
    from attnkit.models.captioner import Captioner
    from attnkit.models.captioner_config import CaptionerConfig
    from attnkit.models.clip import CLIP
    from attnkit.models.clip_config import CLIPConfig
    from attnkit.models.cnn import CNN
    from attnkit.models.cnn_config import CNNConfig
    from attnkit.models.decoder_only import DecoderOnly
    from attnkit.models.decoder_only_config import DecoderOnlyConfig
    from attnkit.models.encoder_only import EncoderOnly
    from attnkit.models.encoder_only_config import EncoderOnlyConfig
    from attnkit.models.glimpse import Glimpse
    from attnkit.models.glimpse_config import GlimpseConfig
    from attnkit.models.han import HierarchicalAttention
    from attnkit.models.han_config import HanConfig
    from attnkit.models.recurrent import Recurrent
    from attnkit.models.recurrent_config import RecurrentConfig
    from attnkit.models.sentence_encoder import SentenceEncoder
    from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
    from attnkit.models.transformer import Transformer
    from attnkit.models.transformer_classifier import TransformerClassifier
    from attnkit.models.transformer_classifier_config import TransformerClassifierConfig
    from attnkit.models.transformer_config import TransformerConfig
    from attnkit.models.vit import ViT
    from attnkit.models.vit_config import ViTConfig

    Model: TypeAlias = (
        Transformer
        | Recurrent
        | TransformerClassifier
        | HierarchicalAttention
        | DecoderOnly
        | EncoderOnly
        | SentenceEncoder
        | ViT
        | CNN
        | Glimpse
        | Captioner
        | CLIP
    )
    """Any model: the union of all."""
    ModelConfig: TypeAlias = (
        TransformerConfig
        | RecurrentConfig
        | TransformerClassifierConfig
        | HanConfig
        | DecoderOnlyConfig
        | EncoderOnlyConfig
        | SentenceEncoderConfig
        | ViTConfig
        | CNNConfig
        | GlimpseConfig
        | CaptionerConfig
        | CLIPConfig
    )
    """Any model's configuration: the union, by `type`, of all."""


class Entry(NamedTuple):
    """A model: the `type` of its configuration, in `attnkit.models` the "module:Class" of both, and the names of the
    numbers that its constructor takes behind the configuration. They depend on the data (entries of a vocabulary,
    classes) and stand in config.json. encodes: its classes may be 0, and then it is an encoder alone."""

    type: str
    config: str
    model: str
    sizes: tuple[str, ...]
    encodes: bool = False


ENTRIES = (
    Entry(
        "transformer",
        "transformer_config:TransformerConfig",
        "transformer:Transformer",
        ("source_vocab_size", "target_vocab_size"),
    ),
    Entry(
        "recurrent",
        "recurrent_config:RecurrentConfig",
        "recurrent:Recurrent",
        ("source_vocab_size", "target_vocab_size"),
    ),
    Entry(
        "transformer-classifier",
        "transformer_classifier_config:TransformerClassifierConfig",
        "transformer_classifier:TransformerClassifier",
        ("vocab_size", "classes"),
    ),
    Entry("han", "han_config:HanConfig", "han:HierarchicalAttention", ("vocab_size", "classes")),
    Entry("decoder-only", "decoder_only_config:DecoderOnlyConfig", "decoder_only:DecoderOnly", ("vocab_size",)),
    Entry("encoder-only", "encoder_only_config:EncoderOnlyConfig", "encoder_only:EncoderOnly", ("vocab_size",)),
    Entry(
        "sentence-encoder",
        "sentence_encoder_config:SentenceEncoderConfig",
        "sentence_encoder:SentenceEncoder",
        ("vocab_size",),
    ),
    Entry("vit", "vit_config:ViTConfig", "vit:ViT", ("classes",), encodes=True),
    Entry("cnn", "cnn_config:CNNConfig", "cnn:CNN", ("classes",)),
    Entry("glimpse", "glimpse_config:GlimpseConfig", "glimpse:Glimpse", ("classes",)),
    Entry("captioner", "captioner_config:CaptionerConfig", "captioner:Captioner", ("vocab_size",)),
    Entry("clip", "clip_config:CLIPConfig", "clip:CLIP", ("vocab_size",)),
)

_BY_TYPE = {entry.type: entry for entry in ENTRIES}


def __getattr__(name: str) -> Any:
    if name == "ModelConfig":
        return functools.reduce(operator.or_, [_imported(entry.config) for entry in ENTRIES])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def config_type(kind: Any) -> Any:
    """What the configuration of a `type` must be, as msgspec takes it: its class, and the union of all for what is no
    type, so that msgspec says what it may be."""
    entry = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    return __getattr__("ModelConfig") if entry is None else _imported(entry.config)


def size_names(config: ModelConfig) -> tuple[str, ...]:
    """The sizes that `build_model` takes for this configuration, in order."""
    return _entry(config).sizes


def may_lack_classes(config: ModelConfig) -> bool:
    """Whether 0 classes make an encoder of such a model."""
    return _entry(config).encodes


@overload
def build_model(config: TransformerConfig, *sizes: int) -> Transformer: ...
@overload
def build_model(config: RecurrentConfig, *sizes: int) -> Recurrent: ...
@overload
def build_model(config: TransformerClassifierConfig, *sizes: int) -> TransformerClassifier: ...
@overload
def build_model(config: HanConfig, *sizes: int) -> HierarchicalAttention: ...
@overload
def build_model(config: DecoderOnlyConfig, *sizes: int) -> DecoderOnly: ...
@overload
def build_model(config: EncoderOnlyConfig, *sizes: int) -> EncoderOnly: ...
@overload
def build_model(config: SentenceEncoderConfig, *sizes: int) -> SentenceEncoder: ...
@overload
def build_model(config: ViTConfig, *sizes: int) -> ViT: ...
@overload
def build_model(config: CNNConfig, *sizes: int) -> CNN: ...
@overload
def build_model(config: GlimpseConfig, *sizes: int) -> Glimpse: ...
@overload
def build_model(config: CaptionerConfig, *sizes: int) -> Captioner: ...
@overload
def build_model(config: CLIPConfig, *sizes: int) -> CLIP: ...
@overload
def build_model(config: ModelConfig, *sizes: int) -> Model: ...
def build_model(config: ModelConfig, *sizes: int) -> Model:
    """A model with fresh weights, which depend on `attnkit.manual_seed`. `sizes` are those of `size_names`."""
    entry = _entry(config)
    if len(sizes) != len(entry.sizes):
        raise TypeError(f"[build_model] expected {', '.join(entry.sizes)}, got {len(sizes)} number(s)")
    model: Model = _imported(entry.model)(config, *sizes)
    model.sizes = sizes
    return model


def _entry(config: ModelConfig) -> Entry:
    return _BY_TYPE[str(type(config).__struct_config__.tag)]


def _imported(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"attnkit.models.{module}"), attribute)
