"""Small training runs that several test files use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from attnkit.training import RunConfig, read_config
from attnkit.training.checkpoint import CheckpointFolder
from attnkit.training.metrics import TIMES

FEW_PAIRS = """
task = "translate"
[data]
builtin = "en-it"
builtin_train = 120
builtin_held_out = 12
[tokenizer]
kind = "word"
"""

TINY = f"""{FEW_PAIRS}[model]
type = "transformer"
d_model = 16
ffn = 32
heads = 2
encoder_layers = 1
decoder_layers = 1
dropout = 0.1
[training]
max_steps = 12
batch_tokens = 160
learning_rate = 0.01
warmup_steps = 4
log_every = 2
save_every = 3
final = "average"
average_last = 3
[decoding]
tokenize = "none"
beam = 2
"""

COPY_LINES = ["a b c", "c b a", "b b", "a", "d a d", "c d", "b a c d", "d d d"]


def tiny(folder: Path, *overrides: str) -> RunConfig:
    """A run of a dozen steps on the built-in corpus."""
    path = folder / "tiny.toml"
    path.write_text(TINY)
    return read_config(path, overrides)


def copy_task(folder: Path) -> Path:
    """A TOML file for a task that is learnt in seconds: say the sentence in capitals. Its data is beside it."""
    for name, lines in {"source": COPY_LINES, "target": [line.upper() for line in COPY_LINES]}.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    path = folder / "copy.toml"
    files = f'["{folder / "source"}", "{folder / "target"}"]'
    path.write_text(
        f"""
task = "translate"
[data]
train = {files}
validation = {files}
[tokenizer]
kind = "word"
[model]
type = "transformer"
d_model = 32
ffn = 64
heads = 2
encoder_layers = 1
decoder_layers = 1
dropout = 0.0
[training]
max_steps = 150
batch_tokens = 64
learning_rate = 0.01
schedule = "cosine"
warmup_steps = 10
label_smoothing = 0.0
validate_every = 50
validate_unit = "steps"
[decoding]
tokenize = "none"
"""
    )
    return path


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl without the times, which no two runs share."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


LAST = Path("checkpoints") / "last.safetensors"


def content(folder: Path) -> dict[str, object]:
    """Everything in a run's folder, but for times and pictures."""
    files: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name == str(LAST):
            state, weights, optimizer = CheckpointFolder(path.parent).load()
            window = msgspec.structs.replace(state.window, seconds=0.0)
            # metrics_bytes counts the digits of times; that it is right shows in metrics.jsonl.
            files[name] = msgspec.structs.replace(state, seconds=0.0, metrics_bytes=0, window=window)
            files |= {f"{name}/{key}": array.tobytes() for key, array in (weights | optimizer).items()}
        elif path.is_file() and path.suffix not in (".jsonl", ".png"):
            files[name] = path.read_bytes()
    files["metrics.jsonl"] = metrics(folder)
    return files
