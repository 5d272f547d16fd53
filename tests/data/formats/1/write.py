"""How the files beside this one were written: by attnkit 0.1.0, at its commit dcdf9b3, and never again.

    cd tests/data/formats/1 && PATH=/where/0.1.0/is/bin:$PATH python write.py

It is kept as the record of that. What these files hold must load, run and resume in every later version
(tests/interop/test_old_formats.py).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

# The instruction set whose arithmetic is the same on every x86-64 machine: resumed runs end with the same bytes there.
ENVIRONMENT = {**os.environ, "ATTNKIT_ISA": "portable", "OMP_NUM_THREADS": "1"}
HALF, WHOLE = 50, 120

TRAINING = f"""
[training]
max_steps = {WHOLE}
learning_rate = 0.02
warmup_steps = 10
log_every = 10
validate_unit = "steps"
validate_every = 20
"""

PAIRS = """task = "translate"
[data]
train = ["data/pairs.en", "data/pairs.it"]
validation = ["data/held.en", "data/held.it"]
"""

RUNS = {
    "translate": f"""{PAIRS}[tokenizer]
kind = "bpe"
vocab_size = 60
[model]
type = "transformer"
d_model = 8
ffn = 16
heads = 2
encoder_layers = 1
decoder_layers = 1
{TRAINING}batch_tokens = 120
final = "average"
average_last = 3
""",
    "translate-recurrent": f"""{PAIRS}[tokenizer]
kind = "word"
joint = false
[model]
type = "recurrent"
cell = "gru"
embedding_size = 8
hidden_size = 8
encoder_size = 4
{TRAINING}batch_tokens = 120
optimizer = "muon"
""",
    "translate-languages": f"""task = "translate"
[data]
format = "jsonl"
languages = true
train = ["data/pairs.jsonl"]
validation = ["data/pairs.jsonl"]
[tokenizer]
kind = "wordpunct"
[model]
type = "transformer"
d_model = 8
ffn = 16
heads = 2
encoder_layers = 1
decoder_layers = 1
norm = "pre"
{TRAINING}batch_tokens = 120
""",
    "classify-text": f"""task = "classify"
[data]
train = "data/reviews.jsonl"
validation_share = 0.2
[tokenizer]
kind = "wordpunct"
[model]
type = "han"
embedding = 6
word_hidden = 4
sentence_hidden = 4
{TRAINING}batch_tokens = 100
metric = "accuracy"
""",
    "classify-text-transformer": f"""task = "classify"
[data]
train = "data/reviews.jsonl"
validation_share = 0.2
[tokenizer]
kind = "char"
[model]
type = "transformer-classifier"
d_model = 8
ffn = 12
heads = 2
layers = 1
{TRAINING}batch_tokens = 300
""",
    "language-model": f"""task = "language-model"
[data]
train = ["data/lines.txt"]
validation = ["data/lines.txt"]
max_length = 20
[tokenizer]
kind = "word"
[model]
type = "decoder-only"
d_model = 8
ffn = 12
heads = 2
layers = 1
max_length = 24
{TRAINING}batch_tokens = 60
optimizer = "adamw"
""",
    "classify-images": f"""task = "classify"
[data]
train = ["data/pictures"]
validation = ["data/pictures"]
[image]
size = 8
[model]
type = "vit"
image_size = 8
patch_size = 4
d_model = 8
layers = 1
heads = 2
ffn = 16
{TRAINING}batch_images = 4
""",
    "classify-images-cnn": f"""task = "classify"
[data]
train = ["data/pictures"]
validation = ["data/pictures"]
[image]
size = 8
[model]
type = "cnn"
widths = [8]
blocks = 1
stem = "patch"
squeeze_excitation = true
{TRAINING}batch_images = 4
""",
    "caption": f"""task = "caption"
