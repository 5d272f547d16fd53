"""attnkit translate: text in, one translation a line out."""

from __future__ import annotations

import collections
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from .line_counter import line_counter
from .search_options import chosen_search, search_options

if TYPE_CHECKING:
    from attnkit.explain import AttentionMap
    from attnkit.translator import Result

FILE = click.Path(allow_dash=True)  # shells complete it
_NAMED_LINES = 5  # line numbers that a message lists


@click.command("translate")
@click.argument("model", type=click.Path())
@click.option(
    "-i",
    "--input",
    type=FILE,
    default="-",
    metavar="FILE",
    help="Text, a line a sentence; .gz too.",
    show_default="standard input",
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    default="-",
    metavar="FILE",
    help="Written whole or not at all.",
    show_default="standard output",
)
@click.option("--nbest", type=click.IntRange(1), metavar="N", help="N lines each: line number, score, text, by tabs.")
@search_options
@click.option("--prefix", metavar="TEXT", help="What every translation starts with.")
@click.option("--jsonl", is_flag=True, help="JSON lines: source, text, score, tokens, truncated, unknown.")
@click.option("--attention", type=FILE, metavar="FILE", help="Also draw the attention: .html, .png or .json.")
@click.option(
    "--precision", type=click.Choice(["fp32", "bf16"]), default="fp32", help="Of the arithmetic.", show_default=True
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="Threads.",
    show_default="the cores that this process may use",
)
@click.option(
    "--batch-tokens", type=click.IntRange(1), default=1024, metavar="N", help="Tokens at once.", show_default=True
)
@click.option(
    "--window", type=click.IntRange(1), metavar="N", help="Lines read before any is written.", show_default="2048"
)
def command(
    model: str,
    input: str,
    output: str,
    jsonl: bool,
    attention: str | None,
    precision: Any,
    threads: int | None,
    window: int | None,
    **arguments: Any,
) -> None:
    """Translate each line of text with the MODEL in a directory.

    N lines in are N lines out, and an empty line stays empty. Typed at a terminal, a line is answered at once.
    """
    search = chosen_search(arguments)
    if attention is not None:
        _check_drawing(attention)

    import attnkit
    from attnkit.text.corpus import read_lines

    translator = attnkit.load(model, precision=precision, threads=threads)
    lines = _Remembered(read_lines(input))
    results = translator.translate_stream(
        lines,
        attention=attention is not None,
        window=window or (1 if input == "-" and sys.stdin.isatty() else 2048),
        **arguments,
        **search,
    )
    maps: list[AttentionMap] = []
    cut: list[int] = []
    with _opened(output) as file, line_counter(output != "-") as advance:
        for number, result in enumerate(results, start=1):
            source = lines.take()
            file.write(_json(source, result) if jsonl else _text(number, result, search.get("nbest", 1)))
            if output == "-":
                file.flush()  # for whoever waits at the other end of a pipe
            if result.truncated:
                cut.append(number)
            if attention is not None and result.tokens:
                maps.append(_map(number, result))
            advance()
    if attention is not None:
        _draw(attention, maps)
    if cut:
        _warn_cut(cut)


class _Remembered:
    """Passes lines on, and keeps each until its result arrives."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._waiting: collections.deque[str] = collections.deque()

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self._waiting.append(line)
            yield line

    def take(self) -> str:
        return self._waiting.popleft()


def _text(number: int, result: Result, nbest: int) -> bytes:
    if nbest == 1:
        return f"{result.text}\n".encode()
    found = (result, *result.alternatives)
    return "".join(f"{number}\t{each.score:.6f}\t{each.text}\n" for each in found).encode()


def _json(source: str, result: Result) -> bytes:
    import msgspec

    def plain(each: Result) -> dict[str, Any]:
        return {"text": each.text, "score": each.score, "tokens": each.tokens, "truncated": each.truncated}

    record = {"source": source, **plain(result), "unknown": result.unknown}
    if result.alternatives:
        record["alternatives"] = [plain(each) for each in result.alternatives]
    return msgspec.json.encode(record) + b"\n"


@contextlib.contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    if output == "-":
        yield sys.stdout.buffer
        return
    from attnkit.files import atomic_write

    with atomic_write(output) as file:
        yield file


def _check_drawing(path: str) -> None:
    from attnkit.explain.write import check_suffix

    try:
        check_suffix(path)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--attention") from None


def _map(number: int, result: Result) -> AttentionMap:
    from attnkit.explain import AttentionMap

    assert result.attention is not None
    return AttentionMap(result.source_tokens, result.tokens, result.attention, title=f"line {number}")


def _draw(path: str, maps: list[AttentionMap]) -> None:
    from attnkit import explain

    for written in explain.write(path, maps):
        click.echo(
            f"attention of {len(maps)} lines: {written}" if len(maps) != 1 else f"attention: {written}", err=True
        )


def _warn_cut(numbers: list[int]) -> None:
    named = ", ".join(map(str, numbers[:_NAMED_LINES])) + (", ..." if len(numbers) > _NAMED_LINES else "")
    what = "1 translation is" if len(numbers) == 1 else f"{len(numbers):,} translations are"
    click.echo(
        f"attnkit: {what} cut, of line {named}: the line or its translation is longer than the model or --max-length "
        "allows",
        err=True,
    )
