"""Small image tasks that several test files use: pictures of two colours, learnt in seconds."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (40, 60, 220), "grey": (128, 128, 128)}

CNN = 'type = "cnn"\nwidths = [12]\nblocks = 1\nstem = "patch"'
VIT = 'type = "vit"\nimage_size = 8\npatch_size = 4\nd_model = 16\nlayers = 1\nheads = 2\nffn = 32'
GLIMPSE = 'type = "glimpse"\nsize = 4\nscales = 2\nglimpses = 2\nwidth = 24\nhidden = 24'
LSTM = 'type = "lstm"\nwidth = 16\nhidden = 24\ndropout = 0.0'
TRANSFORMER = 'type = "transformer"\nlayers = 1\nwidth = 16\nheads = 2\nffn = 32\ndropout = 0.0\nmax_length = 12'


def write_pictures(folder: Path) -> list[tuple[str, str, str]]:
    """Sixteen pictures, FOLDER/LABEL/NAME.png: the colour of the left half is the label. → (file, caption, label)."""
    rows = []
    for left, one in COLOURS.items():
        for right, other in COLOURS.items():
            picture = Image.new("RGB", (8, 8), one)
            picture.paste(other, (4, 0, 8, 8))
            path = folder / left / f"{left}-{right}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
            caption = f"{left} beside {right}" if left != right else f"all {left}"
            rows.append((f"{left}/{path.name}", caption, left))
    return rows


def caption_task(folder: Path, encoder: str = CNN, decoder: str = LSTM, extra: str = "") -> Path:
    """A TOML file for captioning the pictures; its data is beside it."""
    rows = write_pictures(folder / "pictures")
    lines = [json.dumps({"image": name, "caption": caption}) + "\n" for name, caption, _ in rows]
    (folder / "pictures" / "list.jsonl").write_text("".join(lines))
    path = folder / "caption.toml"
    path.write_text(
        f"""
task = "caption"
[data]
format = "list"
root = "{folder}"
train = ["pictures/list.jsonl"]
validation = ["pictures/list.jsonl"]
[image]
size = 8
[model]
type = "captioner"
[model.encoder]
{encoder}
[model.decoder]
{decoder}
[training]
max_steps = 120
batch_images = 8
learning_rate = 0.01
schedule = "cosine"
warmup_steps = 10
label_smoothing = 0.0
validate_every = 60
validate_unit = "steps"
{extra}
"""
    )
    return path


def classify_task(folder: Path, model: str = CNN, extra: str = "") -> Path:
    """A TOML file for naming the colour of the left half; its data is beside it."""
    write_pictures(folder / "pictures")
    path = folder / "classify.toml"
    path.write_text(
        f"""
task = "classify"
[data]
root = "{folder}"
train = ["pictures"]
validation = ["pictures"]
test = ["pictures"]
[image]
size = 8
[model]
{model}
[training]
max_steps = 60
batch_images = 8
learning_rate = 0.01
schedule = "cosine"
warmup_steps = 10
label_smoothing = 0.0
validate_every = 30
validate_unit = "steps"
{extra}
"""
    )
    return path
