"""Pages in a real browser: a copy of the page with a script that uses it and writes down what it sees."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

HELPERS = """
const $ = (selector) => document.querySelector(selector), $$ = (selector) => [...document.querySelectorAll(selector)];
const press = (key, options = {}) => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, ...options}));
const choose = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("change")); };
const at = (node, x, y, type = "mousemove") => {  // x, y: shares of its width and height
  const box = node.getBoundingClientRect();
  const place = {clientX: box.left + x * box.width, clientY: box.top + y * box.height};
  node.dispatchEvent(new MouseEvent(type, {bubbles: true, ...place}));
};
const point = (node) => node.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
"""


DARK = "--blink-settings=preferredColorScheme=0"


def dump(page: Path, *flags: str) -> str:
    """The page's DOM after its scripts have run."""
    return _browse(page, *flags)[0]


def complaints(page: Path) -> list[str]:
    """What the browser writes to its console of a page that it loads without any network: errors, refused requests."""
    # Port 9 discards: a request to anywhere fails, and is complained of.
    errors = _browse(page, "--enable-logging=stderr", "--proxy-server=127.0.0.1:9")[1]
    return [line for line in errors.splitlines() if "CONSOLE" in line]


def _browse(page: Path, *flags: str) -> tuple[str, str]:
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,900"]
    command = [BROWSER, *options, *flags, f"--user-data-dir={page.parent / 'profile'}", "--dump-dom", page.as_uri()]
    result = subprocess.run(command, capture_output=True, timeout=120)
    errors = result.stderr.decode(errors="replace")
    assert result.returncode == 0, errors[-2000:]
    return result.stdout.decode(), errors


def run_in_page(page: Path, script: str, helpers: str = "", flags: Sequence[str] = ()) -> Any:
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
        match = re.search(r'<pre id="result">(.*?)</pre>', dump(page, *flags), re.DOTALL)
        assert match is not None, "the page's script did not reach its end"
        answer = json.loads(unescape(match[1]))
        if answer["focused"]:
            break
    else:
        raise AssertionError("the browser's window never had the focus")
    assert answer["failure"] is None, answer["failure"]
    return answer["result"]
