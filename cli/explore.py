"""attnkit explore: an experiment on attention, trained and drawn."""

from __future__ import annotations

from pathlib import Path

import click

from .shared.outputs import echo
from .shared.run_options import threads_option

_ALL = "all"


def _list_experiments(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from attnkit.explore import EXPERIMENTS

    for name, what in {**EXPERIMENTS, _ALL: "every one of them, and one page of all"}.items():
        click.echo(f"{name:<15} {what}")
    context.exit()


@click.command("explore")
@click.argument("name")
@click.option(
    "--out", type=click.Path(), metavar="DIR", help="Where figures and runs go.  [explore/NAME; all: explore]"
)
@click.option("--steps", type=click.IntRange(2), metavar="N", help="Train each model for N steps.  [the preset's]")
@click.option("--seed", type=click.IntRange(0), default=1, metavar="N", help="[1]")
@threads_option
@click.option(
    "--list", is_flag=True, is_eager=True, expose_value=False, callback=_list_experiments, help="Name the experiments."
)
def command(name: str, out: str | None, steps: int | None, seed: int, threads: int | None) -> None:
    """Do an experiment on the built-in corpus: train what it needs, write figures and a JSON of their numbers.

    The files that it wrote are listed on stdout. An interrupted experiment goes on where it was. "all" does every one,
    as short as its effect can be seen, and makes a page of all their figures; those that are finished are kept.

    \b
    attnkit explore --list
    attnkit explore positions --out figures/positions
    attnkit explore all --out figures
    """
    import attnkit
    from attnkit.explore import EXPERIMENTS, explore
    from attnkit.training import RunExistsError

    if name != _ALL and name not in EXPERIMENTS:
        raise click.UsageError(f"expected an experiment ({', '.join(EXPERIMENTS)}) or all, got {name!r}")
    if threads is not None:
        attnkit.set_num_threads(threads)
    if name == _ALL:
        return _do_all(Path(out or "explore"), steps, seed)
    try:
        files = explore(name, Path(out or Path("explore") / name), _note, steps=steps, seed=seed)
    except RunExistsError as error:
        raise click.UsageError(f"{error}, by --out") from None
    for file in files:
        echo(file)


def _do_all(folder: Path, steps: int | None, seed: int) -> None:
    from attnkit.explore import explore_all

    page, failures = explore_all(folder, _note, steps=steps, seed=seed)
    echo(page)
    if failures:
        raise click.ClickException(f"{len(failures)} failed: {', '.join(failures)}; the page says why")


def _note(text: str) -> None:
    click.echo(text, err=True)
