"""The models of `attnkit bench train`, and what each is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from attnkit.models.captioner_config import CaptionerConfig, LSTMDecoderConfig
from attnkit.models.cnn_config import CNNConfig
from attnkit.models.han_config import HanConfig
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.transformer_config import TransformerConfig
from attnkit.models.vit_config import ViTConfig

if TYPE_CHECKING:
    from attnkit.models.registry import ModelConfig

Inputs = Literal["sentences", "images", "captions", "documents"]


class TrainedModel(NamedTuple):
    """A model of the bench. sizes: the vocabularies or classes that it is built with. inputs: the batch that it takes.
    image_size: rows and columns of its images."""

    config: ModelConfig
    sizes: tuple[int, ...]
    inputs: Inputs
    image_size: int = 0

    @property
    def unit(self) -> str:
        """What a step gets through."""
        return {"sentences": "tokens", "images": "images", "captions": "images", "documents": "documents"}[self.inputs]


VOCAB_SIZE = 10_000
CLASSES = 10

MODELS = {
    "transformer-tiny": TrainedModel(
        TransformerConfig(
            d_model=128, ffn=256, heads=4, encoder_layers=4, decoder_layers=4, dropout=0.3, tie_embeddings="all"
        ),
        (VOCAB_SIZE, VOCAB_SIZE),
        "sentences",
    ),
    "transformer-base": TrainedModel(
        TransformerConfig(
            d_model=512, ffn=2048, heads=8, encoder_layers=6, decoder_layers=6, dropout=0.1, tie_embeddings="all"
        ),
        (VOCAB_SIZE, VOCAB_SIZE),
        "sentences",
    ),
    "bahdanau-gru": TrainedModel(
        RecurrentConfig(embedding_size=256, hidden_size=256, dropout=0.0), (VOCAB_SIZE, VOCAB_SIZE), "sentences"
    ),
    "vit-tiny": TrainedModel(ViTConfig(size="Ti", image_size=32, patch_size=4), (CLASSES,), "images", 32),
    "show-attend-tell": TrainedModel(
        CaptionerConfig(
            encoder=CNNConfig(stem="patch", widths=(64, 128), blocks=2),
            decoder=LSTMDecoderConfig(width=256, hidden=512, dropout=0.0),
        ),
        (VOCAB_SIZE,),
        "captions",
        64,
    ),
    "han": TrainedModel(HanConfig(dropout=0.0), (VOCAB_SIZE, 2), "documents"),
}
