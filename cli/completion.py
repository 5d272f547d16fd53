"""`attnkit completion`: the script that teaches a shell to complete attnkit's commands and options."""

from __future__ import annotations

import click

VARIABLE = "_ATTNKIT_COMPLETE"  # the script sets it to ask for completions


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash:  attnkit completion bash > ~/.local/share/bash-completion/completions/attnkit
    zsh:   attnkit completion zsh > ~/.zfunc/_attnkit    (with ~/.zfunc in fpath)
    fish:  attnkit completion fish > ~/.config/fish/completions/attnkit.fish
    """
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None  # Click has all three
    click.echo(completion(context.find_root().command, {}, "attnkit", VARIABLE).source())
