"""Checkpoints of transformers' with random weights, in the sizes of public ones: python -m ... NAME FOLDER.

Speed does not depend on the weights, as long as the same is done whatever they say.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# What differs from transformers' defaults, which are those of google/vit-base-patch16-224.
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "vit-tiny": {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768},
    "vit-small": {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536},
    "vit-base": {},
}
_CLASSES = 1000

# Of the text and of the vision, as in Salesforce/blip-image-captioning-base.
CAPTIONERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {"blip-base": ({"num_attention_heads": 12}, {})}


@contextmanager
def made(name: str, progress: Callable[[str], None] = lambda message: None) -> Iterator[Path]:
    """The folder of a checkpoint of that size, as long as the context lasts. Raises ValueError where what makes it is
    not installed."""
    if missing := [package for package in ("torch", "transformers", "tokenizers") if find_spec(package) is None]:
        raise ValueError(f"[bench] {name} is made by transformers: pip install {' '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        progress(f"making {name} of random weights")
        # In a process of its own: PyTorch's threads and memory are not to be in ours.
        subprocess.run([sys.executable, "-m", "attnkit.benchmark.random_checkpoint", name, folder], check=True)
        yield Path(folder)


def write_vit(folder: Path, **keys: Any) -> None:
    """A classifier with its image processor. keys: of transformers' ViTConfig."""
    import transformers

    config: Any = transformers.ViTConfig(**{"num_labels": _CLASSES, **keys})
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    _write_processor(folder, "ViTImageProcessor", config.image_size)


def write_blip(folder: Path, text: dict[str, Any], vision: dict[str, Any]) -> None:
    """A captioner with its image processor and words w0, w1, ... for a vocabulary. text, vision: keys of BlipTextConfig
    and BlipVisionConfig."""
    import tokenizers
    import transformers

    config: Any = transformers.BlipConfig(text_config=text, vision_config=vision)
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    _write_processor(folder, "BlipImageProcessor", config.vision_config.image_size)
    words = {f"w{number}": number for number in range(config.text_config.vocab_size)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "w0"})


def _write_processor(folder: Path, kind: str, side: int) -> None:
    table = {"image_processor_type": kind, "size": {"height": side, "width": side}}
    _write_json(folder / "preprocessor_config.json", table)


def _write_json(file: Path, table: dict[str, Any]) -> None:
    file.write_text(json.dumps(table), encoding="utf-8")


def main(name: str, folder: str) -> None:
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]
    torch.manual_seed(0)
    if name in CLASSIFIERS:
        write_vit(Path(folder), **CLASSIFIERS[name])
    else:
        write_blip(Path(folder), *CAPTIONERS[name])


if __name__ == "__main__":
    main(*sys.argv[1:])
