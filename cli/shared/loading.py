"""Loading the model that a command is given, of the task that the command is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import errors
from .device_option import chosen_device

if TYPE_CHECKING:
    from attnkit.tasks.shared.directory import ModelDirectory

# The command that runs a model of each task, for the message to those who took another.
_COMMANDS = {
    "translate": "translate",
    "classify": "classify",
    "language-model": "generate",
    "masked-language-model": "generate",
    "caption": "caption",
    "summarize": "summarize",
    "embed": "embed",
}

_SAID = "attnkit.hub"  # of a command's context: what its options say of names


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    context.meta.setdefault(_SAID, {})[parameter.name] = value
    return value


revision_option = click.option(
    "--revision",
    metavar="NAME",
    expose_value=False,
    callback=_remember,
    help="Of a MODEL by name: a commit, branch or tag of the Hub; tiny, base, ... of a pair.",
)

offline_option = click.option(
    "--offline",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Fetch nothing: take what is here.",
)


def name_options(command: Any) -> Any:
    """The options of every command whose MODEL may be a name."""
    return revision_option(offline_option(command))


def said_of_names() -> dict[str, Any]:
    """`revision` and `offline` as this command was given them, for `attnkit.hub`."""
    said = click.get_current_context().meta.get(_SAID, {})
    return {"revision": said.get("revision"), "offline": said.get("offline") or None, "say": errors.tell}


def located(model: str) -> str:
    """The folder of MODEL, which may be a name: then it is fetched where it must be. What this gave once it gives
    again."""
    from attnkit.hub.resolve import resolve

    found: dict[str, str] = click.get_current_context().meta.setdefault(f"{_SAID}.located", {})
    if model not in found:
        path = str(resolve(model, **said_of_names()))
        found |= {model: path, path: path}
    return found[model]


def load_translator(model: str, then: str | None, precision: Any, threads: int | None) -> tuple[Any, str]:
    """The translator that MODEL is, or that it is with `then` behind it, and its folder, the first one's of two. A pair
    of languages without a model of its own goes through English."""
    from attnkit.hub.route import through_english

    legs = (model, then) if then is not None else through_english(model, **said_of_names())
    if legs is None:
        return load_for("translate", model, precision, threads), located(model)
    from attnkit.tasks.translate.pivot import load_pivot

    if then is None:
        errors.tell(f"{model}: through English, by {legs[0]} and {legs[1]}")
    first, second = (located(leg) for leg in legs)
    return load_pivot(first, second, precision, threads, chosen_device()), first


def directory_of(model: str) -> ModelDirectory:
    """The directory of MODEL, read. Raises FileNotFoundError or ValueError where it is none."""
    from attnkit.tasks.shared.directory import ModelDirectory

    return ModelDirectory.read(located(model))


def task_of(model: str) -> str:
    """The task of MODEL. Raises as `directory_of` does."""
    return directory_of(model).task


def is_route(model: str) -> bool:
    """Whether MODEL is a pair of languages that goes through English, by two models."""
    from attnkit.hub.route import through_english

    return through_english(model, **said_of_names()) is not None


def load_for(task: str, model: str, precision: Any, threads: int | None) -> Any:
    """`attnkit.load`, for a model of that task. Raises ValueError for another's, and what `attnkit.load` raises."""
    from attnkit.tasks.load import serve
    from attnkit.tasks.registry import find_entry, served_tasks

    directory = directory_of(model)
    found = directory.task
    if task not in served_tasks(find_entry(found, directory.reads, directory.folder)):
        raise ValueError(
            f"{model}: expected a model of the task {task!r}, got one of {found!r}, which attnkit "
            f"{_COMMANDS.get(found, found)} runs"
        )
    return serve(directory, precision, threads, task, chosen_device())


def load_any(model: str, precision: Any, threads: int | None) -> Any:
    """`attnkit.load`, for a model of any task; a pair of languages without a model of its own goes through English.
    Raises what that raises."""
    from attnkit.tasks.load import serve

    if is_route(model):
        return load_translator(model, None, precision, threads)[0]
    return serve(directory_of(model), precision, threads, device=chosen_device())
