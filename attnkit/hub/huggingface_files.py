"""Which files of a repository of the Hugging Face Hub are fetched: what conversion reads, and of several forms of the
weights one. Decided by names alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

MODEL_TYPES = (
    "bart",
    "bert",
    "blip",
    "camembert",
    "clip",
    "clip_text_model",
    "clip_vision_model",
    "deit",
    "distilbert",
    "electra",
    "gpt2",
    "m2m_100",
    "marian",
    "mbart",
    "mpnet",
    "mt5",
    "pegasus",
    "roberta",
    "siglip",
    "siglip_text_model",
    "siglip_vision_model",
    "t5",
    "vision-encoder-decoder",
    "vit",
    "xlm-roberta",
)
"""What `model_type` in config.json may be for `attnkit.interop.convert` to read it; others are not fetched."""

SAFETENSORS, CTRANSLATE2, PICKLE, MARIAN = "safetensors", "CTranslate2", "pickle", "Marian"

CONFIG, CARD = "config.json", "README.md"  # the card says the licence

_BESIDE = (
    CONFIG, CARD, "generation_config.json", "tokenizer*.json", "tokenizer*.model", "special_tokens_map.json",
    "added_tokens.json", "*vocab*.json", "*vocab*.txt", "*vocab*.yml", "*.spm", "*.spm.gz", "*.spm.zst",
    "sentencepiece*.model", "spiece.model", "merges.txt", "config*.yml", "decoder.yml", "preprocessor_config.json",
    "processor_config.json", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
)  # fmt: skip
_MODULES = "modules.json"  # of sentence-transformers: what stands behind the encoder, each in a folder of its own

# Of each form the weights, in the order in which forms are preferred.
_FORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (SAFETENSORS, ("model.safetensors",)),
    (SAFETENSORS, ("model.safetensors.index.json", "model-*-of-*.safetensors")),
    (CTRANSLATE2, ("model.bin", "*vocabulary*")),
    (PICKLE, ("pytorch_model.bin",)),
    (PICKLE, ("pytorch_model.bin.index.json", "pytorch_model-*-of-*.bin")),
    (MARIAN, ("model*.bin*", "*vocab*.*")),
    (MARIAN, ("*.npz*", "*vocab*.yml*")),
)
_BESIDE_MARIAN = ("lex*.bin*", "lex*.s2t*")

_NAME = re.compile(r"\w[\w.+-]*", re.ASCII)
_IN_MODULE = re.compile(r"\d{1,2}_[A-Za-z]{1,40}/(?:config\.json|model\.safetensors|pytorch_model\.bin)", re.ASCII)


class Files(NamedTuple):
    """form: of the weights. beside: names of the small files, which say how the weights are to be read; weights."""

    form: str
    beside: tuple[str, ...]
    weights: tuple[str, ...]


def choose(names: Iterable[str]) -> Files | None:
    """What to fetch of the files with these names; None where none are weights that can be read. Files in folders of
    the repository are other forms of the model, but for those of sentence-transformers' modules, and a name that is no
    plain one is nobody's tokenizer."""
    names = set(names)
    plain = sorted(name for name in names if _NAME.fullmatch(name))
    beside = {name for name in plain if _matches(name, _BESIDE)}
    beside |= _of_modules(names) if _MODULES in beside else set()
    for form, patterns in _FORMS:
        found = [{name for name in plain if fnmatchcase(name, pattern)} for pattern in patterns]
        if not all(found) or (form == MARIAN and CONFIG in beside):
            continue
        if form == MARIAN:
            found.append({name for name in plain if _matches(name, _BESIDE_MARIAN)})
        weights = set().union(*found) - beside
        return Files(form, tuple(sorted(beside)), tuple(sorted(weights)))
    return None


def _of_modules(names: set[str]) -> set[str]:
    """The files of the modules, of weights in two forms the safetensors."""
    found = {name for name in names if _IN_MODULE.fullmatch(name)}
    return {
        name
        for name in found
        if not name.endswith(".bin") or f"{name.rpartition('/')[0]}/model.safetensors" not in found
    }


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
