"""attnkit generate: prompts in, texts that go on from them out, or prompts with gaps in, filled ones out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from attnkit.data.lines import line_of

from . import generate_masked
from .shared.attention_choice import drawn_choice, drawn_options
from .shared.device_option import device_option
from .shared.line_counter import line_counter
from .shared.loading import load_for, name_options, task_of
from .shared.outputs import Remembered, opened, report_drawings
from .shared.run_options import (
    FILE,
    attention_option,
    check_text,
    output_option,
    precision_option,
    threads_option,
    window_option,
)
from .shared.search_options import checked_search, chosen_search, search_options_for

if TYPE_CHECKING:
    from attnkit.explain import AttentionMap
    from attnkit.tasks.language_model.generator import Generation


@click.command("generate")
@click.argument("model", type=click.Path())
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="TEXT",
    callback=check_text,
    help="What a text begins with; repeatable.",
)
@click.option("-i", "--input", type=FILE, metavar="FILE", help="Prompts, one a line; .gz too, - is standard input.")
@output_option
@search_options_for("as far as the model goes", "the model's own, or ", "line number, score, text")
@click.option("--jsonl", is_flag=True, help="JSON lines: prompt, text, score or gaps, tokens, ...")
@attention_option
@drawn_options
@precision_option
@threads_option
@device_option
@name_options
@window_option("prompts", "256")
def command(
    model: str,
    prompts: tuple[str, ...],
    input: str | None,
    output: str,
    jsonl: bool,
    attention: str | None,
    precision: Any,
    threads: int | None,
    window: int | None,
    **arguments: Any,
) -> None:
    """Write texts with the language MODEL, a directory or a name.

    A text goes on from each prompt, and lengths count its tokens too; without a prompt, or after an empty line, the
    model begins by itself. A prompt is answered at once when no more have come.

    A masked language model fills each <mask> of a prompt instead. Of the search it takes --nbest alone: for each gap N
    lines with the line's number, a probability and the text.
    """
    search = chosen_search(arguments)
    chosen = drawn_choice(arguments, attention)
    if prompts and input is not None:
        raise click.UsageError("expected --prompt or --input, got both")

    from attnkit import explain
    from attnkit.data.lines import arriving_lines

    if task_of(model) == "masked-language-model":
        if input is None and not prompts:
            raise click.UsageError("expected --prompt or --input: this model fills in each <mask> of a text")
        generate_masked.run(
            load_for("masked-language-model", model, precision, threads),
            Remembered(prompts if input is None else arriving_lines(input)),
            output=output,
            jsonl=jsonl,
            window=window,
            others={**search, "attention": attention},
        )
        return
    generator = load_for("language-model", model, precision, threads)
    lines = Remembered((prompts or ("",)) if input is None else arriving_lines(input))
    with checked_search():
        results = generator.generate_stream(
            lines,
            attention=attention is not None and chosen is None,
            window=window or 256,
            **search,
        )
    maps: list[AttentionMap] = []
    with opened(output) as write, line_counter(output != "-") as advance:
        for number, result in enumerate(results, start=1):
            prompt = lines.take()
            write(_json(prompt, result) if jsonl else _text(number, result, search.get("nbest", 1)))
            if chosen is not None and result.tokens:
                chosen.add(generator.attention(result.text))
            elif attention is not None and result.tokens:
                maps.append(_map(result))
            advance()
    if attention is not None and chosen is not None:
        chosen.save(attention, "texts")
    elif attention is not None:
        report_drawings(explain.write(attention, maps), len(maps), "texts")


def _text(number: int, result: Generation, nbest: int) -> bytes:
    if nbest == 1:
        return line_of(result.text)
    found = (result, *result.alternatives)
    return b"".join(line_of(str(number), f"{each.score:.6f}", each.text) for each in found)


def _json(prompt: str, result: Generation) -> bytes:
    import msgspec

    def plain(each: Generation) -> dict[str, Any]:
        return {"text": each.text, "score": each.score, "tokens": each.tokens, "truncated": each.truncated}

    record = {"prompt": prompt, **plain(result), "unknown": result.unknown}
    if result.alternatives:
        record["alternatives"] = [plain(each) for each in result.alternatives]
    return msgspec.json.encode(record) + b"\n"


def _map(result: Generation) -> AttentionMap:
    """Self-attention: what looks and what is looked at are the same tokens, those that the model read."""
    from attnkit.explain import AttentionMap

    assert result.attention is not None
    read, title = result.context, " ".join(result.text.split())
    return AttentionMap(read, read, result.attention, title, "token that is looked at", "token that looks")
