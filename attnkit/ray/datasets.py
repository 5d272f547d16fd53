"""Datasets of Ray in, datasets with a model's answers out.

Every function takes a `ray.data.Dataset`, or names of files (`attnkit.ray.read_lines` and `read_images` say which;
Parquet, CSV and JSON lines by their suffixes), and returns a Dataset with all its columns and those of the answers:
nothing is done before somebody reads it or writes it, `write_parquet` say. The arguments that all have:

model: a directory that all nodes see, or a name, which each fetches. column: where the texts or images are. output: the
name of the column for the answers, and the beginning of the names of those beside it. key: a column, or several, by
which the result is sorted; without one, blocks come as they are done. threads: of a worker, and the CPUs that Ray gives
it: 1 for a worker a core, the CPUs of a node for one a node. workers: how many there are, or the fewest and the most;
None lets Ray take what is free. batch_rows: rows that a worker is handed at once. precision: that of `attnkit.load`.
What is left goes to the model's own function.

Ray Data restarts workers that die, gives their rows to others, and holds its readers back where workers are busy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from attnkit.ray import answers
from attnkit.ray.library import library
from attnkit.ray.reading import read
from attnkit.ray.work import Work, load, prepared

Key = str | Sequence[str] | None
Workers = int | tuple[int, int] | None


def translate(
    dataset: Any,
    model: str | os.PathLike[str],
    *,
    column: str = "text",
    output: str = "translation",
    key: Key = None,
    then: str | os.PathLike[str] | None = None,
    precision: str | None = None,
    threads: int = 1,
    workers: Workers = None,
    batch_rows: int = 2048,
    **options: Any,
) -> Any:
    """Adds `translation`, `translation_score` and `translation_truncated` to texts, and with nbest > 1
    `translation_alternatives`. then: a second model, which translates what the first one writes. options: those of
    `Translator.translate_stream`; shortlist is what `attnkit translate --shortlist` takes.

    Raises RuntimeError where Ray is not installed, and ValueError or FileNotFoundError for a model that is none."""
    work = _work("translate", model, precision, threads, options, then)
    return _answered(dataset, work, column, output, key, workers, batch_rows)


def embed(
    dataset: Any,
    model: str | os.PathLike[str],
    *,
    column: str = "text",
    output: str = "vector",
    key: Key = None,
    precision: str | None = None,
    threads: int = 1,
    workers: Workers = None,
    batch_rows: int = 2048,
    **options: Any,
) -> Any:
    """Adds `vector`, float32 of the model's width, and `vector_truncated` to texts. options: those of
    `Embedder.embed_stream`. Raises as `translate` does."""
    return _answered(
        dataset, _work("embed", model, precision, threads, options), column, output, key, workers, batch_rows
    )


def classify(
    dataset: Any,
    model: str | os.PathLike[str],
    *,
    column: str | None = None,
    output: str = "label",
    key: Key = None,
    precision: str | None = None,
    threads: int = 1,
    workers: Workers = None,
    batch_rows: int | None = None,
    **options: Any,
) -> Any:
    """Adds `label` and `label_probability` to texts, or to images, as the model reads them, and with top > 1 lists of
    the likeliest, `label_top` and `label_top_probability`. column: "text" or "image" where not given. options: those
    of the classifier's `classify_stream`; of a model of images and texts also labels and prompt_template. Raises as
    `translate` does."""
    work = _work("classify", model, precision, threads, options)
    column = column or ("text" if _reads(work) == "text" else "image")
    return _answered(dataset, work, column, output, key, workers, batch_rows or (2048 if column == "text" else 64))


def caption(
    dataset: Any,
    model: str | os.PathLike[str],
    *,
    column: str = "image",
    output: str = "caption",
    key: Key = None,
    precision: str | None = None,
    threads: int = 1,
    workers: Workers = None,
    batch_rows: int = 64,
    **options: Any,
) -> Any:
    """Adds `caption`, `caption_score` and `caption_truncated` to images: names of files, bytes, or arrays as
    `ray.data.read_images` gives them. options: those of `Captioner.caption_stream`. Raises as `translate` does."""
    return _answered(
        dataset, _work("caption", model, precision, threads, options), column, output, key, workers, batch_rows
    )


def _work(task: str, model: Any, precision: Any, threads: int, options: dict[str, Any], then: Any = None) -> Work:
    return prepared(
        Work(
            task=task,
            model=os.fspath(model),
            then=None if then is None else os.fspath(then),
            precision=precision,
            threads=threads,
            options=options,
        )
    )


def _reads(work: Work) -> str:
    from attnkit.ray.work import first_folder
    from attnkit.tasks.shared.directory import ModelDirectory

    return ModelDirectory.read(first_folder(work)).reads


def _answered(dataset: Any, work: Work, column: str, output: str, key: Key, workers: Workers, batch_rows: int) -> Any:
    ray = library()
    if batch_rows < 1:
        raise ValueError(f"[ray] expected batch_rows >= 1, got {batch_rows}")
    if isinstance(dataset, str | os.PathLike) or (isinstance(dataset, Iterable) and _are_names(dataset)):
        dataset = read(dataset, images=column == "image")
    least, most = workers if isinstance(workers, tuple) else (workers or 1, workers)
    result = dataset.map_batches(
        _Answering,
        batch_size=batch_rows,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
        num_cpus=work.threads,
        fn_constructor_kwargs={"work": work, "column": column, "output": output},
    )
    return result if key is None else result.sort(key if isinstance(key, str) else list(key))


def _are_names(dataset: Any) -> bool:
    return isinstance(dataset, list | tuple) and all(isinstance(each, str | os.PathLike) for each in dataset)


class _Answering:
    """A worker: it loads the model once, and answers one batch of rows after the other."""

    def __init__(self, work: Work, column: str, output: str) -> None:
        self._work, self._column, self._output = work, column, output
        self._model = load(work)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        if self._column not in batch:
            raise ValueError(f"[ray] expected a column {self._column!r}, got {', '.join(map(repr, batch))}")
        reads = answers.reads_of(self._model)
        images = None if reads == "text" else self._model
        task = answers.task_of(self._work, reads)
        results = list(task.results(self._model, self._work, answers.Inputs(batch[self._column], images)))
        columns = task.columns(results)
        return {**batch, **{f"{self._output}_{name}" if name else self._output: columns[name] for name in columns}}
