"""`attnkit bench caption`: a captioner with random weights on random images, which all get captions of one length."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attnkit.benchmark.decoding import DecodingMeasurement, measure_decoding
from attnkit.benchmark.runner import Contestant
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


@dataclass(frozen=True)
class CaptionWork:
    """images: how many. length: tokens of every caption. batch: images at once. beam: hypotheses followed."""

    images: int
    length: int
    batch: int
    beam: int

    def pictures(self, seed: int = 1) -> list[npt.NDArray[np.uint8]]:
        """Noise, in the size that the model wants: the time to read files is not part of this bench."""
        rng = np.random.Generator(np.random.Philox(seed))
        return list(rng.integers(0, 256, (self.images, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8))


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


def bench_caption(
    model: str,
    work: CaptionWork,
    precisions: tuple[str, ...],
    runs: int = 5,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda message: None,
) -> list[DecodingMeasurement]:
    """The same images through the same weights at each precision; units are images."""
    from attnkit import get_num_threads

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        progress("writing the model")
        write_model(folder / "attnkit", MODELS[model])
        (folder / "work.json").write_text(json.dumps(work.__dict__), encoding="utf-8")
        contestants = [
            Contestant(
                f"attnkit {precision}",
                "attnkit.benchmark.caption_worker",
                (str(folder), precision, str(threads or get_num_threads())),
            )
            for precision in precisions
        ]
        return measure_decoding(contestants, work.images, runs, progress)


def read_work(folder: Path) -> CaptionWork:
    """For the contestants: what the bench wrote."""
    return CaptionWork(**json.loads((folder / "work.json").read_text(encoding="utf-8")))
