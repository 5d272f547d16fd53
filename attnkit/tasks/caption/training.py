"""The task "caption": images with captions in, a captioner out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnkit import _core
from attnkit.distributed import group, shared
from attnkit.metrics import captions as caption_metrics
from attnkit.models.captioner import Captioner as CaptionModel
from attnkit.models.output import LossOutput
from attnkit.models.pretrained import load_encoder
from attnkit.models.registry import build_model
from attnkit.tasks.caption.config import CaptionConfig
from attnkit.tasks.caption.figures import caption_figures
from attnkit.tasks.shared.directory import save_directory
from attnkit.tasks.shared.held_out_task import HeldOutTask
from attnkit.tasks.shared.measured import mean_loss
from attnkit.tasks.shared.pretrained import located
from attnkit.tasks.shared.text_tokenizer import make_tokenizer
from attnkit.text.tokenizers.base import Tokenizer
from attnkit.training.metrics import Figure
from attnkit.training.task import Check
from attnkit.vision import shapes
from attnkit.vision.data import ImageData, Pictures
from attnkit.vision.loader import ImageLoader
from attnkit.vision.targets import CaptionBatch, Captions

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Images to measure on, with the captions that count as right; those of the loss, which the decoder can write, with
    their images; scenes where they are the built-in ones."""

    pictures: Pictures
    captions: Sequence[tuple[str, ...]]
    written: tuple[Pictures, Captions]
    scenes: list[shapes.Scene] | None


class CaptionTask(HeldOutTask[_HeldOut]):
    """Reads the data, learns or loads the tokenizer, and builds the model, its weights drawn from the seed."""

    def __init__(self, config: CaptionConfig, folder: Path, note: Note, *, resumed: bool = False) -> None:
        """A new run writes its tokenizer to `folder`, a resumed one reads it there.

        Raises ValueError or OSError for data, or for a pretrained encoder, that is none.
        """
        self._config, self._note = config, note
        seed = config.training.seed
        train, validation = config.data.read_training(seed)
        captions = _captions(train, "train")
        note(f"training data: {train.describe()}")
        lines = [line for of_image in captions for line in of_image]
        self._tokenizers = make_tokenizer(lines, config.tokenizer, seed, folder, note, resumed)
        pictures, targets = self._written(train, "training data", "train")
        self._validation = self._held_out(validation, "validation")
        self._test = self._held_out(config.data.read("test"), "test")
        _core.manual_seed(seed)
        self.model: CaptionModel = build_model(config.model, self._tokenizer.vocab_size)
        if config.pretrained.encoder:
            self._begin_with_encoder(resumed)
        self.batches = ImageLoader(
            pictures,
            targets,
            config.image,
            config.training.batch_images,
            augmentation=config.augmentation,
            seed=seed,
        )
        count = sum(parameter.size for parameter in self.model.parameters())
        note(f"model: {count:,} parameters; {config.training.precision}, {_core.get_num_threads()} thread(s)")

    def _begin_with_encoder(self, resumed: bool) -> None:
        """Takes the encoder of `[pretrained]`. A resumed run has its weights in the checkpoint, and goes on where the
        directory is no longer there, or has become another."""
        asked = self._config.pretrained
        if not resumed:
            load_encoder(self.model, located(asked.encoder), self._config.image)
        if asked.frozen:
            self.model.freeze_encoder()
        self._note(f"encoder: of {asked.encoder}, {'frozen' if asked.frozen else 'to be trained on'}")

    @property
    def _tokenizer(self) -> Tokenizer:
        return self._tokenizers.target

    def _written(self, data: ImageData, what: str, split: str) -> tuple[Pictures, Captions]:
        """The images with captions that the decoder can write, and these as ids; the log counts the others. Cut ones
        would teach it to stop in the middle."""
        model = self._config.model
        captions, longest = _captions(data, split), model.decoder.max_length - 1
        ids = [
            [tokens for tokens in map(self._tokenizer.encode, lines) if len(tokens) <= longest] for lines in captions
        ]
        if left_out := sum(map(len, captions)) - sum(map(len, ids)):
            self._note(f"{what}: {left_out:,} captions left out, which have more than model.decoder's {longest} tokens")
        chosen = [number for number, of_image in enumerate(ids) if of_image]
        if not chosen:
            raise ValueError(f"[train] expected captions of at most {longest} tokens in data.{split}, got none")
        return data.chosen(chosen).pictures, Captions([ids[number] for number in chosen], model.bos_id, model.eos_id)

    def _held_out(self, data: ImageData | None, split: shapes.Split) -> _HeldOut | None:
        if data is None:
            return None
        self._note(f"{split} data: {data.describe()}")
        config = self._config.data
        built_in = shapes.scenes(split, config.builtin_held_out, config.builtin_seed) if config.builtin else None
        written = self._written(data, f"loss of the {split} data", split)
        return _HeldOut(data.pictures, _captions(data, split), written, built_in)

    def loss(self, batch: CaptionBatch) -> LossOutput:
        """The label-smoothed loss of a batch, with what the decoder adds to it."""
        return self.model.loss(batch, self._config.training.label_smoothing)

    def _measure(self, data: _HeldOut, check: Check, final: bool) -> tuple[float, dict[str, Figure]]:
        """A caption's -log p a token, and unless they are switched off bleu1 to bleu4, bleu (the last of them) and
        cider; for the built-in scenes also exact and, where a caption is, pointing."""
        loss = self._mean_loss(data, check)
        return loss, self._figures(data, check, final) if self._config.decoding.metrics else {}

    def _mean_loss(self, data: _HeldOut, check: Check) -> float:
        """-log p a token of one caption of each image, without smoothing or dropout."""
        images, config = self._config.image, self._config.training
        return mean_loss(ImageLoader(*data.written, images, config.batch_images, shuffle=False), self.model.loss, check)

    def _figures(self, data: _HeldOut, check: Check, final: bool) -> dict[str, Figure]:
        from attnkit.tasks.caption.captioner import Caption, Captioner

        config = self._config.decoding
        captioner = Captioner(
            self.model, self._tokenizer, self._config.image, precision=self._config.training.precision
        )
        pointing = data.scenes is not None and self.model.attends
        prepare = self._config.image

        def captioned(numbers: Sequence[int]) -> list[Caption]:
            results = []
            for result in captioner.caption_stream(
                (data.pictures.get(n, prepare.channels, prepare.at_least) for n in numbers),
                attention=pointing,
                batch_images=config.batch_images,
                **config.search(final),
            ):
                check()
                results.append(result)
            return results

        results = shared(group(), range(len(data.pictures)), captioned)
        texts = [result.text for result in results]
        figures: dict[str, Figure] = dict(caption_figures(texts, data.captions))
        if data.scenes is not None:
            figures["exact"] = caption_metrics.exact(texts, data.captions)
        if pointing:
            assert data.scenes is not None
            measured = shapes.measure_pointing(data.scenes, results)
            if measured.words:  # of captions that are right: there may be none yet
                figures["pointing"] = measured.accuracy
        return figures

    def save(self, folder: Path) -> None:
        """config.json with how images are prepared, model.safetensors and the tokenizer's file."""
        save_directory(
            self.model, folder, "caption", reads="images", image=self._config.image, tokenizers=self._tokenizers
        )


def _captions(data: ImageData, split: str) -> Sequence[tuple[str, ...]]:
    if data.captions is None:
        raise ValueError(f"[train] expected images with captions in data.{split}, got none")
    return data.captions
