"""`attnkit.load`: what a model directory is for decides what it becomes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from attnkit import _core
from attnkit.printable import quoted

if TYPE_CHECKING:
    from attnkit._tensor import Precision
    from attnkit.tasks.caption.captioner import Captioner
    from attnkit.tasks.classify_images.classifier import ImageClassifier
    from attnkit.tasks.classify_images.zero_shot import ZeroShotClassifier
    from attnkit.tasks.classify_text.classifier import Classifier
    from attnkit.tasks.embed.embedder import Embedder
    from attnkit.tasks.language_model.generator import Generator
    from attnkit.tasks.masked_language_model.filler import MaskFiller
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.tasks.summarize.summarizer import Summarizer
    from attnkit.tasks.translate.pivot import PivotTranslator
    from attnkit.tasks.translate.translator import Translator

    Loaded: TypeAlias = (
        Translator
        | Classifier
        | ImageClassifier
        | ZeroShotClassifier
        | Captioner
        | Generator
        | MaskFiller
        | Summarizer
        | Embedder
    )
    _Path: TypeAlias = str | os.PathLike[str]


@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["translate"],
    device: str | None = None,
) -> Translator: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["classify"],
    reads: Literal["text"],
    device: str | None = None,
) -> Classifier: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["classify"],
    reads: Literal["images"],
    device: str | None = None,
) -> ImageClassifier: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["classify"],
    reads: Literal["images-and-texts"],
    device: str | None = None,
) -> ZeroShotClassifier: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["classify"],
    device: str | None = None,
) -> Classifier | ImageClassifier | ZeroShotClassifier: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["caption"],
    device: str | None = None,
) -> Captioner: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["language-model"],
    device: str | None = None,
) -> Generator: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["embed"],
    device: str | None = None,
) -> Embedder: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["masked-language-model"],
    device: str | None = None,
) -> MaskFiller: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["summarize"],
    device: str | None = None,
) -> Summarizer: ...
@overload
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: Literal["translate"] | None = None,
    then: _Path,
    device: str | None = None,
) -> PivotTranslator: ...
@overload
def load(
    path: _Path, precision: Precision | None = None, threads: int | None = None, *, device: str | None = None
) -> Loaded: ...
def load(
    path: _Path,
    precision: Precision | None = None,
    threads: int | None = None,
    *,
    task: str | None = None,
    reads: str | None = None,
    then: _Path | None = None,
    device: str | None = None,
) -> Any:
    """The model of a directory that `attnkit train` wrote, or of a name, ready for use; config.json says of which kind
    it is.

    A name is a pair of languages of Mozilla's registry ("en-de"; "en-de@tiny" takes an architecture) or a model of the
    Hugging Face Hub ("org/name", "org/name@revision"). It is fetched and converted once, then found without a network
    (docs/models.md). A folder of that name comes first. A pair that has no model of its own goes through English, where
    that leads there.

    A translation model becomes a `Translator`, a classifier of texts a `Classifier`, one of images an
    `ImageClassifier`, one of images by any labels a `ZeroShotClassifier` (with task "embed" an `Embedder`), a captioner
    a `Captioner`, a language model a `Generator`, a masked one a `MaskFiller`, one that summarizes a `Summarizer`, one
    that makes vectors of texts an `Embedder`.

    precision: "fp32", "bf16" or "int8", of the matrix products (see `attnkit.precision`); None takes "fp32", or "int8"
    for a model that was converted with weights of int8. threads: sets the number for
    the whole process; None leaves it.
    task: what the model must be for, "translate", "classify", "caption", "language-model", "masked-language-model" or
    "summarize" or "embed"; reads: what a classifier must take, "text", "images" or "images-and-texts".
    With them type checkers know the class.
    then: the directory of a second translation model, which reads what the first one writes, so that both together are
    a `PivotTranslator`: German to Portuguese of German to English and then English to Portuguese.
    device: where the model computes, "cpu", "cuda", "cuda:1" or "auto" (a GPU where there is one); None takes the
    default device, the CPU.
    Raises FileNotFoundError where there is no model, ValueError for a broken one or one for another task, whose message
    names the file, and for a device that is not here.
    """
    from attnkit._tensor import check_precision
    from attnkit.devices import known_device
    from attnkit.hub.resolve import resolve
    from attnkit.hub.route import through_english
    from attnkit.tasks.registry import find_entry, served_tasks
    from attnkit.tasks.shared.directory import ModelDirectory

    if precision is not None:
        check_precision(precision)
    if device is not None:
        device = known_device(device)  # before anything is fetched or read
    legs: tuple[_Path, _Path] | None = None if then is None else (path, then)
    if legs is None and task in (None, "translate") and reads in (None, "text"):
        legs = through_english(path)
    if legs is not None:
        from attnkit.tasks.translate.pivot import load_pivot

        if task not in (None, "translate") or reads not in (None, "text"):
            raise ValueError(f"[load] expected the task 'translate' of two models, got {quoted(task or reads)}")
        return load_pivot(resolve(legs[0]), resolve(legs[1]), precision, threads, device)
    directory = ModelDirectory.read(resolve(path))
    served = served_tasks(find_entry(directory.task, directory.reads, directory.folder))
    if task not in (None, *served):
        raise ValueError(f"[load] {path}: expected a model of the task {quoted(task)}, got one of {directory.task!r}")
    if reads not in (None, directory.reads):
        raise ValueError(
            f"[load] {path}: expected a model that reads {quoted(reads)}, got one that reads {directory.reads!r}"
        )
    return serve(directory, precision, threads, task, device)


def serve(
    directory: ModelDirectory,
    precision: Precision | None = None,
    threads: int | None = None,
    task: str | None = None,
    device: str | None = None,
) -> Any:
    """`load` for a directory whose config.json has been read; task: one of those that it serves, its own where not
    given."""
    from attnkit.tasks.registry import find_entry, serving_class

    entry = find_entry(directory.task, directory.reads, directory.folder)
    if threads is not None:
        _core.set_num_threads(threads)
    with directory.on(device).reading_ahead() as begun:
        return serving_class(entry, task).from_directory(begun, precision or directory.precision or "fp32")
