"""Attention weights made visible: a page, a picture, text for the terminal, data; and the learning curve.

Everything here takes plain arrays and tokens (`AttentionMap`), whatever model they come from.
"""

from .attention_map import AttentionMap
from .document_map import DocumentMap
from .document_terminal import render_document
from .heatmap import write_png
from .html_page import write_html
from .image_map import ImageMap
from .image_page import write_images_html
from .image_strip import write_image_png
from .json_file import write_json
from .learning_curve import draw_learning_curve
from .pieces import merge_pieces
from .rollout import attention_rollout
from .terminal import render_terminal
from .write import check_suffix, write, write_documents, write_images

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
