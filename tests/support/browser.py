"""Pages in a real browser: a copy of the page with a script that uses it and writes down what it sees."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

HELPERS = """
const $ = (selector) => document.querySelector(selector), $$ = (selector) => [...document.querySelectorAll(selector)];
const press = (key, options = {}) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, ...options}));
const point = (node) => node.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
"""


def dump(page: Path) -> str:
    """The page's DOM after its scripts have run."""
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,900"]
    command = [BROWSER, *options, f"--user-data-dir={page.parent / 'profile'}", "--dump-dom", page.as_uri()]
    result = subprocess.run(command, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr.decode(errors="replace")[-2000:]
    return result.stdout.decode()


def run_in_page(page: Path, script: str, helpers: str = "") -> Any:
    """What `script`, the body of a function run at the end of `page`, returns; `page` is written anew."""
    # The page's policy lets only its own script run, so the copy that is tested goes without it.
    html, found = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    assert found == 1
    probe = (
        "<pre id=result></pre><script>{"
        "let failure = null; window.addEventListener('error', (event) => { failure = event.message; });"
        + HELPERS + helpers + "const run = () => {" + script + "};"
        "let result; try { result = run(); } catch (error) { failure = String(error); }"
        "const focused = document.hasFocus();"
        "document.getElementById('result').textContent = JSON.stringify({result, failure, focused}); }</script>"
    )  # fmt: skip
    page.write_text(html.replace("</body>", probe + "</body>"), encoding="utf-8")
    # On a busy machine the window may get the focus only after the script has run; without it nothing in the page is
    # focused, as the browser sees it, and no event says so. Such a run says nothing about the page.
    for _ in range(10):
        match = re.search(r'<pre id="result">(.*?)</pre>', dump(page), re.DOTALL)
        assert match is not None, "the page's script did not reach its end"
        answer = json.loads(unescape(match[1]))
        if answer["focused"]:
            break
    else:
        raise AssertionError("the browser's window never had the focus")
    assert answer["failure"] is None, answer["failure"]
    return answer["result"]
