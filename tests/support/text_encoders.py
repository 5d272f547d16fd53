"""Checkpoints of transformers' text encoders with random weights, each with a tokenizer of its family's kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from marian_checkpoint import lines


class Family(NamedTuple):
    """model: what its classes begin with. kind: of its tokenizer. first: its first position, counted as its table does.
    names: of the sizes in its configuration, width, ffn, heads, layers, activation."""

    model: str
    kind: str
    first: int = 0
    names: tuple[str, ...] = (
        "hidden_size",
        "intermediate_size",
        "num_attention_heads",
        "num_hidden_layers",
        "hidden_act",
    )
    more: dict[str, Any] = {}  # noqa: RUF012


FAMILIES = {
    "bert": Family("Bert", "wordpiece"),
    "roberta": Family("Roberta", "bytes", 2, more={"type_vocab_size": 1}),
    "xlm-roberta": Family("XLMRoberta", "unigram", 2, more={"type_vocab_size": 1}),
    "camembert": Family("Camembert", "unigram", 2, more={"type_vocab_size": 1}),
    "distilbert": Family("DistilBert", "wordpiece", 0, ("dim", "hidden_dim", "n_heads", "n_layers", "activation")),
    "mpnet": Family("MPNet", "wordpiece of mpnet", 2),
    "electra": Family("Electra", "wordpiece"),
    "electra narrow": Family("Electra", "wordpiece", more={"embedding_size": 12}),
}
SHAPES: dict[str, tuple[Any, ...]] = {
    "small": (24, 40, 3, 2, "gelu"),
    "relu": (16, 64, 4, 1, "relu"),
    "deep": (8, 8, 1, 4, "gelu_new"),
}
LENGTH = 40
"""The longest text of these models in tokens, special ones counted."""

TEXTS = [
    "The animal didn't cross the street because it was too tired.",
    "two dogs run",
    "",
    "A man (in red) sleeps , naïvely 漢字 😀",
    "a  man\tin\n\nred ." + " a" * 50,
]


def write_tokenizer(folder: Path, kind: str) -> Any:
    """Its files, as transformers writes them; returns transformers'."""
    tokenizer = {
        "wordpiece": _wordpiece,
        "wordpiece of mpnet": _wordpiece,
        "bytes": _bytes,
        "unigram": _unigram,
    }[kind](kind)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _wordpiece(kind: str) -> Any:
    import transformers

    mpnet = kind.endswith("mpnet")
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"] if mpnet else ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    text = " ".join(lines("source")).lower()
    letters = sorted({letter for letter in text if letter.isalpha()} | set(".,'()"))
    words = sorted(set(text.split()))[:60:2]
    pieces = [*letters, *(f"##{letter}" for letter in letters), "##ing", "##es", *(w for w in words if w.isalpha())]
    entries = {piece: number for number, piece in enumerate(dict.fromkeys([*special, *pieces]))}
    return (transformers.MPNetTokenizer if mpnet else transformers.BertTokenizer)(vocab=entries)


def _bytes(kind: str) -> Any:
    import tokenizers
    import transformers

    inner = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    inner.train_from_iterator(lines("source"), vocab_size=340, special_tokens=special, show_progress=False)
    import json

    model = json.loads(inner.to_str())["model"]
    return transformers.RobertaTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])


def _unigram(kind: str) -> Any:
    import json

    import tokenizers
    import transformers

    inner = tokenizers.Tokenizer(tokenizers.models.Unigram())
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    inner.train_from_iterator(lines("source"), trainer)
    vocabulary = [tuple(pair) for pair in json.loads(inner.to_str())["model"]["vocab"]]
    return transformers.XLMRobertaTokenizer(vocab=[*vocabulary, ("<mask>", 0.0)])


def write_checkpoint(
    folder: Path, family: str, head: str = "Model", shape: str = "small", seed: int = 1, **more: Any
) -> tuple[Any, Any]:
    """A model, its class being that of the family with `head`, and its tokenizer; returns both of transformers."""
    import torch
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    model, kind, first, names, own = FAMILIES[family]
    tokenizer = write_tokenizer(folder, kind)
    width, *_ = SHAPES[shape]
    keys = dict(zip(names, SHAPES[shape], strict=True)) | own | more
    keys = ({"embedding_size": width} if model == "Electra" else {}) | keys
    keys |= {"vocab_size": len(tokenizer), "max_position_embeddings": LENGTH + first}
    torch.manual_seed(seed)
    theirs = getattr(transformers, f"{model}{head}")(getattr(transformers, f"{model}Config")(**keys)).eval()
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            # So far from where they begin that all of them matter.
            parameter.normal_(1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0, 0.3)
    theirs.save_pretrained(folder)
    return theirs.double(), tokenizer


def read_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """As the model reads them; texts that are too long are cut as transformers does it, the last token kept."""
    return [tokenizer(text, truncation=True, max_length=LENGTH)["input_ids"] for text in texts]


def their_states(theirs: Any, ids: list[int]) -> npt.NDArray[np.float64]:
    """The last states of one text, in float64: [n, width]."""
    import torch

    with torch.no_grad():
        base = getattr(theirs, theirs.base_model_prefix, theirs)
        states: npt.NDArray[np.float64] = base(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()
    return states


def their_logits(theirs: Any, ids: list[int]) -> npt.NDArray[np.float64]:
    """What the head gives of one text, in float64."""
    import torch

    with torch.no_grad():
        logits: npt.NDArray[np.float64] = theirs(input_ids=torch.tensor([ids])).logits[0].numpy()
    return logits
