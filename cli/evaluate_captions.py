"""`attnkit evaluate` for captioners: BLEU, CIDEr-D and exact matches, against all captions of an image; of those that
read text, character and word error rates."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from .shared.data_options import image_data, own_or
from .shared.line_counter import line_counter
from .shared.loading import load_for
from .shared.measured import report, timed
from .shared.search_options import checked_search


def run(
    model: str,
    *,
    source: str | None,
    split: Any,
    prompt: str | None,
    search: dict[str, Any],
    precision: Any,
    threads: int | None,
    batch_images: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Captions the images of a list and prints how near that comes to the captions there."""
    data = own_or(model, source, split, lambda path: image_data("list", (path,), options))
    captioner = load_for("caption", model, precision, threads)
    given = {"prompt": prompt or "", "batch_images": batch_images or 32, **search}
    with checked_search():
        captioner.caption_stream((), **given)
    start = time.perf_counter()
    with line_counter(total=len(data), what="images") as advance:
        found = captioner.evaluate(data, done=advance, **given)
    seconds = time.perf_counter() - start
    figures = dataclasses.asdict(found) | {"seconds": seconds, "images_per_second": found.images / seconds}
    shorter = " / ".join(f"{score:.2f}" for score in (found.bleu1, found.bleu2, found.bleu3))
    cut = f", {found.truncated:,} captions cut" if found.truncated else ""
    lines = [
        f"BLEU-4 {found.bleu4:.2f}   BLEU-1 to 3 {shorter}   CIDEr-D {found.cider:.2f}   exact {found.exact:.2f} %",
        timed(found.images, f"images, {found.references:,} references{cut}", seconds),
    ]
    if found.cer is not None:
        lines.insert(1, f"CER {found.cer:.2f} %   WER {found.wer:.2f} %")
    report(figures, lines, as_json)
