"""Training configurations with bytes or values changed, and odd values of --set."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from random import Random
from typing import Any

import samples

from fuzz import mutate
from fuzz.job import Job
from fuzz.text import FEW_STEPS

KEYS = ["training.max_steps", "model.heads", "data.train", "x", "training", "tokenizer.kind", ""]
VALUES = ["-1", "1e9", "nan", "[]", "", "2", "{a=1}", "\x1b[31m", '"']


def make(rng: Random, box: Path) -> Job:
    samples.copy_data(box)
    path = rng.choice(sorted((samples.FORMAT / "trainings").iterdir()))
    if rng.random() < 0.5:  # with every key
        path = samples.MODELS / path.stem / "training.toml"
    text = path.read_bytes()
    if rng.random() < 0.3:
        text = mutate.bytes_of(text, rng)
    else:
        table = mutate.table(tomllib.loads(text.decode()), rng)
        text = (_text(table) if isinstance(table, dict) else str(table)).encode("utf-8", "surrogatepass")
    (box / "t.toml").write_bytes(text)
    line = ["train", "t.toml", "--out", "out", *FEW_STEPS]
    if rng.random() < 0.2:
        line += ["--set", f"{rng.choice(KEYS)}={rng.choice(VALUES)}", "--set", "training.max_minutes=0.02"]
    return Job([line], {"data": "data"})


def _text(table: dict[str, Any], name: str = "") -> str:
    lines = [f"[{name}]"] if name else []
    lines += [f"{json.dumps(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for key, value in table.items():
        if isinstance(value, dict):
            lines.append(_text(value, f"{name}.{json.dumps(key)}" if name else json.dumps(key)))
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    match value:
        case None:
            return '""'
        case float() if not math.isfinite(value):
            return str(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
