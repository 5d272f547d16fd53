"""Loading the model that a command is given, of the task that the command is for."""

from __future__ import annotations

from typing import Any

# The command that runs a model of each task, for the message to those who took another.
_COMMANDS = {"translate": "translate", "classify": "classify", "language-model": "generate", "caption": "caption"}


def load_for(task: str, model: str, precision: Any, threads: int | None, then: str | None = None) -> Any:
    """`attnkit.load`, for a model of that task, and `then` a second. Raises ValueError for another's, and what
    `attnkit.load` raises."""
    from attnkit.tasks.load import serve
    from attnkit.tasks.shared.directory import ModelDirectory

    if then is not None:
        from attnkit.tasks.translate.pivot import load_pivot

        return load_pivot(model, then, precision, threads)
    directory = ModelDirectory.read(model)
    found = directory.task
    if found != task:
        raise ValueError(
            f"{model}: expected a model of the task {task!r}, got one of {found!r}, which attnkit "
            f"{_COMMANDS.get(found, found)} runs"
        )
    return serve(directory, precision, threads)
