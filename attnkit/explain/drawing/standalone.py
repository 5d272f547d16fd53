"""Standalone HTML pages: one frame and one look, nothing loaded, and only the page's own style and script may run.

The frame lies beside this file (standalone.html, standalone.css). What it goes around is page.html, page.css and, where
the page answers to the mouse and the keyboard, its scripts, in the folder of the subject.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib import resources

from attnkit.explain.drawing.pieces import labels


def standalone_page(
    package: str,
    title: str,
    *,
    body: str = "page.html",
    scripts: Sequence[str] = (),
    data: object = None,
    style: str = "",
    images: bool = False,
    **parts: str,
) -> str:
    """The page whose assets lie in `package`, such as attnkit.explain.page.

    body: the file of what the frame goes around. scripts: files that are joined to one script. data: for it, as JSON.
    style: more style. images: it shows some, as data URLs. parts: HTML for the placeholders of the body.
    """
    style = _asset(__package__, "standalone.css") + _asset(package, "page.css") + style
    script = _joined([_asset(package, name) for name in scripts]) if scripts else None
    sources = [("img-src", "data:")] if images else []
    sources += [] if script is None else [("script-src", _source(script))]
    sources += [("style-src", _source(style)), ("base-uri", "'none'")]
    parts |= {
        "title": html.escape(labels([title])[0]),
        # A second guard, should a token ever slip through the escapes.
        "policy": "; ".join(["default-src 'none'", *(" ".join(source) for source in sources)]),
        "style": style,
        "scripts": "" if script is None else _scripts(script, data),
    }
    page = _asset(__package__, "standalone.html").replace("{{body}}", _asset(package, body))
    # In one pass, so that a token that reads like a placeholder stays a token.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], page)


def _joined(scripts: Sequence[str]) -> str:
    """One script whose names are its own, not the page's."""
    return '"use strict";\n(() => {\n' + "\n".join(scripts) + "})();\n"


def _scripts(script: str, data: object) -> str:
    return f'<script type="application/json" id="data">{json_in_html(data)}</script>\n<script>{script}</script>\n'


def json_in_html(data: object) -> str:
    """JSON that stands safely in a <script>: no character of it can end the element or open a comment."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _source(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def _asset(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
