"""Text out of HTML: reviews and posts from the web come with line breaks and entities in them."""

from __future__ import annotations

import html
import re

# Tags that end a line of text, and all others; a bound on the length, so that a stray "<" does not eat a page.
_BLOCK = re.compile(r"</?(?:br|p|div|li|ul|ol|tr|table|blockquote|h[1-6])\b[^<>]{0,500}>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,500}>")


def text_of_html(text: str) -> str:
    """The text without its tags: those of line breaks and paragraphs become line ends, others nothing; entities such as
    `&amp;` become their characters. A "<" that starts no tag stays."""
    return html.unescape(_TAG.sub("", _BLOCK.sub("\n", text)))
