"""`--device`: where the model of a command lies, the same for every command that runs one."""

from __future__ import annotations

from typing import Any

import click

from .run_options import check_text

_CHOSEN = "attnkit.device"  # of a command's context


class _DeviceError(click.ClickException):
    """A device that is not here: bad usage, but nothing that --help could mend."""

    exit_code = 2


def _choose(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    check_text(context, parameter, value)
    if value is None or context.resilient_parsing:
        return
    from attnkit.devices import known_device

    try:
        context.meta[_CHOSEN] = known_device(value)
    except ValueError as error:
        raise _DeviceError(str(error)) from None


device_option = click.option(
    "--device",
    metavar="NAME",
    expose_value=False,
    callback=_choose,
    help="Where the model computes: cpu, cuda, cuda:N, or auto, a GPU where there is one.",
    show_default="cpu",
)


def chosen_device() -> str | None:
    """What this command was given, by its full name; None for the default."""
    device: str | None = click.get_current_context().meta.get(_CHOSEN)
    return device
