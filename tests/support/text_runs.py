"""Small classification and language-model runs that several test files use."""

from __future__ import annotations

import json
import random
from pathlib import Path

GOOD, BAD = ["good", "great", "fine"], ["bad", "dull", "weak"]
OTHERS = ["the", "film", "plot", "was", "a", "very", "and"]

MODELS = {
    "han": 'type = "han"\nembedding = 12\nword_hidden = 8\nsentence_hidden = 8\ndropout = 0.1',
    "transformer-classifier": 'type = "transformer-classifier"\nd_model = 16\nffn = 24\nheads = 2\nlayers = 1',
}

TRAINING = """
[training]
max_steps = 12
batch_tokens = 160
learning_rate = 0.02
warmup_steps = 2
label_smoothing = 0.0
log_every = 3
validate_unit = "steps"
validate_every = 4
"""


def reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Texts of one or two sentences in which one word decides the label."""
    rng = random.Random(seed)
    examples = []
    for _ in range(count):
        label = rng.choice(["neg", "pos"])
        sentences = [[rng.choice(OTHERS) for _ in range(rng.randint(1, 5))] for _ in range(rng.randint(1, 2))]
        words = rng.choice(sentences)
        words.insert(rng.randrange(len(words) + 1), rng.choice(GOOD if label == "pos" else BAD))
        examples.append((" ".join(" ".join(sentence) + "." for sentence in sentences), label))
    return examples


def write_jsonl(path: Path, examples: list[tuple[str, str]]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in examples))
    return path


def classify_toml(folder: Path, model: str = "han", count: int = 60, data: str = "") -> Path:
    """A run on reviews; its data is beside it."""
    train = write_jsonl(folder / "train.jsonl", reviews(count))
    test = write_jsonl(folder / "test.jsonl", reviews(20, seed=1))
    path = folder / "classify.toml"
    path.write_text(
        f'task = "classify"\n[data]\ntrain = "{train}"\nvalidation_share = 0.2\ntest = "{test}"\n{data}\n'
        f'[tokenizer]\nkind = "wordpunct"\n[model]\n{MODELS[model]}\n{TRAINING}metric = "accuracy"\n'
    )
    return path


LINES = ["the cat sees a dog", "the dog sees a cat", "a bird sings", "the bird sees the house"]


def language_model_toml(folder: Path) -> Path:
    """A run on four lines; its data is beside it."""
    (folder / "lines.txt").write_text("".join(f"{line}\n" for line in LINES * 4) + "\n")
    path = folder / "lm.toml"
    files = f'["{folder / "lines.txt"}"]'
    path.write_text(
        f'task = "language-model"\n[data]\ntrain = {files}\nvalidation = {files}\ntest = {files}\nmax_length = 20\n'
        '[tokenizer]\nkind = "word"\n[model]\ntype = "decoder-only"\nd_model = 16\nffn = 24\nheads = 2\nlayers = 1\n'
        f"dropout = 0.0\nmax_length = 24\n{TRAINING}"
    )
    return path


def masked_toml(folder: Path, task: str = "masked-language-model") -> Path:
    """A run on the texts of reviews, as JSON lines beside it; or, of the same stack, a language model's."""
    train = write_jsonl(folder / "texts.jsonl", reviews(150))
    held_out = write_jsonl(folder / "held-out.jsonl", reviews(20, seed=1))
    model, more = "encoder-only", 'metric = "accuracy"\n'
    if task == "language-model":
        model, more = "decoder-only", ""
    path = folder / "masked.toml"
    path.write_text(
        f'task = "{task}"\n[data]\ntrain = ["{train}"]\nvalidation = ["{held_out}"]\ntest = ["{held_out}"]\n'
        f'text_key = "text"\nmax_length = 20\nsplit_long = true\n[tokenizer]\nkind = "wordpunct"\n[model]\n'
        f'type = "{model}"\nd_model = 16\nffn = 24\nheads = 2\nlayers = 1\ndropout = 0.1\nmax_length = 24\n'
        f"{TRAINING}{more}"
    )
    return path


def pretrained_toml(folder: Path, model: Path, more: str = "") -> Path:
    """A classifier of reviews that begins with a language model; its data is beside it."""
    path = classify_toml(folder, count=200)
    text = path.read_text("utf-8")
    head, _, training = text.partition("[tokenizer]")
    path.write_text(f'{head}[pretrained]\nmodel = "{model}"\n{more}\n[training]{training.partition("[training]")[2]}')
    return path
