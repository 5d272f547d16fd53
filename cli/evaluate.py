"""attnkit evaluate: how well a model does on data whose right answers are known."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import click
from click.core import ParameterSource

from .shared.data_options import data_options
from .shared.device_option import device_option
from .shared.loading import directory_of, is_route, name_options
from .shared.run_options import (
    FILE,
    batch_tokens_option,
    check_text,
    language_options,
    precision_option,
    shortlist_option,
    then_option,
    threads_option,
)
from .shared.search_options import SEARCH_OPTIONS, chosen_search, search_options_for


class _Kind(NamedTuple):
    """A kind of models: what they are called, what one does, and the module of this package whose `run` measures it."""

    models: str
    does: str
    module: str


_KINDS = {
    "translations": _Kind("models that translate", "translates", "evaluate_translations"),
    "summaries": _Kind("models that summarize", "summarizes", "evaluate_summaries"),
    "texts": _Kind("language models", "foretells texts", "evaluate_texts"),
    "hidden tokens": _Kind("masked language models", "guesses hidden tokens", "evaluate_masked"),
    "text classes": _Kind("classifiers of texts", "classifies texts", "evaluate_text_classes"),
    "image classes": _Kind("classifiers of images", "classifies images", "evaluate_image_classes"),
    "named classes": _Kind("models of images and texts", "classifies images by any labels", "evaluate_image_classes"),
    "captions": _Kind("captioners", "captions images", "evaluate_captions"),
}

# By the task of a model and what it reads.
_BY_TASK = {
    ("translate", "text"): "translations",
    ("summarize", "text"): "summaries",
    ("language-model", "text"): "texts",
    ("masked-language-model", "text"): "hidden tokens",
    ("classify", "text"): "text classes",
    ("classify", "images"): "image classes",
    ("classify", "images-and-texts"): "named classes",
    ("caption", "images"): "captions",
}

_IMAGES = ("image classes", "named classes")

_OWN = ("text classes", "image classes", "captions")  # have labelled data of their own, where they were trained here

# The kinds that an option is for; one that is not here is for all.
_FOR: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("then", "metrics", "tokenize", "source_language", "to", "shortlist"), ("translations",)),
    **dict.fromkeys((option.field for option in SEARCH_OPTIONS), ("translations", "summaries", "captions")),
    "reference": ("translations", "summaries", *_IMAGES),
    "prompt": ("translations", "summaries", "captions"),
    "text_key": ("summaries", "text classes"),
    "summary_key": ("summaries",),
    **dict.fromkeys(("label_key", "rename"), ("text classes", *_IMAGES)),
    **dict.fromkeys(("images", "image_key", "outside_images", "batch_images"), (*_IMAGES, "captions")),
    "classes": _IMAGES,
    "split": _OWN,
    **dict.fromkeys(("labels", "prompt_template"), ("named classes",)),
    "caption_key": ("captions",),
    "batch_tokens": ("translations", "summaries", "texts", "hidden tokens", "text classes"),
}


# The options about how a file of labelled data is written.
_OF_SOURCE = {
    "reference",
    "text_key",
    "summary_key",
    "label_key",
    "image_key",
    "caption_key",
    "images",
    "outside_images",
    "classes",
}


@click.command("evaluate")
@click.argument("model", type=click.Path())
@click.option(
    "--source",
    type=FILE,
    metavar="FILE",
    help="Text to translate, to summarize or to foretell, by lines; documents with summaries; labelled texts or "
    "images. - is standard input; .gz too.",
    show_default="of what was trained here, its own test data",
)
@click.option(
    "--reference",
    type=FILE,
    metavar="FILE",
    help="Its translations or summaries, line by line; labels of MNIST's format.",
)
@then_option
@click.option(
    "--metric", "metrics", type=click.Choice(["bleu", "chrf"]), multiple=True, help="Repeatable.", show_default="both"
)
@click.option(
    "--tokenize",
    type=click.Choice(["13a", "none", "intl", "char", "zh", "ja-mecab", "ko-mecab", "flores200"]),
    default="13a",
    help="Of sacrebleu; none where the text is tokenised already.",
    show_default=True,
)
@language_options
@data_options
@click.option(
    "--labels",
    metavar="LIST|FILE",
    callback=check_text,
    help="Classes of a model of images and texts.",
    show_default="those of the data",
)
@click.option("--prompt-template", metavar="TEXT", callback=check_text, help="Text of such a label, {} its place.")
@click.option(
    "--prompt",
    metavar="TEXT",
    callback=check_text,
    help="What captions begin with; what is put before each text, of T5.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@search_options_for("2 n + 10, or as far as a captioner goes", "the model's own, or ")
@precision_option
@shortlist_option
@threads_option
@device_option
@name_options
@batch_tokens_option("1024 of translations, 512 with a shortlist, else 4096")
@click.option(
    "--batch-images",
    type=click.IntRange(1),
    metavar="N",
    help="Images at once.",
    show_default="64, or 32 of captions",
)
def command(model: str, then: str | None, **options: Any) -> None:
    """Measure MODEL, a directory or a name, on data whose right answers are known.

    Translations of --source are scored against --reference by BLEU and chrF. An empty line is translated as an empty
    line, and counts. Summaries are scored by ROUGE-1, ROUGE-2 and ROUGE-L: of lines against those of --reference, or
    of JSON lines that have both. A model that does either is measured as one that translates where there is a --metric.
    A language model writes nothing: what is scored is how well it foretells each line, by its perplexity; or how often
    it guesses the tokens that are hidden from it, as training validates.

    A classifier's accuracy, and precision, recall and F1 of each class, are measured on what training reads: texts
    with labels, JSON lines or a folder of files for each label; images in a folder for each class, in a list that names
    them (CSV, JSON lines), or in MNIST's format, whose labels are --reference. A captioner's BLEU and CIDEr-D are
    counted against all captions of an image that a list has; where each has one, as lines of text have that TrOCR
    reads, character and word error rates too.

    \b
    attnkit evaluate runs/en-it --source test.en --reference test.it
    attnkit evaluate models/news --source articles.jsonl --text-key article --summary-key highlights
    attnkit evaluate runs/reviews --source test.jsonl
    attnkit evaluate runs/photos --source captions.txt --images photos
    """
    kind = "translations" if then is not None or is_route(model) else _kind_of(model, bool(options["metrics"]))
    _check_options(kind)
    search = chosen_search(options)
    import_module(f".{_KINDS[kind].module}", __package__).run(model, then=then, search=search, **options)


def _kind_of(model: str, metrics: bool) -> str:
    """Of a model by its name or directory; metrics: whether those of translations are wanted, which a model that
    summarizes may write too. Raises ValueError for one that has no right answers."""
    directory = directory_of(model)
    kind = _BY_TASK.get((directory.task, directory.reads))
    if kind is None:
        tasks = ", ".join(dict.fromkeys(task for task, _ in _BY_TASK))
        raise ValueError(f"{model}: expected a model of one of the tasks {tasks}, got one of {directory.task!r}")
    return "translations" if kind == "summaries" and metrics else kind


def _check_options(kind: str) -> None:
    """Raises click.UsageError for an option that is given and not for this kind of models or this data, and for data
    that are missing."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = str(parameter.name)
        given = context.get_parameter_source(name) not in (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP, None)
        if given and kind not in _FOR.get(name, (kind,)):
            models = " and ".join(dict.fromkeys(_KINDS[each].models for each in _FOR[name]))
            raise click.UsageError(f"{parameter.opts[0]} is for {models}; this one {_KINDS[kind].does}")
        if given and context.params["source"] is None and name in _OF_SOURCE:
            raise click.UsageError(f"{parameter.opts[0]} says how --source is read, and there is none")
    if context.params["source"] is None and kind not in _OWN:
        raise click.UsageError("Missing option '--source'.")
    if context.params["source"] is not None and context.params["split"] is not None:
        raise click.UsageError("--split is for the data of the run that made the model, not for --source")
