"""A worker of a job that writes files: it loads the model once, and makes one part of the result after the other."""

from __future__ import annotations

import itertools
import os
from typing import Any

import msgspec

from attnkit.ray import answers, storage
from attnkit.ray.parts import Part, texts_of
from attnkit.ray.work import Work, load

INPUT, OTHER = "input", "other"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a part. attempt: the how many-th worker it was that made it. truncated: answers that were cut.
    failure: why it is not there; kind: whether that is a fault of the part's own input, and the others can go on.
    unread: of images that cannot be read, why."""

    part: Part
    attempt: int = 1
    truncated: int = 0
    failure: str | None = None
    kind: str = INPUT
    unread: tuple[str, ...] = ()


class PartWriter:
    """For `Dataset.map_batches`, a part a call."""

    def __init__(self, work: Work, jsonl: bool, text_key: str | None, tries: Any, most_tries: int) -> None:
        """tries: a `Tries`. most_tries: how many workers may die of a part."""
        self._work, self._jsonl, self._text_key = work, jsonl, text_key
        self._tries, self._most_tries = tries, most_tries
        self._model: Any = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        done = [self._make(msgspec.json.decode(part, type=Part)) for part in batch["part"]]
        return {"done": [msgspec.json.encode(each).decode() for each in done]}

    def _make(self, part: Part) -> Done:
        import ray

        attempt = ray.get(self._tries.begin.remote(part.target))
        if attempt > self._most_tries:
            failure = f"[ray] {part}: {self._most_tries} workers died while they made this part"
            return Done(part=part, attempt=attempt, failure=failure, kind=OTHER)
        try:
            if self._model is None:
                self._model = load(self._work)
            return self._written(part, attempt)
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            return Done(part=part, attempt=attempt, failure=answers.described(error), kind=OTHER)

    def _written(self, part: Part, attempt: int) -> Done:
        """Makes the part. A worker that died may have written it just before."""
        folder, name = os.path.split(part.target)
        if attempt > 1 and name in storage.present(folder):
            return Done(part=part, attempt=attempt)
        task = answers.task_of(self._work, answers.reads_of(self._model))
        unread: list[str] = []
        texts = [] if part.items else texts_of(part, self._text_key)
        inputs = answers.Inputs(part.items or texts, self._model if part.items else None, unread.append)
        results = task.results(self._model, self._seeded(part), inputs)  # options that are wrong are so for all parts
        lines, truncated, numbers = list[bytes](), 0, itertools.count(part.first)
        try:
            for number, result in zip(numbers, results, strict=False):
                lines.append(task.line(number, inputs.take(), result, self._work, self._jsonl))
                truncated += getattr(result, "truncated", False)
        except (OSError, ValueError) as error:
            return Done(part=part, attempt=attempt, failure=f"{part}: {answers.described(error)}")
        storage.write_whole(part.target, b"".join(lines))
        return Done(part=part, attempt=attempt, truncated=truncated, unread=tuple(unread))

    def _seeded(self, part: Part) -> Work:
        """Samples depend on the seed and on a line's number among those that are given at once."""
        options = self._work.options
        if not options.get("sample"):
            return self._work
        seed = (options.get("seed", 0) + part.first - 1) % 2**64
        return msgspec.structs.replace(self._work, options=options | {"seed": seed})


class Tries:
    """How many workers have begun each part: an actor, which outlives them."""

    def __init__(self) -> None:
        self._begun: dict[str, int] = {}

    def begin(self, target: str) -> int:
        self._begun[target] = self._begun.get(target, 0) + 1
        return self._begun[target]
