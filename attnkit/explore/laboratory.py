"""Where an experiment trains: variants of a preset on the built-in corpus, each once, and what they are measured by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attnkit
from attnkit.files import atomic_write
from attnkit.metrics import text as text_metrics
from attnkit.models import load_weights
from attnkit.tasks.registry import make_task
from attnkit.tasks.translate.translator import Translator
from attnkit.text import en_it
from attnkit.text.alignment import AlignedPair
from attnkit.training import read_config, train_once
from attnkit.training.task import Task

Note = Callable[[str], None]


class Laboratory:
    """A folder with a run for each variant (`runs/<variant>`), a figure and a JSON file of the figures' numbers.

    Experiments that were interrupted go on where they were: finished runs are kept. steps: trains each variant for this
    many steps instead of the preset's. seed: of the weights and the order of the data.
    """

    def __init__(self, folder: Path, note: Note, steps: int | None = None, seed: int = 1) -> None:
        self.folder, self.note, self._steps = folder, note, steps
        self._common = [f"training.seed={seed}", "decoding.bleu=false", "training.final=last"]
        if steps is not None:
            rest = {"max_steps": steps, "warmup_steps": max(1, steps // 7), "log_every": max(1, steps // 20)}
            self._common += [f"training.{key}={value}" for key, value in rest.items()]

    def train(self, name: str, preset: str, overrides: Sequence[str] = ()) -> Translator:
        """The translator that the preset with these overrides becomes."""
        self.note(f"training {name}")
        folder = self.folder / "runs" / name
        train_once(read_config(preset, [*self._common, *overrides]), folder)
        translator = attnkit.load(folder, task="translate")
        return translator

    @property
    def validation_steps(self) -> int:
        """Steps between two validations that give a curve some ten points."""
        return max(1, (self._steps or 690) // 10)

    def metrics(self, name: str, key: str) -> list[tuple[int, float]]:
        """(step, figure) of a trained variant, for the rows of its metrics that have this figure."""
        rows = [json.loads(line) for line in (self.folder / "runs" / name / "metrics.jsonl").read_bytes().splitlines()]
        return [(row["step"], row[key]) for row in rows if key in row]

    def tokens_per_second(self, name: str) -> float:
        """How fast the variant trained, the mean over its run, in target tokens."""
        speeds = [speed for _, speed in self.metrics(name, "tokens_per_second")]
        return sum(speeds) / len(speeds)

    def task(self, name: str) -> Task:
        """A trained variant with its training data, to look at losses and gradients."""
        folder = self.folder / "runs" / name
        task = make_task(read_config(folder / "training.toml"), folder, lambda text: None, resumed=True)
        task.model.load_state_dict(load_weights(folder / "model.safetensors"))
        return task

    def save(self, numbers: Mapping[str, Any], name: str = "numbers.json") -> Path:
        """Writes the numbers behind the figure."""
        path = self.folder / name
        with atomic_write(path, "w") as file:
            file.write(json.dumps(numbers, indent=2, ensure_ascii=False) + "\n")
        return path


def held_out(count: int = 500) -> list[AlignedPair]:
    """Test pairs of the built-in corpus: no variant has trained on them."""
    return en_it.corpus(train=0, validation=0, test=count)["test"]


def bleu(translator: Translator, pairs: Sequence[AlignedPair], sources: Sequence[str] | None = None) -> float:
    """BLEU of greedy translations, from other `sources` where given."""
    results = translator.translate(sources or [pair.source for pair in pairs], beam=1)
    return text_metrics.bleu([result.text for result in results], [pair.target for pair in pairs], "none").score


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
