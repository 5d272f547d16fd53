"""Whether an installed attnkit works: what a wheel must do in an environment that has nothing else.

    python .ci/check_installed.py

Runs with the Python that attnkit was installed for, and leaves nothing behind. `./dev wheel` and cibuildwheel call it.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LARGEST = 30e6  # bytes of attnkit itself: its core for every instruction set, and the OpenMP that it brings
LINK = re.compile(r"\]\((?!https?:|#)[^)]*\)")
SMALL = ("data.builtin_train=400", "data.builtin_held_out=20", "training.max_steps=10", "training.warmup_steps=2")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_place()
        check_readme()
        check_size()
        run(folder, "doctor")
        run(folder, "train", "en-it", "--out", "run", *(word for change in SMALL for word in ("--set", change)))
        lines = run(folder, "translate", "run", text="the cat is on the table\n\nthe dog runs\n").split("\n")
        expect(len(lines) == 4 and lines[1] == "" and lines[0] != "", f"expected three lines with words, got {lines}")
    say("it works")


def check_place() -> None:
    """The package must be the installed one, not a checkout that lies on the path."""
    import attnkit

    expect(Path(attnkit.__file__).is_relative_to(sys.prefix), f"{attnkit.__file__} is not under {sys.prefix}")


def check_readme() -> None:
    """On a package index a link to a file of the source tree leads nowhere."""
    text = importlib.metadata.metadata("attnkit")["Description"] or importlib.metadata.metadata("attnkit").get_payload()
    dead = LINK.findall(text)
    expect("attnkit" in text and not dead, f"the description has links that a package index cannot follow: {dead}")


def check_size() -> None:
    sizes = {name: size_of(name) for name in sorted(needed("attnkit", set()) - needed("numpy", set()))}
    listed = ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sizes.items())
    say(f"{sum(sizes.values()) / 1e6:.1f} MB beyond NumPy: {listed}")
    expect(sizes["attnkit"] < LARGEST, f"expected attnkit to have less than {LARGEST / 1e6:.0f} MB")


def needed(name: str, found: set[str]) -> set[str]:
    """`name` and all that it needs without extras."""
    name = re.sub(r"[-_.]+", "-", name).lower()
    if name in found:
        return found
    try:
        requirements = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:  # for another platform
        return found
    found.add(name)
    for requirement in requirements:
        if "extra ==" not in requirement:
            needed(re.split(r"[^\w.-]", requirement)[0], found)
    return found


def size_of(name: str) -> int:
    paths = (Path(str(file.locate())) for file in importlib.metadata.files(name) or ())
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())


def run(folder: str, *arguments: str, text: str = "") -> str:
    started = time.monotonic()
    command = [sys.executable, "-m", "attnkit", *arguments]
    done = subprocess.run(command, cwd=folder, input=text, capture_output=True, encoding="utf-8", timeout=300)
    expect(done.returncode == 0, f"attnkit {arguments[0]} ended with {done.returncode}: {done.stderr}")
    say(f"attnkit {' '.join(arguments)}: {time.monotonic() - started:.1f} s")
    if done.stdout:
        print(done.stdout, end="", flush=True)
    return done.stdout


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        sys.exit(f"check_installed: {otherwise}")


def say(what: str) -> None:
    print(f"check_installed: {what}", flush=True)


if __name__ == "__main__":
    main()
