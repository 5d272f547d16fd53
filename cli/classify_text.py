"""`attnkit classify` for models that read texts."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .shared import errors
from .shared.line_counter import line_counter
from .shared.outputs import Remembered, opened, report_drawings

if TYPE_CHECKING:
    from attnkit.data.arrivals import Paused
    from attnkit.explain import DocumentMap
    from attnkit.tasks.classify_text.classifier import Classification, Classifier

    from .shared.attention_choice import ChosenMaps

_TITLE = 80  # characters of a text that name it


def run(
    classifier: Classifier,
    inputs: tuple[str, ...],
    *,
    output: str,
    top: int,
    jsonl: bool,
    attention: str | None,
    chosen: ChosenMaps | None,
    highlight: bool | None,
    text_key: str | None,
    batch_tokens: int | None,
    window: int | None,
) -> None:
    """Classifies the lines of the inputs and writes what `attnkit classify --help` says."""
    from attnkit.explain import write_documents
    from attnkit.tasks.classify_text.lines import json_line, text_line

    inputs = inputs or ("-",)
    seen = output == "-" and sys.stdout.isatty()
    highlight = not jsonl and (seen if highlight is None else highlight)
    texts = Remembered(_texts(inputs, text_key))
    results = classifier.classify_stream(
        texts,
        top=top,
        attention=highlight or (attention is not None and chosen is None),
        batch_tokens=batch_tokens or 4096,
        window=window or 1024,
    )
    maps: list[DocumentMap] = []
    cut = 0
    with opened(output) as write, line_counter(not seen) as advance:
        for number, result in enumerate(results, start=1):
            text = texts.take()
            write(json_line(text, result) if jsonl else text_line(result))
            if highlight and result.label:
                # Its tokens are harmless already, and its colours must reach the terminal.
                (sys.stdout.buffer.write if seen else write)(_highlighted(result, colour=seen).encode())
            if chosen is not None and result.label:
                chosen.add(classifier.attention(text))
            elif attention is not None and result.label:
                maps.append(_map(result, f"{number}: {_shortened(text)}"))
            cut += result.truncated
            advance()
    if attention is not None and chosen is not None:
        chosen.save(attention, "texts")
    elif attention is not None:
        report_drawings(write_documents(attention, maps), len(maps), "texts")
    if cut:
        what = "1 text is" if cut == 1 else f"{cut:,} texts are"
        errors.say(f"{what} longer than the model reads; it saw the beginning")


def _texts(inputs: tuple[str, ...], text_key: str | None) -> Iterator[str | Paused]:
    from attnkit.data.lines import arriving_texts

    for path in inputs:
        yield from arriving_texts(path, text_key)


def _shortened(text: str) -> str:
    line = " ".join(text[: 2 * _TITLE].split())
    return line if len(line) <= _TITLE and len(text) <= 2 * _TITLE else f"{line[:_TITLE]}…"


def _highlighted(result: Classification, colour: bool) -> str:
    from attnkit.explain import render_document

    width = max(20, min(100, shutil.get_terminal_size().columns))
    return render_document(_map(result, "", with_classes=False), colour=colour, width=width) + "\n"


def _map(result: Classification, title: str, with_classes: bool = True) -> DocumentMap:
    from attnkit.explain import DocumentMap

    assert result.attention is not None
    attention, classes = result.attention, result.top if with_classes else []
    return DocumentMap(result.sentences, attention.words, attention.sentences, classes, title)
