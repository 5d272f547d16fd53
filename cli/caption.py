"""attnkit caption: images in, a sentence for each out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .shared import errors
from .shared.attention_choice import drawn_choice, drawn_options
from .shared.batch_job import batch_choice, batch_options, run_batch
from .shared.device_option import device_option
from .shared.image_inputs import ImageInputs
from .shared.line_counter import line_counter
from .shared.loading import load_for, name_options
from .shared.noticed import Noticed
from .shared.outputs import opened, report_drawings
from .shared.run_options import FILE, attention_option, output_option, precision_option, threads_option
from .shared.search_options import checked_search, chosen_search, search_options_for

if TYPE_CHECKING:
    from attnkit.explain import ImageMap
    from attnkit.tasks.caption.captioner import Caption


@click.command("caption")
@click.argument("model", type=click.Path())
@click.argument("images", nargs=-1, required=True, type=FILE, metavar="IMAGE...")
@output_option
@search_options_for("as far as the model goes", "the model's own, or ", "image, score, caption")
@click.option("--prompt", default="", metavar="TEXT", help='What captions begin with, "a photograph of" say.')
@click.option("--jsonl", is_flag=True, help="JSON lines: image, text, score, tokens, truncated, gates.")
@attention_option
@drawn_options
@precision_option
@threads_option
@device_option
@name_options
@click.option(
    "--batch-images", type=click.IntRange(1), default=32, metavar="N", help="Images at once.", show_default=True
)
@batch_options
def command(
    model: str,
    images: tuple[str, ...],
    output: str,
    prompt: str,
    jsonl: bool,
    attention: str | None,
    precision: Any,
    threads: int | None,
    batch_images: int,
    **arguments: Any,
) -> None:
    """Caption images with MODEL, a directory or a name.

    IMAGE is a file, a pattern, a folder whose images are captioned, or - for a list of these on standard input. For
    each image comes a line with its name, a tab and the caption. One that cannot be read is named on standard error;
    the others are captioned all the same, and the exit status is 1.
    """
    search = chosen_search(arguments)
    chosen = drawn_choice(arguments, attention)

    batch = batch_choice(arguments, images, output, attention=attention)
    if batch is not None:
        run_batch(
            batch,
            "caption",
            model,
            images,
            output,
            {"prompt": prompt or None, "batch_images": batch_images, **search},
            precision=precision,
            threads=threads,
            jsonl=jsonl,
            images=True,
        )
        return

    from attnkit.explain import write_images
    from attnkit.tasks.caption.lines import json_line, text_lines

    captioner = load_for("caption", model, precision, threads)
    drawn = attention is not None and chosen is None
    if drawn and not captioner.model.attends:
        raise click.UsageError("--attention: this model has no attention to show")
    inputs = ImageInputs(images, captioner.read, captioner.preprocessing.shown if drawn else None)
    looking = drawn or (jsonl and captioner.model.gated)
    with checked_search():
        results = captioner.caption_stream(
            inputs, attention=looking, prompt=prompt, batch_images=batch_images, **search
        )
    maps: list[ImageMap] = []
    cut = Noticed()
    with opened(output) as write, line_counter(output != "-") as advance:
        for result in results:
            name, square = inputs.take()
            write(json_line(name, result) if jsonl else text_lines(name, result, search.get("nbest", 1)))
            if result.truncated:
                cut.add(name)
            if chosen is not None:
                chosen.add(captioner.attention(name, result.text))
            elif drawn:
                maps.append(_map(square, name, result))
            advance()
    if attention is not None and chosen is not None:
        chosen.save(attention, "images")
    elif attention is not None:
        report_drawings(write_images(attention, maps), len(maps), "images")
    if cut.count:
        errors.say(
            f"{cut.describe('caption', 'captions')} cut, of {cut.names()}: longer than the model or --max-length allows"
        )
    inputs.finish()


def _map(square: Any, name: str, result: Caption) -> ImageMap:
    from attnkit.explain import ImageMap

    assert result.attention is not None
    return ImageMap(square, result.tokens, result.attention, name, result.text, result.gates)
