"""Batch jobs on a cluster, by Ray Data: a model on every node or core, each of which is loaded once.

`translate`, `caption`, `classify` and `embed` take a `ray.data.Dataset`, or names of files, and return a Dataset with
the answers as new columns, which can be written as Parquet, JSON lines or (`write_text`) text. `attnkit translate
--ray` and its like write files of text or JSON lines, and make what is missing when they are started again.

Needs the extra `ray`: pip install 'attnkit[ray]'. The same attnkit must be on every node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit._lazy import lazily

if TYPE_CHECKING:
    from attnkit.ray.datasets import caption, classify, embed, translate
    from attnkit.ray.reading import read_images, read_lines
    from attnkit.ray.text_sink import write_text

__all__ = ["caption", "classify", "embed", "read_images", "read_lines", "translate", "write_text"]

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.ray.datasets": ("caption", "classify", "embed", "translate"),
            "attnkit.ray.reading": ("read_images", "read_lines"),
            "attnkit.ray.text_sink": ("write_text",),
        },
        __all__,
    )
