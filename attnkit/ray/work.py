"""What every worker of a job does, and the model that it does it with."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec

from attnkit._version import __version__

_RECORDS = ("training.toml", "metrics.jsonl")  # of how a model came to be; it is the same model without


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A task, a model and what it is asked.

    model: a directory, or a name, which each node fetches. then: a second translation model. threads: of a worker, and
    the CPUs that it is given. options: of the task's stream of results, `Translator.translate_stream` say, and in
    `shortlist` what `attnkit translate --shortlist` takes. digests: of the models' files, so that all have the same.
    version: of attnkit.
    """

    task: str
    model: str
    then: str | None = None
    revision: str | None = None
    offline: bool | None = None
    precision: Any = None
    threads: int = 1
    options: dict[str, Any] = {}
    digests: tuple[str, ...] = ()
    version: str = __version__


def prepared(work: Work) -> Work:
    """The work with its models found, or fetched, on this machine: directories by their full names, a pair of languages
    that goes through English as two models, and the digest of each. Raises what `resolve` raises, and ValueError for a
    model of another task or threads < 1."""
    from attnkit.hub.route import through_english
    from attnkit.tasks.registry import find_entry, served_tasks
    from attnkit.tasks.shared.directory import ModelDirectory

    if work.threads < 1:
        raise ValueError(f"[ray] expected threads >= 1, got {work.threads}")
    if work.task == "translate" and work.then is None:
        legs = through_english(work.model, revision=work.revision, offline=work.offline)
        if legs is not None:
            work = msgspec.structs.replace(work, model=legs[0], then=legs[1])
    for folder in _folders(work):
        directory = ModelDirectory.read(folder)
        if work.task not in served_tasks(find_entry(directory.task, directory.reads, directory.folder)):
            raise ValueError(
                f"[ray] {folder}: expected a model of the task {work.task!r}, got one of {directory.task!r}"
            )
    models = {name: _placed(value) for name in ("model", "then") if (value := getattr(work, name)) is not None}
    return msgspec.structs.replace(work, **models, digests=tuple(map(_digest, _folders(work))))


def load(work: Work) -> Any:
    """The model. Raises ValueError where this node has another attnkit or another model than the one that began the
    job, and what loading raises."""
    from attnkit import _core
    from attnkit.tasks.load import serve
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.tasks.translate.pivot import load_pivot

    if work.version != __version__:
        raise ValueError(f"[ray] expected attnkit {work.version} on every node, got {__version__} on {os.uname()[1]}")
    folders = _folders(work)
    if work.digests and tuple(map(_digest, folders)) != work.digests:
        raise ValueError(
            f"[ray] expected {work.model} to be the same model on every node, got another on {os.uname()[1]}"
        )
    if len(folders) == 2:
        return load_pivot(folders[0], folders[1], work.precision, work.threads)
    _core.set_num_threads(work.threads)
    return serve(ModelDirectory.read(folders[0]), work.precision, work.threads, work.task)


def first_folder(work: Work) -> Path:
    """The directory of the first model, on this machine."""
    return _folders(work)[0]


def _folders(work: Work) -> list[Path]:
    from attnkit.hub.resolve import resolve

    models = [model for model in (work.model, work.then) if model is not None]
    return [resolve(model, revision=work.revision, offline=work.offline) for model in models]


def _placed(model: str) -> str:
    """A worker starts in another folder than the one that the job was started in."""
    return os.path.abspath(model) if os.path.exists(model) else model


def _digest(folder: Path) -> str:
    """Of what a model directory holds; the records of its training do not count."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path for path in folder.iterdir() if path.is_file() and path.name not in _RECORDS):
        digest.update(file.name.encode("utf-8", "surrogateescape") + b"\0")
        with open(file, "rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
