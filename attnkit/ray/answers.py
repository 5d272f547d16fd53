"""What each task answers: the results of a model for texts or images, as lines for a file or as columns of a table."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from attnkit.ray.work import Work, first_folder

Columns = dict[str, Any]


class Task(NamedTuple):
    """results: of a loaded model, for inputs. line: a result as it stands in a file, of its number, its input, itself,
    the work and whether as JSON. columns: those of results, of which the first has the name that the caller wants and
    the others that name with an ending."""

    results: Callable[[Any, Work, Iterable[Any]], Iterator[Any]]
    line: Callable[[int, str, Any, Work, bool], bytes]
    columns: Callable[[list[Any]], Columns]


def task_of(work: Work, reads: str) -> Task:
    """reads: what the model reads, which tells the two kinds of classifiers apart."""
    return _TASKS[work.task, "text" if reads == "text" else "images"]


def reads_of(model: Any) -> str:
    return getattr(model, "reads", "text")


class Inputs:
    """Texts, or the pictures of images, which are read one after the other: many at once would fill the memory. Each
    text, or image's name, is kept until its result is there."""

    def __init__(self, inputs: Iterable[Any], model: Any = None, unread: Callable[[str], object] | None = None) -> None:
        """model: what reads images; None for texts. unread: told why an image cannot be read, which then has no result;
        None raises that."""
        self._inputs, self._model, self._unread = inputs, model, unread
        self._waiting: collections.deque[Any] = collections.deque()

    def __iter__(self) -> Iterator[Any]:
        for each in self._inputs:
            try:
                value = each if self._model is None else _picture(self._model, each)
            except (OSError, ValueError) as error:
                if self._model is None or self._unread is None:
                    raise
                self._unread(described(error))
                continue
            self._waiting.append(each)
            yield value

    def take(self) -> Any:
        return self._waiting.popleft()


def described(error: Exception) -> str:
    """In a line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error) or type(error).__name__


def _translations(model: Any, work: Work, texts: Iterable[str]) -> Iterator[Any]:
    from attnkit.tasks.translate.shortlist_source import find

    options = dict(work.options)
    options["shortlist"] = find(options.get("shortlist"), model, first_folder(work))
    return model.translate_stream(texts, **options)  # type: ignore[no-any-return]


def _translation_line(number: int, source: str, result: Any, work: Work, jsonl: bool) -> bytes:
    from attnkit.tasks.translate.lines import json_line, text_lines

    return json_line(source, result) if jsonl else text_lines(number, result, work.options.get("nbest", 1))


def _vectors(model: Any, work: Work, texts: Iterable[str]) -> Iterator[Any]:
    return model.embed_stream(texts, **work.options)  # type: ignore[no-any-return]


def _vector_line(number: int, source: str, result: Any, work: Work, jsonl: bool) -> bytes:
    from attnkit.tasks.embed.lines import json_line

    return json_line(source, result)


def _classes(model: Any, work: Work, inputs: Iterable[Any]) -> Iterator[Any]:
    if model.reads == "text":
        return model.classify_stream(inputs, **work.options)  # type: ignore[no-any-return]
    options = dict(work.options)
    labels, template = options.pop("labels", None), options.pop("prompt_template", None)
    if labels is not None:
        model = model.labelled(labels) if template is None else model.labelled(labels, template)
    return model.classify_stream(inputs, **options)  # type: ignore[no-any-return]


def _text_class_line(number: int, source: str, result: Any, work: Work, jsonl: bool) -> bytes:
    from attnkit.tasks.classify_text.lines import json_line, text_line

    return json_line(source, result) if jsonl else text_line(result)


def _image_class_line(number: int, source: str, result: Any, work: Work, jsonl: bool) -> bytes:
    from attnkit.tasks.classify_images.lines import json_line, text_line

    return json_line(source, result) if jsonl else text_line(source, result)


def _captions(model: Any, work: Work, images: Iterable[Any]) -> Iterator[Any]:
    return model.caption_stream(images, **work.options)  # type: ignore[no-any-return]


def _caption_line(number: int, source: str, result: Any, work: Work, jsonl: bool) -> bytes:
    from attnkit.tasks.caption.lines import json_line, text_lines

    return json_line(source, result) if jsonl else text_lines(source, result, work.options.get("nbest", 1))


def _picture(model: Any, image: Any) -> Any:
    from attnkit.ray import storage

    if isinstance(image, str) and storage.is_remote(image):
        with storage.opened(image) as stream:
            image = stream.read()
    return model.read(image)


def _text_columns(results: list[Any]) -> Columns:
    found: Columns = {"": [result.text for result in results]}
    found["score"] = np.array([result.score for result in results], np.float32)
    found["truncated"] = np.array([result.truncated for result in results], bool)
    if any(result.alternatives for result in results):
        found["alternatives"] = _ragged([[each.text for each in result.alternatives] for result in results])
    return found


def _class_columns(results: list[Any]) -> Columns:
    found: Columns = {"": [result.label for result in results]}
    found["probability"] = np.array([result.probability for result in results], np.float32)
    if any(len(result.top) > 1 for result in results):
        found["top"] = _ragged([[label for label, _ in result.top] for result in results])
        found["top_probability"] = _ragged([[float(share) for _, share in result.top] for result in results])
    return found


def _vector_columns(results: list[Any]) -> Columns:
    vectors = [result.vector for result in results]
    found: Columns = {"": np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)}
    found["truncated"] = np.array([result.truncated for result in results], bool)
    return found


def _ragged(rows: list[list[Any]]) -> Any:
    found = np.empty(len(rows), object)
    for number, row in enumerate(rows):
        found[number] = row
    return found


_TASKS = {
    ("translate", "text"): Task(_translations, _translation_line, _text_columns),
    ("embed", "text"): Task(_vectors, _vector_line, _vector_columns),
    ("embed", "images"): Task(_vectors, _vector_line, _vector_columns),
    ("classify", "text"): Task(_classes, _text_class_line, _class_columns),
    ("classify", "images"): Task(_classes, _image_class_line, _class_columns),
    ("caption", "images"): Task(_captions, _caption_line, _text_columns),
}
