"""`attnkit generate` for masked language models: prompts with gaps in, filled ones out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attnkit.data.lines import line_of

from .shared import errors
from .shared.line_counter import line_counter
from .shared.outputs import Remembered, opened

if TYPE_CHECKING:
    from attnkit.tasks.masked_language_model.filler import Filling, MaskFiller


def run(
    filler: MaskFiller, lines: Remembered, *, output: str, jsonl: bool, window: int | None, others: dict[str, Any]
) -> None:
    """Fills the gaps of the lines and writes what `attnkit generate --help` says. others: options that were given, of
    which `nbest` alone is for these models. Raises click.UsageError for the rest."""
    nbest = others.pop("nbest", 1)
    for name, value in others.items():
        if value is not None:
            reason = "is for models that go on from a text; this one fills in each <mask>"
            instead = "; attnkit attention shows where it looks" if name == "attention" else ""
            raise click.UsageError(f"--{name.replace('_', '-')} {reason}{instead}")
    whole = 0
    with opened(output) as write, line_counter(output != "-") as advance:
        for number, result in enumerate(filler.fill_stream(lines, top=nbest, window=window or 256), start=1):
            prompt = lines.take()
            write(_json(prompt, result) if jsonl else _text(number, result, nbest))
            whole += bool(prompt.strip()) and not result.gaps
            advance()
    if whole:
        errors.say(f"texts without a <mask> to fill in: {whole:,}")


def _text(number: int, result: Filling, nbest: int) -> bytes:
    if nbest == 1:
        return line_of(result.text)
    guesses = (guess for gap in result.gaps for guess in gap)
    return b"".join(line_of(str(number), f"{guess.probability:.6f}", guess.text) for guess in guesses)


def _json(prompt: str, result: Filling) -> bytes:
    import msgspec

    return msgspec.json.encode({"prompt": prompt, **msgspec.to_builtins(result)}) + b"\n"
