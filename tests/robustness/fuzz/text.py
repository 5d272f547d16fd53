"""Text for every command that reads it: odd lines, broken encodings, packed or not, as input and as training data."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

import samples

from fuzz import mutate
from fuzz.job import Job

LINES = [
    *("the cat", "il gatto", "", " ", "a\tb", "a\tb\tc", "\ufeff", "x" * 5000, "\x00", "\r", "\u2028", "<script>"),
    *("\x1b]0;x\x07", "猫" * 300, '{"source":"a","target":"b"}', '{"text":"a b","label":"pos"}', '{"source":1}'),
    *("[" * 3000, '"a"', "{}", ">>ita<< a", "\udcff", '{"text":"\\ud800","label":"x"}', "नमस्ते 3.14 e\u0301"),
]
TRANSLATORS = ["translate", "translate-languages", "translate-recurrent", "marian"]
CLASSIFIERS = ["classify-text", "classify-text-transformer"]
FEW_STEPS = ("--set", "training.max_steps=2", "--set", "training.warmup_steps=1", "--set", "training.validate_every=1")


def make(rng: Random, box: Path) -> Job:
    name = _write(rng, box)
    match rng.randrange(6):
        case 0:
            model = rng.choice(TRANSLATORS)
            options = rng.choice([[], ["--jsonl"], ["--attention", "a.html"], ["--nbest", "2"]])
            line = ["translate", "m", "-i", name, "--max-length", "15", "--beam", rng.choice("13"), *options]
            line += ["--to", "it"] if model == "translate-languages" else []
        case 1:
            model = rng.choice(CLASSIFIERS)
            line = ["classify", "m", name, *rng.choice([[], ["--jsonl"], ["--text-key", "text"]])]
        case 2:
            model, line = "translate", ["evaluate", "m", "--source", name, "--reference", name, "--max-length", "9"]
        case 3:
            model, line = "language-model", ["generate", "m", "-i", name, "--max-length", "9"]
        case _:
            return _train(rng, box, name)
    samples.copy_model(model, box / "m")
    return Job([line], {"m": f"models/{model}"})


def _write(rng: Random, box: Path) -> str:
    lines = [rng.choice(LINES) for _ in range(rng.choice([0, 1, 3, 8, 40, 200]))]
    data = "\n".join(lines).encode("utf-8", "surrogateescape")
    name = f"c.{rng.choice(['txt', 'tsv', 'jsonl'])}"
    if rng.random() < 0.5:
        data = mutate.bytes_of(data, rng)
    if rng.random() < 0.3:
        data, name = gzip.compress(data, mtime=0), f"{name}.gz"
        data = mutate.bytes_of(data, rng) if rng.random() < 0.7 else data
    (box / name).write_bytes(data)
    return name


def _train(rng: Random, box: Path, name: str) -> Job:
    run = rng.choice(["translate", "classify-text", "language-model"])
    form = rng.choice(["parallel", "tsv", "jsonl"])
    files = [name, name] if form == "parallel" else [name]
    data = {
        "translate": [
            f'data.format="{form}"',
            f"data.train={json.dumps(files)}",
            f"data.validation={json.dumps(files)}",
        ],
        "classify-text": [f'data.train="{name}"'],
        "language-model": [f'data.train=["{name}"]', f'data.validation=["{name}"]'],
    }[run]
    kind = rng.choice(["word", "char", "wordpunct", "bpe", "unigram"])
    settings = [*data, f'tokenizer.kind="{kind}"', f"tokenizer.vocab_size={rng.choice([20, 60, 300])}"]
    (box / "t.toml").write_text(samples.training(run))
    line = ["train", "t.toml", "--out", "out", *FEW_STEPS]
    return Job([line + [part for setting in settings for part in ("--set", setting)]])
