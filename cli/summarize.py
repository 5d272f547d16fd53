"""attnkit summarize: documents in, a summary of each out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from attnkit.data.lines import line_of

from .shared import errors
from .shared.attention_choice import drawn_choice, drawn_options
from .shared.device_option import device_option
from .shared.line_counter import line_counter
from .shared.loading import load_for, name_options
from .shared.outputs import opened, report_drawings
from .shared.run_options import FILE, attention_option, output_option, precision_option, prompt_option, threads_option
from .shared.search_options import checked_search, chosen_search, translation_options

if TYPE_CHECKING:
    from attnkit.data.arrivals import Paused
    from attnkit.explain import AttentionMap
    from attnkit.tasks.summarize.summarizer import Summary


@click.command("summarize")
@click.argument("model", type=click.Path())
@click.argument("files", nargs=-1, type=FILE, metavar="[FILE]...")
@output_option
@translation_options(nbest="document, score, summary")
@click.option("--lines", is_flag=True, help="Each line of a FILE is a document.")
@click.option("--text-key", metavar="KEY", help="A FILE is JSON lines, each with a document under KEY.")
@click.option("--jsonl", is_flag=True, help="JSON lines: document, text, score, tokens, truncated, unread.")
@prompt_option
@attention_option
@drawn_options
@precision_option
@threads_option
@device_option
@name_options
@click.option(
    "--batch-tokens",
    type=click.IntRange(1),
    default=4096,
    metavar="N",
    help="Tokens of documents at once.",
    show_default=True,
)
def command(
    model: str,
    files: tuple[str, ...],
    output: str,
    lines: bool,
    text_key: str | None,
    jsonl: bool,
    prompt: str | None,
    attention: str | None,
    precision: Any,
    threads: int | None,
    batch_tokens: int,
    **arguments: Any,
) -> None:
    """Summarize documents with MODEL, a directory or a name.

    Each FILE is a document, .gz too; - is standard input, and what is read where nothing is said. For each document
    comes a line with its summary. Of one that is longer than the model reads, it reads the beginning, and what it does
    not read is said.
    """
    search = chosen_search(arguments)
    chosen = drawn_choice(arguments, attention)
    if lines and text_key is not None:
        raise click.UsageError("expected --lines or --text-key, got both")

    from attnkit import explain

    summarizer = load_for("summarize", model, precision, threads)
    documents = _Documents(files or ("-",), lines, text_key)
    with checked_search():
        results = summarizer.summarize_stream(
            documents.texts(),
            prompt=prompt,
            attention=attention is not None and chosen is None,
            batch_tokens=batch_tokens,
            **search,
        )
    maps: list[AttentionMap] = []
    with opened(output) as write, line_counter(output != "-") as advance:
        for result in results:
            document = documents.take()
            write(_json(document.name, result) if jsonl else _text(document.name, result, search.get("nbest", 1)))
            if result.truncated:
                errors.say(
                    f"{document.name}: longer than the {summarizer.max_source_length:,} tokens that the model reads; "
                    f"the last {result.unread:,} are left out"
                )
            if chosen is not None and result.tokens:
                chosen.add(summarizer.attention(document.text, prompt=prompt, **search))
            elif attention is not None and result.tokens:
                maps.append(_map(document.name, result))
            advance()
    if attention is not None and chosen is not None:
        chosen.save(attention, "documents")
    elif attention is not None:
        report_drawings(explain.write(attention, maps), len(maps), "documents")


class _Document(NamedTuple):
    name: str
    text: str


class _Documents:
    """The documents of the files, each kept until its summary is there."""

    def __init__(self, files: tuple[str, ...], lines: bool, text_key: str | None) -> None:
        self._files, self._lines, self._text_key = files, lines, text_key
        self._waiting: list[_Document] = []

    def texts(self) -> Iterator[str | Paused]:
        from attnkit.data.arrivals import PAUSE

        for each in self._read():
            if each is PAUSE:
                yield PAUSE
            else:
                self._waiting.append(each)
                yield each.text

    def take(self) -> _Document:
        return self._waiting.pop(0)

    def _read(self) -> Iterator[_Document | Paused]:
        from attnkit.data.arrivals import PAUSE
        from attnkit.data.lines import arriving_lines, arriving_records, read_document, string_field

        for file in self._files:
            name = "standard input" if file == "-" else file
            if self._lines:
                number = 0
                for line in arriving_lines(file):
                    number += line is not PAUSE
                    yield PAUSE if line is PAUSE else _Document(f"{name}, line {number}", line)
            elif self._text_key is not None:
                for record in arriving_records(file):
                    if record is PAUSE:
                        yield PAUSE
                    else:
                        where, table = record
                        text = string_field(table, self._text_key, where)
                        yield _Document(where.removeprefix("[corpus] "), text)
            else:
                yield _Document(name, read_document(file))


def _text(name: str, result: Summary, nbest: int) -> bytes:
    if nbest == 1:
        return line_of(result.text)
    found = (result, *result.alternatives)
    return b"".join(line_of(name, f"{each.score:.6f}", each.text) for each in found)


def _json(name: str, result: Summary) -> bytes:
    import json

    def plain(each: Summary) -> dict[str, Any]:
        return {"text": each.text, "score": each.score, "tokens": each.tokens}

    record = {"document": name, **plain(result), "truncated": result.truncated, "unread": result.unread}
    if result.alternatives:
        record["alternatives"] = [plain(each) for each in result.alternatives]
    # json, unlike msgspec, has an escape for the names of files that are not text.
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"


def _map(name: str, result: Summary) -> AttentionMap:
    from attnkit.explain import AttentionMap

    assert result.attention is not None
    return AttentionMap(result.source_tokens, result.tokens, result.attention, title=name)
