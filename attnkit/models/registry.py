"""Every model by name: the `type` of a configuration, the class that it stands for, and the sizes that the data gives.

Configurations are small and imported at once; the models' own modules are imported when one is built.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, overload

from attnkit.models.captioner_config import CaptionerConfig
from attnkit.models.clip_config import CLIPConfig
from attnkit.models.cnn_config import CNNConfig
from attnkit.models.decoder_only_config import DecoderOnlyConfig
from attnkit.models.encoder_only_config import EncoderOnlyConfig
from attnkit.models.glimpse_config import GlimpseConfig
from attnkit.models.han_config import HanConfig
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
from attnkit.models.transformer_classifier_config import TransformerClassifierConfig
from attnkit.models.transformer_config import TransformerConfig
from attnkit.models.vit_config import ViTConfig

if TYPE_CHECKING:
    from attnkit.models.captioner import Captioner
    from attnkit.models.clip import CLIP
    from attnkit.models.cnn import CNN
    from attnkit.models.decoder_only import DecoderOnly
    from attnkit.models.encoder_only import EncoderOnly
    from attnkit.models.glimpse import Glimpse
    from attnkit.models.han import HierarchicalAttention
    from attnkit.models.recurrent import Recurrent
    from attnkit.models.sentence_encoder import SentenceEncoder
    from attnkit.models.transformer import Transformer
    from attnkit.models.transformer_classifier import TransformerClassifier
    from attnkit.models.vit import ViT

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

ModelConfig = (
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
    """A model: its configuration, "module:Class", and the names of the numbers that its constructor takes behind the
    configuration. They depend on the data (entries of a vocabulary, classes) and stand in config.json. encodes: its
    classes may be 0, and then it is an encoder alone."""

    config: type[ModelConfig]
    model: str
    sizes: tuple[str, ...]
    encodes: bool = False


ENTRIES = (
    Entry(
        TransformerConfig,
        "attnkit.models.transformer:Transformer",
        ("source_vocab_size", "target_vocab_size"),
    ),
    Entry(
        RecurrentConfig,
        "attnkit.models.recurrent:Recurrent",
        ("source_vocab_size", "target_vocab_size"),
    ),
    Entry(
        TransformerClassifierConfig,
        "attnkit.models.transformer_classifier:TransformerClassifier",
        ("vocab_size", "classes"),
    ),
    Entry(HanConfig, "attnkit.models.han:HierarchicalAttention", ("vocab_size", "classes")),
    Entry(DecoderOnlyConfig, "attnkit.models.decoder_only:DecoderOnly", ("vocab_size",)),
    Entry(EncoderOnlyConfig, "attnkit.models.encoder_only:EncoderOnly", ("vocab_size",)),
    Entry(SentenceEncoderConfig, "attnkit.models.sentence_encoder:SentenceEncoder", ("vocab_size",)),
    Entry(ViTConfig, "attnkit.models.vit:ViT", ("classes",), encodes=True),
    Entry(CNNConfig, "attnkit.models.cnn:CNN", ("classes",)),
    Entry(GlimpseConfig, "attnkit.models.glimpse:Glimpse", ("classes",)),
    Entry(CaptionerConfig, "attnkit.models.captioner:Captioner", ("vocab_size",)),
    Entry(CLIPConfig, "attnkit.models.clip:CLIP", ("vocab_size",)),
)

_BY_CONFIG = {entry.config: entry for entry in ENTRIES}


def size_names(config: ModelConfig) -> tuple[str, ...]:
    """The sizes that `build_model` takes for this configuration, in order."""
    return _BY_CONFIG[type(config)].sizes


def may_lack_classes(config: ModelConfig) -> bool:
    """Whether 0 classes make an encoder of such a model."""
    return _BY_CONFIG[type(config)].encodes


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
    entry = _BY_CONFIG[type(config)]
    if len(sizes) != len(entry.sizes):
        raise TypeError(f"[build_model] expected {', '.join(entry.sizes)}, got {len(sizes)} number(s)")
    module, _, name = entry.model.partition(":")
    model: Model = getattr(import_module(module), name)(config, *sizes)
    model.sizes = sizes
    return model
