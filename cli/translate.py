"""attnkit translate: text in, one translation a line out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .shared import errors
from .shared.attention_choice import ChosenMaps, drawn_choice, drawn_options
from .shared.batch_job import batch_choice, batch_options, run_batch
from .shared.device_option import device_option
from .shared.line_counter import line_counter
from .shared.loading import load_translator, name_options
from .shared.noticed import Noticed
from .shared.outputs import Remembered, also_opened, opened, report_drawings
from .shared.run_options import (
    FILE,
    alignments_options,
    attention_option,
    batch_tokens_option,
    check_text,
    language_options,
    output_option,
    precision_option,
    prompt_option,
    shortlist_option,
    then_option,
    threads_option,
    window_option,
)
from .shared.search_options import checked_search, chosen_search, translation_options

if TYPE_CHECKING:
    from attnkit.explain import AttentionMap
    from attnkit.tasks.translate.result import Result

_SHOWN = 40  # characters of a word in a message


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
@output_option
@translation_options(nbest="line number, score, text")
@then_option
@click.option("--paragraphs", is_flag=True, help="Split lines into sentences; join their translations as they stood.")
@click.option(
    "--keep",
    multiple=True,
    metavar="PATTERN",
    callback=check_text,
    help="Leave as it is: tags, placeholders, numbers, or a regular expression.",
)
@click.option("--copy-unknown", is_flag=True, help="A source word, by attention, where the model writes <unk>.")
@prompt_option
@click.option("--prefix", metavar="TEXT", callback=check_text, help="What every translation starts with.")
@click.option(
    "--jsonl",
    is_flag=True,
    help="JSON lines: source, text, score, tokens, truncated, unknown; alignment too with --alignments, scores and "
    "through with --then.",
)
@language_options
@attention_option
@drawn_options
@alignments_options
@precision_option
@shortlist_option
@threads_option
@device_option
@name_options
@batch_tokens_option("1024, 512 with a shortlist")
@window_option("lines", "2048")
@batch_options
def command(
    model: str,
    input: str,
    output: str,
    then: str | None,
    jsonl: bool,
    paragraphs: bool,
    attention: str | None,
    alignments: str | None,
    alignment_threshold: float | None,
    precision: Any,
    threads: int | None,
    shortlist: str | None,
    window: int | None,
    **arguments: Any,
) -> None:
    """Translate each line of text with MODEL: a directory, or a name (attnkit models).

    N lines in are N lines out, and an empty line stays empty. A line is answered at once when no more have come.
    """
    search = chosen_search(arguments)
    chosen = drawn_choice(arguments, attention)
    if alignment_threshold is not None and alignments is None:
        raise click.UsageError("--alignment-threshold: expected --alignments FILE with it")
    if alignments is not None and alignments in (output, attention):
        raise click.UsageError(f"--alignments: expected a file of its own, got {alignments} twice")
    batch = batch_choice(arguments, (input,), output, attention=attention, alignments=alignments)
    if batch is not None:
        options = {**arguments, **search, "paragraphs": paragraphs, "shortlist": shortlist, "window": window}
        run_batch(
            batch,
            "translate",
            model,
            (input,),
            output,
            options,
            precision=precision,
            threads=threads,
            then=then,
            jsonl=jsonl,
        )
        return
    aligned = _Links(alignment_threshold) if alignments is not None or (attention and not chosen) else None

    from attnkit import explain
    from attnkit.data.lines import arriving_lines, line_of
    from attnkit.tasks.translate import shortlist_source as shortlists
    from attnkit.tasks.translate.lines import json_line, text_lines

    translator, folder = load_translator(model, then, precision, threads)
    lines = Remembered(arriving_lines(input))
    restriction = shortlists.find(shortlist, translator, folder, errors.say)
    with checked_search():
        results = translator.translate_stream(
            lines,
            attention=aligned is not None,
            paragraphs=paragraphs,
            shortlist=restriction,
            window=window or 2048,
            **arguments,
            **search,
        )
    maps: list[AttentionMap] = []
    cut, looped, unknown, unkept = Noticed(), Noticed(), Noticed(), Noticed()
    with opened(output) as write, also_opened(alignments) as write_links, line_counter(output != "-") as advance:
        for number, result in enumerate(results, start=1):
            source = lines.take()
            nbest, links = search.get("nbest", 1), None if aligned is None else aligned.of
            write(json_line(source, result, links) if jsonl else text_lines(number, result, nbest))
            if aligned is not None:
                write_links(line_of(aligned.pharaoh(result)))
            if result.truncated:
                cut.add(str(number))
            if result.unkept:
                unkept.add(str(number))
            if result.looped:
                looped.add(str(number))
            for word in result.unknown:
                unknown.add(word[:_SHOWN])
            if chosen is not None:
                _look(chosen, translator, source, result, arguments)
            elif attention is not None:
                maps += _maps(source, result)
            advance()
    if attention is not None and chosen is not None:
        chosen.save(attention, "lines")
    elif attention is not None:
        report_drawings(explain.write(attention, maps), len(maps), "lines")
    if unknown.count:
        errors.say(f"{unknown.describe('word', 'words')} unknown to the model: {unknown.names()}")
    if cut.count:
        errors.say(
            f"{cut.describe('translation', 'translations')} cut, of line {cut.names()}: the line or its translation is "
            f"longer than the model or --max-length allows{'' if paragraphs else '; --paragraphs splits long lines'}"
        )
    if unkept.count:
        errors.say(
            f"{unkept.describe('translation', 'translations')} without all that --keep keeps, or with more of it, of "
            f"line {unkept.names()}"
        )
    if looped.count:
        errors.say(
            f"{looped.describe('translation', 'translations')} a loop of words, of line {looped.names()}: "
            "--repetition-penalty 1.2 or --no-repeat-ngram 3 may help"
        )


class _Links:
    """The links of results, all that are asked for."""

    def __init__(self, threshold: float | None) -> None:
        self._threshold = threshold

    def of(self, result: Result) -> list[tuple[int, int]]:
        return result.links(self._threshold)

    def pharaoh(self, result: Result) -> str:
        from attnkit.text.alignment import pharaoh

        return pharaoh(self.of(result))


def _look(chosen: ChosenMaps, translator: Any, source: str, result: Result, arguments: dict[str, Any]) -> None:
    """All that the model looks at for a line and its translation, or for each of its sentences."""
    said = {name: arguments[name] for name in ("source_language", "to", "prompt")}
    pairs = [(part, each) for part, each, _ in result.sentences] or [(source, result)]
    for line, each in pairs:
        if each.tokens:
            chosen.add(translator.attention(line, each.text, **said))


def _maps(source: str, result: Result) -> list[AttentionMap]:
    """A map of the line, or one of each of its sentences, with its text as the title."""
    from attnkit.explain import AttentionMap

    named = [(source, result)]
    if result.sentences:
        named = [(part, each) for part, each, _ in result.sentences]
    return [
        AttentionMap(each.source_tokens, each.tokens, each.attention, title=" ".join(text.split()))
        for text, each in named
        if each.attention is not None and each.tokens
    ]
