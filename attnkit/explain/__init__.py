"""Attention weights made visible: a page, a picture, text for the terminal, data; and the learning curve.

Everything here takes plain arrays and tokens (`AttentionMap`), whatever model they come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit._lazy import lazily

if TYPE_CHECKING:
    from attnkit.explain.document.map import DocumentMap
    from attnkit.explain.document.terminal import render_document
    from attnkit.explain.drawing.learning_curve import draw_learning_curve
    from attnkit.explain.image.map import ImageMap
    from attnkit.explain.image.picture import write_image_png
    from attnkit.explain.json_file import write_json
    from attnkit.explain.page.html import write_html, write_images_html
    from attnkit.explain.sentence.map import AttentionMap
    from attnkit.explain.sentence.merge import merge_pieces
    from attnkit.explain.sentence.picture import write_png
    from attnkit.explain.sentence.terminal import render_terminal
    from attnkit.explain.writing import check_suffix, write, write_documents, write_images
    from attnkit.nn.attention.rollout import attention_rollout

__all__ = [
    "AttentionMap",
    "DocumentMap",
    "ImageMap",
    "attention_rollout",
    "check_suffix",
    "draw_learning_curve",
    "merge_pieces",
    "render_document",
    "render_terminal",
    "write",
    "write_documents",
    "write_html",
    "write_image_png",
    "write_images",
    "write_images_html",
    "write_json",
    "write_png",
]

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.explain.document.map": ("DocumentMap",),
            "attnkit.explain.document.terminal": ("render_document",),
            "attnkit.explain.drawing.learning_curve": ("draw_learning_curve",),
            "attnkit.explain.image.map": ("ImageMap",),
            "attnkit.explain.image.picture": ("write_image_png",),
            "attnkit.explain.json_file": ("write_json",),
            "attnkit.explain.page.html": (
                "write_html",
                "write_images_html",
            ),
            "attnkit.explain.sentence.map": ("AttentionMap",),
            "attnkit.explain.sentence.merge": ("merge_pieces",),
            "attnkit.explain.sentence.picture": ("write_png",),
            "attnkit.explain.sentence.terminal": ("render_terminal",),
            "attnkit.explain.writing": (
                "check_suffix",
                "write",
                "write_documents",
                "write_images",
            ),
            "attnkit.nn.attention.rollout": ("attention_rollout",),
        },
    )
