"""Captioners of attnkit's own for `attnkit bench caption`, with random weights; captions all have one length."""

from __future__ import annotations

from pathlib import Path

from attnkit.models.captioner_config import CaptionerConfig, LSTMDecoderConfig, TransformerDecoderConfig
from attnkit.models.cnn_config import CNNConfig
from attnkit.models.vit_config import ViTConfig

VOCABULARY = 4000
IMAGE_SIZE = 96

_CNN = CNNConfig(stem="large", widths=(64, 128, 192), blocks=1, squeeze_excitation=True)
MODELS = {
    "show-attend-tell": CaptionerConfig(encoder=_CNN, decoder=LSTMDecoderConfig(width=192, hidden=256)),
    "show-and-tell": CaptionerConfig(encoder=_CNN, decoder=LSTMDecoderConfig(width=192, hidden=256, attention="none")),
    "vit-transformer": CaptionerConfig(
        encoder=ViTConfig(size="Ti", image_size=IMAGE_SIZE, patch_size=16),
        decoder=TransformerDecoderConfig(width=192, heads=3, ffn=768, layers=4),
    ),
}


def write_model(folder: Path, config: CaptionerConfig) -> None:
    """A model directory with random weights. Words w4, w5, ... are its vocabulary."""
    import attnkit
    from attnkit.models.registry import build_model
    from attnkit.tasks.shared.directory import save_directory
    from attnkit.text.tokenizers.pair import TokenizerPair
    from attnkit.text.tokenizers.vocabulary import Vocabulary
    from attnkit.text.tokenizers.words import WordTokenizer
    from attnkit.vision.preprocessing import Preprocessing

    attnkit.manual_seed(0)
    tokenizer = WordTokenizer(Vocabulary([f"w{number}" for number in range(4, VOCABULARY)]))
    tokenizers = TokenizerPair(tokenizer, tokenizer, "word")
    model = build_model(config, VOCABULARY)
    image = Preprocessing(size=IMAGE_SIZE)
    save_directory(model, folder, "caption", reads="images", image=image, tokenizers=tokenizers)
