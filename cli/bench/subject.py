"""--model of the benches: a model, or a checkpoint that peers read, too."""

from __future__ import annotations

from pathlib import Path

import click

from attnkit.benchmark.subject import kind_of

from ..shared.loading import located

MODEL_HELP = "A model, or the checkpoint of transformers'."


def model_folder(named: str, against: tuple[str, ...]) -> Path:
    """The folder of --model, which may be a name. Raises click.UsageError where the peers that are asked for cannot
    read it; FileNotFoundError, ValueError."""
    model = Path(named if (Path(named) / "config.json").exists() else located(named))
    if against and (kind := kind_of(model)) != "transformers":
        raise click.UsageError(f"--against: expected --model to be a checkpoint of transformers', got one of {kind}'s")
    return model
