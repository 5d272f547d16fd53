"""Where an experiment trains: variants of a preset on the built-in corpus, each once, and what they are measured by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import attnkit
from attnkit._tensor import no_grad
from attnkit.explain.drawing.slide import Panel, draw_slide
from attnkit.files import atomic_write
from attnkit.metrics import text as text_metrics
from attnkit.models import load_weights
from attnkit.models.recurrent import Recurrent
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.tasks.caption.captioner import Captioner
from attnkit.tasks.classify_images.classifier import ImageClassifier
from attnkit.tasks.registry import make_task
from attnkit.tasks.translate.pairs import encode_pairs, make_batches
from attnkit.tasks.translate.translator import Translator
from attnkit.text import ParallelCorpus, TokenizerPair, en_it
from attnkit.text.alignment import AlignedPair
from attnkit.training import encode_config, read_config, train_once
from attnkit.training.task import Task

Note = Callable[[str], None]


class Laboratory:
    """A folder with a run for each variant (`runs/<variant>`), figures and a JSON file of the figures' numbers.

    Experiments that were interrupted go on where they were: finished runs are kept. steps: trains each variant for this
    many steps instead of the preset's. seed: of the weights and the order of the data. shelf: a folder of other
    experiments' folders, whose finished runs of the same configuration are taken instead of trained again.
    """

    def __init__(
        self, folder: Path, note: Note, steps: int | None = None, seed: int = 1, shelf: Path | None = None
    ) -> None:
        self.folder, self.note, self.steps, self.seed = folder, note, steps, seed
        self.warning = ""
        self._shelf = shelf
        self._runs: dict[str, Path] = {}
        self._common = [f"training.seed={seed}", "training.final=last"]
        if steps is not None:
            rest = {"max_steps": steps, "warmup_steps": max(1, steps // 7), "log_every": max(1, steps // 20)}
            self._common += [f"training.{key}={value}" for key, value in rest.items()]

    def train(self, name: str, preset: str, overrides: Sequence[str] = ()) -> Translator:
        """The translator that the preset with these overrides becomes."""
        translator = attnkit.load(self._train(name, preset, ["decoding.bleu=false", *overrides]), task="translate")
        return translator

    def train_classifier(self, name: str, preset: str, overrides: Sequence[str] = ()) -> ImageClassifier:
        """The classifier of images that the preset with these overrides becomes."""
        classifier = attnkit.load(self._train(name, preset, overrides))
        assert isinstance(classifier, ImageClassifier)
        return classifier

    def train_captioner(self, name: str, preset: str, overrides: Sequence[str] = ()) -> Captioner:
        """The captioner that the preset with these overrides becomes; validated by loss alone, which takes less."""
        captioner = attnkit.load(self._train(name, preset, ["decoding.metrics=false", *overrides]), task="caption")
        return captioner

    def _train(self, name: str, preset: str, overrides: Sequence[str]) -> Path:
        config = read_config(preset, [*self._common, *overrides])
        folder = self._found(encode_config(config)) or self.folder / "runs" / name
        self.note(f"training {name}" if folder.is_relative_to(self.folder) else f"{name} is trained: {folder}")
        train_once(config, folder)
        self._runs[name] = folder
        return folder

    def _found(self, config: str) -> Path | None:
        """The folder on the shelf of a finished run of this configuration."""
        for file in sorted(self._shelf.glob("*/runs/*/training.toml")) if self._shelf is not None else ():
            if file.read_text("utf-8") == config and (file.parent / "model.safetensors").is_file():
                return file.parent
        return None

    def expect(self, visible: bool, what: str) -> None:
        """Unless the effect is visible, says so: in a line on stderr, on the figures drawn from now on, and in the
        numbers. what: what a figure that shows it has."""
        if not visible:
            self.warning = f"This shows nothing yet: expected {what}. Train longer (--steps)."
            self.note(f"warning: {self.warning}")

    def draw(self, name: str, title: str, rows: Sequence[Sequence[Panel]], **layout: Sequence[float]) -> Path:
        """Draws a figure, with the warning where there is one."""
        path = self.folder / name
        draw_slide(path, title, rows, warning=self.warning, **layout)
        return path

    @property
    def validation_steps(self) -> int:
        """Steps between two validations that give a curve some ten points."""
        return max(1, (self.steps or 690) // 10)

    def soft_batches(self, section: str = "model") -> str:
        """The override that lets hard attention sample in at least half of a training, however short it is."""
        return f"{section}.soft_batches={min(RecurrentConfig().soft_batches, 5 * self.validation_steps)}"

    def metrics(self, name: str, key: str) -> list[tuple[int, float]]:
        """(step, figure) of a trained variant, for the rows of its metrics that have this figure."""
        rows = [json.loads(line) for line in (self._runs[name] / "metrics.jsonl").read_bytes().splitlines()]
        return [(row["step"], row[key]) for row in rows if key in row]

    def tokens_per_second(self, name: str) -> float:
        """How fast the variant trained, the mean over its run, in target tokens."""
        speeds = [speed for _, speed in self.metrics(name, "tokens_per_second")]
        return sum(speeds) / len(speeds)

    def task(self, name: str) -> Task:
        """A trained variant with its training data, to look at losses and gradients."""
        folder = self._runs[name]
        task = make_task(read_config(folder / "training.toml"), folder, lambda text: None, resumed=True)
        task.model.load_state_dict(load_weights(folder / "model.safetensors"))
        return task

    def save(self, numbers: Mapping[str, Any], name: str = "numbers.json") -> Path:
        """Writes the numbers behind the figures, and the warning where there is one."""
        path = self.folder / name
        warning = {"warning": self.warning} if self.warning else {}
        with atomic_write(path, "w") as file:
            file.write(json.dumps({**numbers, **warning}, indent=2, ensure_ascii=False) + "\n")
        return path


def held_out(count: int = 500) -> list[AlignedPair]:
    """Test pairs of the built-in corpus: no variant has trained on them."""
    return en_it.corpus(train=0, validation=0, test=count)["test"]


def bleu(translator: Translator, pairs: Sequence[AlignedPair], sources: Sequence[str] | None = None) -> float:
    """BLEU of greedy translations, from other `sources` where given."""
    results = translator.translate(sources or [pair.source for pair in pairs], beam=1)
    return text_metrics.bleu([result.text for result in results], [pair.target for pair in pairs], "none").score


def forced_hits(translator: Translator, pairs: Sequence[AlignedPair]) -> list[np.ndarray]:
    """For each pair, which words of its target [words] a recurrent model would write after the true words before."""
    model = translator.model
    assert isinstance(model, Recurrent)
    tokenizers = TokenizerPair(translator.source_tokenizer, translator.target_tokenizer, "word")
    text = ParallelCorpus.from_pairs((pair.source, pair.target) for pair in pairs)
    encoded = encode_pairs(text, tokenizers, 1000)
    hits: list[np.ndarray] = [np.zeros(0, bool)] * len(pairs)
    for batch in make_batches(model, tokenizers, encoded, 2048, shuffle=False):
        with no_grad():
            best = model(batch).numpy().argmax(axis=1)
        right = best == np.asarray(batch.target_labels)
        offsets = np.asarray(batch.target_offsets)
        for row, index in enumerate(batch.indices):
            hits[index] = right[offsets[row] : offsets[row + 1] - 1]  # the end token is no word
    return hits


def by_length(pairs: Sequence[AlignedPair], edges: Sequence[int]) -> dict[str, list[AlignedPair]]:
    """Pairs by the words of their source: "1-5", "6-8", ... for edges 5, 8, ...; empty classes are left out."""
    classes: dict[str, list[AlignedPair]] = {}
    low = 1
    for high in edges:
        members = [pair for pair in pairs if low <= len(pair.source.split()) <= high]
        if members:
            classes[f"{low}-{high}"] = members
        low = high + 1
    return classes


def mean_length(pairs: Sequence[AlignedPair]) -> float:
    """The mean number of words of the sources."""
    return sum(len(pair.source.split()) for pair in pairs) / len(pairs)
