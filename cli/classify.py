"""attnkit classify: inputs in, the class of each out."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from .shared.attention_choice import drawn_choice, drawn_options
from .shared.batch_job import BatchChoice, batch_choice, batch_options, run_batch
from .shared.device_option import device_option
from .shared.loading import directory_of, load_for, name_options
from .shared.run_options import (
    FILE,
    attention_option,
    batch_tokens_option,
    check_text,
    output_option,
    precision_option,
    threads_option,
    window_option,
)

# What a classifier reads, and the module of this package whose `run` classifies that.
_INPUTS = {"text": "classify_text", "images": "classify_images"}
_BOTH = "images-and-texts"


@click.command("classify")
@click.argument("model", type=click.Path())
@click.argument("inputs", nargs=-1, type=FILE, metavar="[INPUT]...")
@output_option
@click.option("-k", "--top", type=click.IntRange(1), default=1, metavar="N", help="Classes shown.", show_default=True)
@click.option("--jsonl", is_flag=True, help="JSON lines: text or image, label, probability, top, ...")
@attention_option
@drawn_options
@click.option(
    "--highlight/--no-highlight",
    default=None,
    help="Show what decided beneath each class.",
    show_default="on a terminal",
)
@click.option(
    "--labels",
    metavar="LIST|FILE",
    callback=check_text,
    help='The classes of a model of images and texts: "a cat,a dog", or a file with one a line.',
)
@click.option("--prompt-template", metavar="TEXT", callback=check_text, help="Text of a label, {} its place.")
@click.option("--text-key", metavar="KEY", help="The inputs are JSON lines, each text under KEY.")
@precision_option
@threads_option
@device_option
@name_options
@batch_tokens_option("4096")
@window_option("texts", "1024")
@batch_options
def command(
    model: str,
    inputs: tuple[str, ...],
    labels: str | None,
    prompt_template: str | None,
    precision: Any,
    threads: int | None,
    **options: Any,
) -> None:
    """Classify texts or images with MODEL, a directory or a name.

    A model of texts: INPUT is a file with a text a line, .gz too; - or none is standard input. For each text comes a
    line with the class, a tab and its probability, of the N likeliest classes. N lines in are N lines out; an empty
    line stays empty.

    A model of images: INPUT is an image, a pattern, a folder whose images are classified, or - for a list of these on
    standard input. Each line begins with the image's name. One that cannot be read is named on standard error; the
    others are classified all the same, and the exit status is 1.

    A model of images and texts (CLIP): images, by the labels that you give.

    \b
    attnkit classify openai/clip-vit-base-patch32 photo.jpg --labels "a cat,a dog" --prompt-template "a photo of {}"
    """
    chosen = drawn_choice(options, options["attention"])
    batch = batch_choice(
        options, inputs, options["output"], attention=options["attention"], highlight=options["highlight"]
    )
    if batch is not None:
        _run_batch(batch, model, inputs, labels, prompt_template, precision, threads, options)
        return
    classifier = load_for("classify", model, precision, threads)
    if classifier.reads == _BOTH:
        classifier = _labelled(classifier, labels, prompt_template)
    elif labels is not None or prompt_template is not None:
        name = "--labels" if labels is not None else "--prompt-template"
        raise click.UsageError(f"{name} is for models of images and texts; this one has its own classes")
    import_module(f".{_INPUTS[classifier.reads]}", __package__).run(classifier, inputs, chosen=chosen, **options)


def _run_batch(
    batch: BatchChoice,
    model: str,
    inputs: tuple[str, ...],
    labels: str | None,
    template: str | None,
    precision: Any,
    threads: int | None,
    options: dict[str, Any],
) -> None:
    from attnkit.tasks.classify_images.zero_shot import split_labels

    images = directory_of(model).reads != "text"
    asked: dict[str, Any] = {"top": options["top"]}
    if images:
        asked |= {"labels": split_labels(labels) if labels is not None else None, "prompt_template": template}
    else:
        asked |= {"batch_tokens": options["batch_tokens"], "window": options["window"]}
    run_batch(
        batch,
        "classify",
        model,
        inputs,
        options["output"],
        asked,
        precision=precision,
        threads=threads,
        jsonl=options["jsonl"],
        text_key=options["text_key"],
        images=images,
    )


def _labelled(classifier: Any, labels: str | None, template: str | None) -> Any:
    """What classifies by these labels. Raises click.UsageError without any."""
    from attnkit.tasks.classify_images.zero_shot import PLACE, split_labels

    if labels is None:
        raise click.UsageError('expected --labels "a cat,a dog", or a file with one a line: this model has no classes')
    return classifier.labelled(split_labels(labels), PLACE if template is None else template)
