"""Every family by the `model_type` of config.json, a line each: who converts it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from attnkit.interop.hf_config import CONFIG_FILE, read_table
from attnkit.printable import quoted

FAMILIES = {
    "bart": "attnkit.interop.huggingface.bart:convert_bart",
    "bert": "attnkit.interop.huggingface.bert:convert_bert",
    "blip": "attnkit.interop.huggingface.blip:convert_blip",
    "camembert": "attnkit.interop.huggingface.roberta:convert_roberta",
    "clip": "attnkit.interop.huggingface.clip:convert_clip",
    "clip_text_model": "attnkit.interop.huggingface.clip:convert_clip_text_model",
    "clip_vision_model": "attnkit.interop.huggingface.clip:convert_clip_vision_model",
    "deit": "attnkit.interop.huggingface.vit:convert_vit",
    "distilbert": "attnkit.interop.huggingface.distilbert:convert_distilbert",
    "electra": "attnkit.interop.huggingface.electra:convert_electra",
    "gpt2": "attnkit.interop.huggingface.gpt2:convert_gpt2",
    "m2m_100": "attnkit.interop.m2m:convert_m2m",
    "marian": "attnkit.interop.marian:convert_marian",
    "mbart": "attnkit.interop.huggingface.mbart:convert_mbart",
    "mpnet": "attnkit.interop.huggingface.mpnet:convert_mpnet",
    "mt5": "attnkit.interop.huggingface.t5:convert_t5",
    "nllb-moe": "attnkit.interop.m2m:convert_m2m",  # which says what is missing
    "pegasus": "attnkit.interop.huggingface.pegasus:convert_pegasus",
    "roberta": "attnkit.interop.huggingface.roberta:convert_roberta",
    "siglip": "attnkit.interop.huggingface.siglip:convert_siglip",
    "siglip_text_model": "attnkit.interop.huggingface.siglip:convert_siglip_text_model",
    "siglip_vision_model": "attnkit.interop.huggingface.siglip:convert_siglip_vision_model",
    "t5": "attnkit.interop.huggingface.t5:convert_t5",
    "timm": "attnkit.interop.huggingface.timm:convert_timm",
    "vision-encoder-decoder": "attnkit.interop.huggingface.vision_encoder_decoder:convert_vision_encoder_decoder",
    "vit": "attnkit.interop.huggingface.vit:convert_vit",
    "xlm-roberta": "attnkit.interop.huggingface.roberta:convert_roberta",
}
"""The "module:function" of each `model_type`; the module is imported when a model of it is converted. Timm's files say
none, but an `architecture`."""


def find_family(folder: Path) -> Callable[..., Any]:
    """What converts the checkpoint in a folder. Raises FileNotFoundError, or ValueError for a family that none does."""
    file = folder / CONFIG_FILE
    table = read_table(file)
    model_type = table.get("model_type", "timm" if "architecture" in table else None)
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise ValueError(f"[convert] {file}: expected a model_type of {known}; got {quoted(model_type)}")
    module, _, name = FAMILIES[model_type].partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
