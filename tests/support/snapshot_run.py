"""`python snapshot_run.py REPO [REVISION] [--offline]`: a snapshot in a process of its own, since huggingface_hub reads
its environment when it is imported. Prints JSON: the snapshot or the error's type and line, and what was said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(repo: str, *arguments: str, env: dict[str, str]) -> dict[str, Any]:
    """What it printed. Its standard error is under "stderr"."""
    done = subprocess.run(command(repo, *arguments), env=env, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return {**json.loads(done.stdout), "stderr": done.stderr.decode()}


def command(repo: str, *arguments: str) -> list[str]:
    return [sys.executable, __file__, repo, *arguments]


def main() -> None:
    from attnkit.cli.shared import errors
    from attnkit.hub.huggingface import snapshot

    positional = [each for each in sys.argv[1:] if each != "--offline"]
    repo, revision = positional[0], positional[1] if len(positional) > 1 else None
    said: list[str] = []
    try:
        found = snapshot(repo, revision, offline="--offline" in sys.argv, say=said.append)
    except Exception as error:
        if os.environ.get("ATTNKIT_TRACEBACK"):
            raise
        print(json.dumps({"error": type(error).__name__, "line": errors.describe(error), "said": said}))
        return
    files = {path.name: path.stat().st_size for path in Path(found.folder).iterdir()}
    whole = {"folder": str(found.folder), "revision": found.revision, "licence": found.licence, "files": files}
    print(json.dumps({**whole, "said": said}))


if __name__ == "__main__":
    main()