[data]
format = "list"
train = ["data/pictures/list.jsonl"]
validation = ["data/pictures/list.jsonl"]
[image]
size = 8
[tokenizer]
kind = "word"
[model]
type = "captioner"
[model.encoder]
type = "cnn"
widths = [8]
blocks = 1
stem = "patch"
[model.decoder]
type = "lstm"
width = 8
hidden = 8
{TRAINING}batch_images = 4
""",
}

USES = {
    "translate with its shortlist": ["translate", "--shortlist", "auto", "-i", "data/held.en", "--jsonl"],
    "translate": ["translate", "--beam", "3", "-i", "data/held.en", "--jsonl"],
    "translate-recurrent": ["translate", "--beam", "3", "-i", "data/held.en", "--jsonl"],
    "translate-languages": ["translate", "--to", "it", "-i", "data/held.en", "--jsonl"],
    "classify-text": ["classify", "data/review.txt", "--jsonl"],
    "classify-text-transformer": ["classify", "data/review.txt", "--jsonl"],
    "language-model": ["generate", "--prompt", "the cat", "--jsonl"],
    "classify-images": ["classify", "data/pictures/red/red-blue.png", "--jsonl"],
    "classify-images-cnn": ["classify", "data/pictures/red/red-blue.png", "--jsonl"],
    "caption": ["caption", "data/pictures/red/red-blue.png", "--jsonl"],
    "marian": ["translate", "-i", "data/held.en", "--jsonl"],
}

NOUNS = {"cat": "gatto", "dog": "cane", "bird": "uccello", "house": "tetto"}
VERBS = {"sees": "vede", "likes": "ama", "finds": "trova"}
COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220)}


def lines(path: str, texts: list[str]) -> None:
    Path(path).write_text("".join(text + "\n" for text in texts), encoding="utf-8")


def write_data() -> None:
    every = [(a, v, b) for a in NOUNS for v in VERBS for b in NOUNS]
    random.Random(1).shuffle(every)
    english = [f"the {a} {v} the {b}" for a, v, b in every]
    italian = [f"il {NOUNS[a]} {VERBS[v]} il {NOUNS[b]}" for a, v, b in every]
    lines("data/pairs.en", english[:40])
    lines("data/pairs.it", italian[:40])
    lines("data/held.en", [*english[40:46], "", "the unseen"])
    lines("data/held.it", [*italian[40:46], "", "il"])
    rows = [{"source": e, "target": i, "language": "it"} for e, i in zip(english[:20], italian[:20], strict=True)]
    rows += [{"source": e, "target": e.upper(), "language": "en"} for e in english[:20]]
    lines("data/pairs.jsonl", [json.dumps(row) for row in rows])
    lines("data/lines.txt", english[:16])
    reviews = [
        {"text": f"The {n} was {w}. A {n}, and {w}!", "label": label}
        for n in NOUNS
        for w, label in (("good", "pos"), ("bad", "neg"), ("great", "pos"), ("dull", "neg"))
    ]
    lines("data/reviews.jsonl", [json.dumps(row) for row in reviews])
    lines("data/review.txt", ["The cat was good. A house, and dull!", "", "great"])
    rows = []
    for left, one in COLOURS.items():
        for right, other in COLOURS.items():
            picture = Image.new("RGB", (8, 8), one)
            picture.paste(other, (4, 0, 8, 8))
            path = Path("data/pictures") / left / f"{left}-{right}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
            rows.append({"image": f"{left}/{path.name}", "caption": f"{left} beside {right}"})
    lines("data/pictures/list.jsonl", [json.dumps(row) for row in rows])


def attnkit(*arguments: str, **options: object) -> str:
    command = ["attnkit", *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, encoding="utf-8", **options)
    return done.stdout


def write_run(name: str) -> None:
    """trainings/NAME.toml; halfway/NAME, which stopped at half of the steps; models/NAME, that of the whole run."""
    toml = f"trainings/{name}.toml"
    Path(toml).write_text(RUNS[name])
    attnkit("train", toml, "--out", f"halfway/{name}", "--set", f"training.max_steps={HALF}")
    for unneeded in ("model.safetensors", "config.json", "learning-curve.png"):  # a run that was killed has none
        Path("halfway", name, unneeded).unlink()
    shutil.copytree(f"halfway/{name}", f"models/{name}")
    attnkit("train", toml, "--out", f"models/{name}", "--resume")
    shutil.rmtree(f"models/{name}/checkpoints")
    Path(f"models/{name}/learning-curve.png").unlink()


def write_marian() -> None:
    """models/marian: a checkpoint of random weights, as transformers writes it, converted."""
    sys.path.insert(0, "../../..")
    from marian_checkpoint import write_checkpoint

    write_checkpoint(Path("marian-checkpoint"))
    attnkit("convert", "marian-checkpoint", "models/marian")
    shutil.rmtree("marian-checkpoint")


def main() -> None:
    write_data()
    for name in RUNS:
        write_run(name)
    write_marian()
    attnkit(
        "shortlist", "models/translate", "--source", "data/pairs.en", "--target", "data/pairs.it", "--per-token", "6"
    )
    expected = {}
    for name, (command, *arguments) in USES.items():
        command_line = [command, f"models/{name.split()[0]}", *arguments]
        written = attnkit(*command_line)
        expected[name] = {
            "command": command_line,
            "output": [json.loads(line) for line in written.splitlines()],
        }
    Path("expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
