"""Loading the model that a command is given, of the task that the command is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# The command that runs a model of each task, for the message to those who took another.
_COMMANDS = {"translate": "translate", "classify": "classify", "language-model": "generate", "caption": "caption"}


def load_for(task: str, model: str, precision: Any, threads: int | None) -> Any:
    """`attnkit.load`, for a model of that task. Raises ValueError for another's, and what `attnkit.load` raises."""
    import attnkit
    from attnkit.models import read_config

    found = read_config(Path(model)).get("task")
    if isinstance(found, str) and found != task and found in _COMMANDS:
        other = _COMMANDS[found]
        raise ValueError(
            f"{model}: expected a model of the task {task!r}, got one of {found!r}, which attnkit {other} runs"
        )
    return attnkit.load(model, precision=precision, threads=threads)
