"""`attnkit evaluate` for classifiers of texts: accuracy, and the scores of each class."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from .shared.class_report import report_classes
from .shared.data_options import own_or, renaming
from .shared.line_counter import line_counter
from .shared.loading import load_for


def run(
    model: str,
    *,
    source: str | None,
    split: Any,
    text_key: str | None,
    label_key: str | None,
    rename: tuple[str, ...],
    precision: Any,
    threads: int | None,
    batch_tokens: int | None,
    as_json: bool,
    **others: Any,
) -> None:
    """Classifies labelled texts and prints how often that was right."""
    from attnkit.data.labels import renamed
    from attnkit.text.labelled import LabelledTexts

    names = renaming(rename)

    def read(path: str) -> LabelledTexts:
        return LabelledTexts.read(path, text_key=text_key or "text", label_key=label_key or "label")

    data = own_or(model, source, split, read)
    data = replace(data, labels=renamed(data.labels, names))
    classifier = load_for("classify", model, precision, threads)
    start = time.perf_counter()
    with line_counter(total=len(data), what="texts") as advance:
        found = classifier.evaluate(data, batch_tokens=batch_tokens or 4096, done=advance)
    report_classes(found, "texts", time.perf_counter() - start, as_json)
