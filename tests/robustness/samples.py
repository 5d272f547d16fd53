"""Sound inputs, of which the cases are made: the models, trainings and data of tests/data/formats."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from attnkit.interop.hf_weights import DECODER_LAYER, ENCODER_LAYER

TESTS = Path(__file__).parent.parent
FORMAT = TESTS / "data" / "formats" / "1"
MODELS = FORMAT / "models"
PICTURE = "data/pictures/red/red-blue.png"

COMMANDS = {
    "caption": ("caption", PICTURE),
    "classify-images": ("classify", PICTURE),
    "classify-images-cnn": ("classify", PICTURE),
    "classify-text": ("classify", "data/review.txt"),
    "classify-text-transformer": ("classify", "data/review.txt"),
    "language-model": ("generate", "--prompt", "the cat", "--max-length", "12"),
    "marian": ("translate", "-i", "data/held.en", "--max-length", "20"),
    "translate": ("translate", "-i", "data/held.en", "--max-length", "20"),
    "translate-languages": ("translate", "--to", "it", "-i", "data/held.en", "--max-length", "20"),
    "translate-recurrent": ("translate", "-i", "data/held.en", "--max-length", "20"),
}


def use(name: str, model: str, *options: str) -> list[str]:
    """The command line that uses the model directory `model`, a copy of the sample `name`."""
    command, *arguments = COMMANDS[name]
    return [command, model, *arguments, *options]


def copy_model(name: str, to: Path) -> Path:
    return Path(shutil.copytree(MODELS / name, to))


def copy_data(folder: Path) -> None:
    shutil.copytree(FORMAT / "data", folder / "data")


def training(name: str) -> str:
    return (FORMAT / "trainings" / f"{name}.toml").read_text("utf-8")


def write_checkpoint(folder: Path, shards: bool = False) -> Path:
    """The public checkpoint that the model `marian` was made of, made again from it, as Hugging Face keeps it."""
    folder.mkdir(parents=True)
    for name in ("source.spm", "target.spm"):
        shutil.copy(MODELS / "marian" / name, folder / name)
    pieces = json.loads((MODELS / "marian" / "vocab.json").read_text("utf-8"))
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces) if piece is not None}))
    config = json.loads((MODELS / "marian" / "config.json").read_text("utf-8"))["model"]
    sides = {
        f"{side}_{key}": value
        for side in ("encoder", "decoder")
        for key, value in (("layers", 2), ("attention_heads", config["heads"]), ("ffn_dim", config["ffn"]))
    }
    settings = {"model_type": "marian", "d_model": 16, "vocab_size": 160, "activation_function": "swish"} | sides
    settings |= {"scale_embedding": True, "max_position_embeddings": 48, "eos_token_id": 0, "forced_eos_token_id": 0}
    settings |= {"pad_token_id": 159, "decoder_start_token_id": 159, "architectures": ["MarianMTModel"]}
    (folder / "config.json").write_text(json.dumps(settings))
    generation = {"bad_words_ids": [[159]], "max_length": 22, "num_beams": 2, "renormalize_logits": True}
    (folder / "generation_config.json").write_text(json.dumps(generation | {"eos_token_id": 0, "pad_token_id": 159}))
    tensors = _tensors(load_file(MODELS / "marian" / "model.safetensors"))
    if not shards:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names = sorted(tensors)
    files = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, some in files.items():
        save_file({name: tensors[name] for name in some}, folder / file)
    index = {"weight_map": {name: file for file, some in files.items() for name in some}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _tensors(ours: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    tensors = {
        "model.shared.weight": ours["source_embedding.weight"],
        "final_logits_bias": ours["tied_output_bias"][None],
    }
    for stack, layer in (("encoder", ENCODER_LAYER), ("decoder", DECODER_LAYER)):
        for index in range(2):
            for name, parts in layer.items():
                for kind in ("weight", "bias"):
                    pieces = np.split(ours[f"{stack}.layers.{index}.{name}.{kind}"], len(parts))
                    tensors |= {
                        f"model.{stack}.layers.{index}.{part}.{kind}": np.ascontiguousarray(piece)
                        for part, piece in zip(parts, pieces, strict=True)
                    }
    return tensors
