"""attnkit train: a model from a configuration."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import click

from .shared.device_option import chosen_device, device_option
from .shared.errors import describe
from .shared.outputs import echo
from .shared.run_options import threads_option


def _list_presets(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from attnkit.tasks.config_file import preset_names

    click.echo("\n".join(preset_names()))
    context.exit()


def _list_keys(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is None or context.resilient_parsing:
        return
    from attnkit.tasks import keys
    from attnkit.tasks.registry import trained_tasks

    if value:
        try:
            found = keys.configs(value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None
        click.echo("\n\n\n".join(map(keys.describe, found)))
    else:
        for task in trained_tasks():
            types = [name for config in keys.configs(task) for name in keys.model_types(config)]
            click.echo(f"{task:23}model.type: {', '.join(types)}")
    context.exit()


def _print_schema(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    import json

    from attnkit.tasks.keys import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    context.exit()


@click.command("train")
@click.argument("config", metavar="CONFIG")
@click.option("--out", type=click.Path(), metavar="DIR", help="Where the model goes.  [runs/NAME]")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a key; repeatable.")
@click.option("--resume", is_flag=True, help="Go on with the run in the folder.")
@threads_option
@device_option
@click.option(
    "--list-presets", is_flag=True, is_eager=True, expose_value=False, callback=_list_presets, help="Name the presets."
)
@click.option(
    "--keys",
    is_flag=False,
    flag_value="",
    is_eager=True,
    expose_value=False,
    callback=_list_keys,
    metavar="[TASK]",
    help="Explain the keys of a task's CONFIG, or name the tasks.",
)
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print a JSON schema of CONFIG, for editors.",
)
def command(config: str, out: str | None, overrides: tuple[str, ...], resume: bool, threads: int | None) -> None:
    """Train a model and leave it, ready to use, in a folder.

    CONFIG is a TOML file, the name of a preset, or the folder of a run to --resume. NAME is that of CONFIG. Relative
    paths in a TOML file are taken from the current directory.

    \b
    attnkit train en-it
    attnkit train en-de.toml --out runs/small --set model.d_model=64 --set training.max_steps=2000
    attnkit train runs/small --resume
    attnkit train --keys translate
    """
    import attnkit
    from attnkit.distributed import ElsewhereError, group, together
    from attnkit.training import ConfigError, RunExistsError, read_config, train

    source, folder = _locate(config, out)
    # Where workers prepare images in Python, the step waits up to this long each time it wants the interpreter back.
    sys.setswitchinterval(0.0005)
    processes = group()  # with MPI each gets its share of the cores, unless --threads says otherwise
    if threads is not None:
        attnkit.set_num_threads(threads)
    try:
        found = together(processes, lambda: read_config(source, overrides))
        outcome = train(found, folder, resume=resume, device=chosen_device())
    except ElsewhereError:
        raise click.exceptions.Exit(0) from None  # the process that failed says why, and ends with its status
    except Exception as error:
        if processes.rank:
            raise click.ClickException(f"process {processes.rank}, on {platform.node()}: {describe(error)}") from error
        if isinstance(error, ConfigError | RunExistsError):
            raise click.UsageError(str(error)) from None
        raise
    if processes.rank == 0:
        echo(outcome.folder)


def _locate(config: str, out: str | None) -> tuple[Path | str, Path]:
    """The configuration to read and the folder to write."""
    path = Path(config)
    if (path / "training.toml").is_file():
        return path / "training.toml", Path(out or path)
    if path.name == "training.toml":
        return path, Path(out or path.parent)
    return config, Path(out or Path("runs") / path.name.removesuffix(".toml"))
