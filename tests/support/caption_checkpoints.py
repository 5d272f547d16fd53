"""Models of transformers that describe images, with random weights, in a folder as their owners write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.vit_checkpoints import SHAPE, write_processor

WORDS = [f"word{number}" for number in range(40)]
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
VOCABULARY = [*SPECIAL, *WORDS]
BOS, PAD, EOS = 0, 1, 2

TROCR = dict(
    vocab_size=len(VOCABULARY), d_model=32, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=48,
    max_position_embeddings=24,
)  # fmt: skip
GPT2 = dict(
    vocab_size=len(VOCABULARY), n_positions=24, n_embd=32, n_layer=2, n_head=4, bos_token_id=EOS, eos_token_id=EOS,
)  # fmt: skip
BLIP_VISION = dict(SHAPE, initializer_range=0.2)
BLIP_TEXT = dict(
    vocab_size=len(VOCABULARY), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=24, bos_token_id=BOS, sep_token_id=EOS, pad_token_id=PAD, eos_token_id=EOS,
)  # fmt: skip


def save_vision_encoder_decoder(
    folder: Path,
    decoder: str,
    encoder: dict[str, Any] | None = None,
    generation: dict[str, Any] | None = None,
    seed: int = 1,
    distilled: bool = False,
    **options: Any,
) -> Any:
    """decoder: "trocr" or "gpt2". options: of its configuration. Returns the model."""
    import torch
    import transformers

    torch.manual_seed(seed)
    kind = transformers.DeiTConfig if distilled else transformers.ViTConfig
    vision = kind(**{**SHAPE, "hidden_size": 32, "num_attention_heads": 4, **(encoder or {})})
    text: Any
    if decoder == "trocr":
        text = transformers.TrOCRConfig(**{**TROCR, **options})
    else:
        text = transformers.GPT2Config(**{**GPT2, **options})
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(vision, text)
    config.decoder_start_token_id, config.eos_token_id, config.pad_token_id = EOS, EOS, PAD
    model = transformers.VisionEncoderDecoderModel(config)
    return _saved(model, folder, generation, {"decoder_start_token_id": EOS, "eos_token_id": EOS, "pad_token_id": PAD})


def save_blip(
    folder: Path,
    generation: dict[str, Any] | None = None,
    seed: int = 1,
    vision: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """options: of the text's configuration. Returns the model."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = transformers.BlipConfig(
        text_config={**BLIP_TEXT, **options}, vision_config={**BLIP_VISION, **(vision or {})}
    )
    model = transformers.BlipForConditionalGeneration(config)
    return _saved(model, folder, generation, {}, lambda: model.text_decoder.cls.predictions.bias[BOS].sub_(20.0))


def _saved(
    model: Any,
    folder: Path,
    generation: dict[str, Any] | None,
    ends: dict[str, Any],
    change: Callable[[], Any] = lambda: None,
) -> Any:
    """With weights that matter: biases, norms and positions that are not what they are at first. `change` is made
    last: a start token that is never written, as in a model that has learnt."""
    import torch

    with torch.no_grad():
        for parameter in model.eval().parameters():
            parameter.add_(0.4 * torch.randn(parameter.shape))
        change()
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps({**ends, **generation}))
    write_processor(folder, SHAPE["image_size"])
    write_tokenizer(folder)
    return model


def write_tokenizer(folder: Path) -> None:
    """Words, with the special tokens of RoBERTa's family before them and around a text."""
    import tokenizers
    from tokenizers import models, pre_tokenizers, processors

    inner = tokenizers.Tokenizer(models.WordLevel({word: n for n, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.add_special_tokens(SPECIAL)
    inner.post_processor = processors.RobertaProcessing(("</s>", EOS), ("<s>", BOS), add_prefix_space=False)
    inner.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"unk_token": "<unk>"}))
