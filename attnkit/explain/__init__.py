"""Attention weights made visible: a page, a picture, text for the terminal, data; and the learning curve.

Everything here takes plain arrays and tokens (`AttentionMap`), whatever model they come from.
"""

from typing import TYPE_CHECKING, Any

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
from attnkit.explain.write import check_suffix, write, write_documents, write_images

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    if name == "attention_rollout":  # of the layers, and here for people who look for it here
        from attnkit.nn.attention.rollout import attention_rollout

        return attention_rollout
    raise AttributeError(f"module 'attnkit.explain' has no attribute {name!r}")
