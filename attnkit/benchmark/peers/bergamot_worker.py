"""Bergamot's side of `attnkit bench translate`: python3.10 bergamot_worker.py FOLDER MODEL WORKERS BATCH_TOKENS [once],
or `check` alone, which fails where Bergamot is not installed.

Its wheel exists for Python 3.10 alone, so this file is run by its path with a Python that has no attnkit, and imports
nothing but the standard library. It answers as `attnkit.benchmark.runner.answer_requests` does.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

# What a configuration says of these is left out for what is fastest here; each line is a sentence.
_CHOSEN = {
    "relative-paths": "false",
    "ssplit-mode": "sentence",
    "max-length-break": "128",
    "workspace": "128",
    "quiet": "true",
}


def native_module() -> Any:
    """Bergamot's compiled part, by its file: to import the package asks the network for a list of models."""
    package = importlib.util.find_spec("bergamot")
    for folder in (package.submodule_search_locations or []) if package else []:
        for suffix in importlib.machinery.all_suffixes():
            path = Path(folder) / f"_bergamot{suffix}"
            if path.is_file():
                spec = importlib.util.spec_from_file_location("_bergamot", path)
                assert spec is not None and spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
    sys.exit("bergamot is not installed")


def configuration(folder: Path, beam: int, batch_words: int) -> str:
    """The config*.yml of a folder at its fastest, its files with their whole paths. Greedy search without
    probabilities, which nobody reads, costs less."""
    text = min(folder.glob("config*.yml")).read_text(encoding="utf-8")
    chosen = {**_CHOSEN, "mini-batch-words": str(batch_words), "beam-size": str(beam)}
    chosen["skip-cost"] = "true" if beam == 1 else "false"
    lines = [_with_path(line, folder) for line in text.splitlines() if line.partition(":")[0] not in chosen]
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in chosen.items()), ""])


def _with_path(line: str, folder: Path) -> str:
    match = re.fullmatch(r"""(\s*-\s*|[\w-]+:\s*)["']?([^"']+?)["']?\s*""", line)
    if match is None or not (folder / match[2]).is_file():
        return line
    return match[1] + json.dumps(str(folder / match[2]), ensure_ascii=False)


def main(folder: str, model_folder: str, workers: str, batch_tokens: str, mode: str = "serve") -> None:
    work = json.loads((Path(folder) / "work.json").read_text(encoding="utf-8"))
    bergamot = native_module()
    begin = time.perf_counter()
    service = bergamot.Service(bergamot.ServiceConfig(numWorkers=int(workers), cacheSize=0, logLevel="off"))
    model = service.modelFromConfig(configuration(Path(model_folder), work["beam"], int(batch_tokens)))
    load_seconds = time.perf_counter() - begin
    plain = bergamot.ResponseOptions(alignment=False, qualityScores=False, HTML=False)

    def translate(lines: list[str]) -> None:
        found = service.translate(model, bergamot.VectorString(lines), plain)
        assert len([response.target.text for response in found]) == len(lines)

    def seconds_of(lines: list[str]) -> float:
        start = time.perf_counter()
        translate(lines)
        return time.perf_counter() - start

    if mode == "once":
        translate(work["lines"][:1])
        print(json.dumps({"load_seconds": load_seconds}))
        return
    print(json.dumps({"ready": True, "load_seconds": load_seconds}), flush=True)
    for _ in sys.stdin:
        seconds = seconds_of(work["lines"])
        latencies = [seconds_of([line]) for line in work["lines"][: work["alone"]]]
        answer = {"seconds": seconds, "latencies": latencies, "peak_bytes": peak_bytes()}
        print(json.dumps(answer), flush=True)


def peak_bytes() -> int:
    """The largest resident memory of this process, as `attnkit.benchmark.runner.peak_bytes` has it."""
    import resource

    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        native_module()
    else:
        main(*sys.argv[1:])
