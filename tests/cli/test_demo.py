"""The demonstration, as `./dev demo` runs it: trains for real, and says what it should."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attnkit.demo", "--folder", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=900, check=False)


def test_the_demo_trains_translates_captions_measures_and_draws(tmp_path: Path) -> None:
    first = demo(tmp_path / "demo")
    assert first.returncode == 0, first.stderr
    assert re.search(r"the cat is on the table +→ +il gatto è sul tavolo\n", first.stdout)
    bleu = re.search(r"BLEU +([0-9.]+)", first.stdout)
    error = re.search(r"alignment error rate +([0-9.]+)", first.stdout)
    assert bleu and float(bleu[1]) >= 95.0
    assert error and 0.0 < float(error[1]) <= 0.05
    assert "gatto" in (tmp_path / "demo" / "attention.html").read_text("utf-8")
    page = (tmp_path / "demo" / "self-attention.html").read_text("utf-8")
    assert '"encoder"' in page and '"cross"' not in page
    assert first.stdout.count("self-attention.png") == 1
    for picture in ("attention.png", "self-attention.png", "learning-curve.png"):
        with Image.open(tmp_path / "demo" / picture) as image:
            assert image.width > 300 and len(image.getcolors(1 << 24) or ()) > 10

    exact, pointing = (
        re.search(rf"{name} +([0-9.]+) %", first.stdout) for name in ("exactly right", "pointing accuracy")
    )
    assert exact and float(exact[1]) >= 95.0 and pointing and float(pointing[1]) >= 90.0
    assert " is " in (tmp_path / "demo-captions" / "attention.html").read_text("utf-8")
    with Image.open(tmp_path / "demo-captions" / "attention.png") as image:
        assert image.width > 300

    begin = time.monotonic()
    second = demo(tmp_path / "demo")
    assert second.returncode == 0, second.stderr
    assert "Trained already" in second.stdout and time.monotonic() - begin < 60
    assert (
        second.stdout.partition("2. Sentences")[2].split("translated in")[0]
        == (first.stdout.partition("2. Sentences")[2].split("translated in")[0])
    )
