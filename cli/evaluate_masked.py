"""`attnkit evaluate` for masked language models: how often they guess what is hidden."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .shared.line_counter import line_counter
from .shared.loading import load_for, located
from .shared.measured import report

if TYPE_CHECKING:
    from attnkit.text.masking_config import MaskingConfig


def run(
    model: str,
    *,
    source: str,
    precision: Any,
    threads: int | None,
    batch_tokens: int | None,
    as_json: bool,
    **others: Any,
) -> None:
    """Prints how well the model guesses hidden tokens of the lines of a file."""
    from attnkit.text.lines import read_texts

    texts = read_texts((source,), "", False)
    filler = load_for("masked-language-model", model, precision, threads)
    masking = _of_its_training(Path(located(model)))
    start = time.perf_counter()
    with line_counter(what="hidden tokens") as advance:
        found = filler.evaluate(texts, masking=masking, batch_tokens=batch_tokens or 4096, done=advance)
    seconds = time.perf_counter() - start
    figures = {"perplexity": found.perplexity, **dataclasses.asdict(found), "seconds": seconds}
    parts = f" in {found.parts:,} parts" if found.parts != found.texts else ""
    lines = [
        f"accuracy {found.accuracy:.2f} %   perplexity {found.perplexity:.2f}   loss {found.loss:.4f} a hidden token",
        f"{found.texts:,} texts{parts}, {found.hidden:,} hidden tokens in {seconds:.1f} s: "
        f"{found.hidden / seconds:,.0f} hidden tokens/s",
    ]
    report(figures, lines, as_json)


def _of_its_training(folder: Path) -> MaskingConfig | None:
    """What the run that made a model hid, None of one that comes from elsewhere."""
    from attnkit.tasks.config_file import read_config
    from attnkit.tasks.run import CONFIG_FILE

    file = folder / CONFIG_FILE
    return getattr(read_config(file), "masking", None) if file.is_file() else None
