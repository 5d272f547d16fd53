"""A model that is in use, and somebody writes over its file in place: what runs goes on, to the same results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from text_runs import classify_toml, language_model_toml
from training_images import caption_task, classify_task
from training_runs import FEW_PAIRS, tiny

from attnkit.tasks.config_file import read_config
from attnkit.tasks.run import train

# In a process of its own: to read what is not in the file any more would end it by SIGBUS.
CODE = """
import os, shutil, sys, attnkit
from attnkit.tasks.translate import shortlist_source

def run(model):
    if hasattr(model, "translate"):
        lines = ["the cat is on the table"] * 3
        short = shortlist_source.build(model, lines, ["il gatto"] * 3, 5)
        texts = [each.text for beam in (1, 3) for each in model.translate(lines, beam=beam)]
        return texts + [each.text for each in model.translate(lines, shortlist=short, attention=True)]
    if hasattr(model, "caption"):
        return [each.text for each in model.caption([sys.argv[3]], attention=True)]
    if hasattr(model, "generate"):
        return [each.text for each in model.generate(["a film"], max_length=9, attention=True)]
    return [each.top for each in model.classify([sys.argv[3]] if model.READS == "images" else ["a film . it was"])]

for precision in ("fp32", "bf16", "int8"):
    folder = shutil.copytree(sys.argv[1], os.path.join(sys.argv[2], precision))
    model = attnkit.load(folder, precision=precision)
    model.READS = sys.argv[4]
    os.truncate(os.path.join(folder, "model.safetensors"), 0)
    cut = run(model)
    whole = attnkit.load(sys.argv[1], precision=precision)
    whole.READS = sys.argv[4]
    assert cut == run(whole) and cut, (precision, cut)
"""


def recurrent_toml(folder: Path) -> Path:
    path = folder / "recurrent.toml"
    path.write_text(
        f'{FEW_PAIRS}[model]\ntype = "recurrent"\nembedding_size = 8\nhidden_size = 8\nencoder_size = 8\n'
        "[training]\nmax_steps = 1\nbatch_tokens = 160\n[decoding]\nbleu = false\n"
    )
    return path


@pytest.mark.parametrize("kind", ["transformer", "recurrent", "language model", "han", "images", "captioner"])
def test_a_loaded_model_outlives_its_file(tmp_path: Path, kind: str) -> None:
    few = ("training.max_steps=1", "training.final=last")
    config = {
        "transformer": lambda: tiny(tmp_path, "decoding.bleu=false", *few),
        "recurrent": lambda: read_config(recurrent_toml(tmp_path), few),
        "language model": lambda: read_config(language_model_toml(tmp_path), few),
        "han": lambda: read_config(classify_toml(tmp_path), few),
        "images": lambda: read_config(classify_task(tmp_path), ("training.schedule=constant", *few)),
        "captioner": lambda: read_config(caption_task(tmp_path), ("training.schedule=constant", *few)),
    }[kind]()
    train(config, tmp_path / "run", progress="none")
    picture = str(sorted(tmp_path.rglob("*.png"))[0]) if kind in ("images", "captioner") else ""
    reads = "images" if kind == "images" else "text"
    (tmp_path / "cut").mkdir()
    arguments = [str(tmp_path / "run"), str(tmp_path / "cut"), picture, reads]
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr.decode())


def test_a_command_that_reads_a_file_cut_meanwhile_says_so(tmp_path: Path) -> None:
    """While weights are being read nothing else can be done about it."""
    (tmp_path / "weights").write_bytes(bytes(1 << 20))
    code = (
        "import mmap, os, sys\n"
        "from attnkit.cli.shared import errors\n"
        "def command():\n"
        "    file = open(sys.argv[1], 'r+b')\n"
        "    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)\n"
        "    os.ftruncate(file.fileno(), 0)\n"
        "    print(mapped[1 << 19])\n"
        "sys.exit(errors.status_of(command))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "weights"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == "attnkit: a file of weights was cut while it was read; start again once it is whole\n"
