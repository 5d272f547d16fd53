"""One standalone page of experiments: each one's title, paragraph, command, figures and numbers.

The frame of the page lies beside this file (page.html, page.css). It has no script, and its pictures are inside.
"""

from __future__ import annotations

import base64
import html
import inspect
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnkit.explain.drawing.standalone import standalone_page
from attnkit.explore import EXPERIMENTS
from attnkit.explore.record import Record, module_of
from attnkit.files import atomic_write
from attnkit.training.progress import duration

_TITLE = "Attention, experiment by experiment"
_PICTURES = {".png": "image/png", ".svg": "image/svg+xml"}


def write_page(
    path: str | os.PathLike[str], folder: Path, records: Sequence[Record], failures: Mapping[str, str]
) -> None:
    """Writes the page. folder: where each experiment has its own. failures: why some failed. Raises OSError."""
    known = {record.experiment: record for record in records}
    order = [name for name in EXPERIMENTS if name in known or name in failures]
    parts = [
        _experiment(known[name], folder / name) if name in known else _failure(name, failures[name]) for name in order
    ]
    titles = {name: _inline(_statement(name)[0] if name in known else EXPERIMENTS[name]) for name in order}
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in titles.items())
    seconds = sum(record.seconds for record in records)
    summary = f"{len(records)} experiments, {duration(seconds)} of training and measuring in all."
    if failures:
        summary += f" {len(failures)} failed: {', '.join(failures)}."
    page = standalone_page(
        __package__, _TITLE, images=True, summary=html.escape(summary), links=links, experiments="\n".join(parts)
    )
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", "replace"))


def _statement(name: str) -> list[str]:
    """The title and the paragraphs that the experiment's module says of itself."""
    text = inspect.cleandoc(module_of(name).__doc__ or EXPERIMENTS[name])
    title, *paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return [title.rstrip("."), *paragraphs]


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _experiment(record: Record, folder: Path) -> str:
    name = record.experiment
    title, *paragraphs = map(_inline, _statement(name))
    files = record.paths(folder)
    pictures = [file for file in files if file.suffix in _PICTURES]
    numbers = [json.loads(file.read_bytes()) for file in files if file.suffix == ".json"]
    warning = f'<p class="warning">{html.escape(record.warning)}</p>' if record.warning else ""
    return (
        f'<section id="{name}">\n<h2>{title}</h2>\n'
        + "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
        + warning
        + "\n".join(_figure(file, title) for file in pictures)
        + f'\n<p class="command"><code>{html.escape(record.command)}</code> <span>{duration(record.seconds)}</span></p>'
        + f"\n<details open><summary>Numbers</summary>{''.join(map(_tables, numbers))}</details>\n</section>"
    )


def _failure(name: str, why: str) -> str:
    return (
        f'<section id="{name}">\n<h2>{_inline(EXPERIMENTS[name])}</h2>\n'
        f'<p class="warning">This experiment failed: {html.escape(why)}</p>\n</section>'
    )


def _figure(file: Path, title: str) -> str:
    picture = base64.b64encode(file.read_bytes()).decode()
    kind = _PICTURES[file.suffix]
    words = f"{title} ({file.stem})"
    return f'<figure><img src="data:{kind};base64,{picture}" alt="{words}"></figure>'


# ----- Numbers


def _tables(numbers: Mapping[str, Any]) -> str:
    plain = {key: value for key, value in numbers.items() if not isinstance(value, Mapping) and key != "warning"}
    parts = [_table("", {"": plain})] if plain else []
    for key, value in numbers.items():
        if isinstance(value, Mapping):
            parts += _nested(key, value)
    return "".join(parts)


def _nested(title: str, values: Mapping[str, Any]) -> list[str]:
    """A table whose rows are the values' keys; what their values hold in turn gets tables of its own."""
    if not all(isinstance(value, Mapping) for value in values.values()):
        return [_table(title, {"": values})]
    flat = {row: {key: v for key, v in figures.items() if _is_plain(v)} for row, figures in values.items()}
    parts = [_table(title, flat)] if any(flat.values()) else []
    deeper: dict[str, dict[str, Any]] = {}
    for row, figures in values.items():
        for key, inner in figures.items():
            if isinstance(inner, Mapping):
                deeper.setdefault(key, {})[row] = inner
    return [*parts, *(part for key, rows in deeper.items() for part in _nested(key, rows))]


def _is_plain(value: Any) -> bool:
    return not isinstance(value, Mapping | list)


def _table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for figures in rows.values() for column in figures))
    head = "".join(f"<th>{_words(column)}</th>" for column in columns)
    body = "".join(
        f"<tr><th>{html.escape(row)}</th>{''.join(f'<td>{_number(figures.get(c))}</td>' for c in columns)}</tr>"
        for row, figures in rows.items()
    )
    caption = f"<caption>{_words(title)}</caption>" if title else ""
    return (
        f'<div class="wide"><table>{caption}<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _words(key: str) -> str:
    return html.escape(str(key).replace("_", " "))


def _number(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return html.escape(f"{value:,}" if isinstance(value, int) else str(value))
