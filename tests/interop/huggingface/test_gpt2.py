"""GPT-2 as transformers writes it: the same logits, the same texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit.interop import convert

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

END = "<|endoftext|>"
LINES = ["Once upon a time there was a cat.", "The cat saw a dog, and the dog saw the cat.", "Time goes on: 1, 2, 3."]
SHAPES: list[dict[str, Any]] = [
    {"n_embd": 48, "n_layer": 3, "n_head": 4},
    {"n_embd": 24, "n_layer": 1, "n_head": 2, "n_inner": 40, "activation_function": "relu"},
    {"n_embd": 32, "n_layer": 2, "n_head": 1, "tie_word_embeddings": False, "layer_norm_epsilon": 1e-3},
]


def tokenizer() -> Any:
    """A byte-level BPE of a few lines, as GPT-2's is one of many."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(LINES, trainer)
    return made


def checkpoint(folder: Path, **shape: Any) -> tuple[Any, Any]:
    """A model of random weights and its tokenizer, written to a folder."""
    folder.mkdir()
    cut = tokenizer()
    cut.save(str(folder / "tokenizer.json"))
    size, end = cut.get_vocab_size(), cut.token_to_id(END)
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        vocab_size=size, n_positions=48, bos_token_id=end, eos_token_id=end, initializer_range=0.3, **shape
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    model.save_pretrained(folder)
    return model, cut


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_and_texts_are_those_of_transformers(tmp_path: Path, shape: dict[str, Any]) -> None:
    theirs, cut = checkpoint(tmp_path / "gpt2", **shape)
    assert convert(tmp_path / "gpt2", tmp_path / "model").left_out == []
    ours = attnkit.load(tmp_path / "model", task="language-model")
    end = cut.token_to_id(END)
    for prompt in ("Once upon", "x", " two  spaces\n", "", "a cat … 猫 🐈"):
        ids = cut.encode(prompt).ids or [end]  # transformers begins an empty prompt so
        read = torch.tensor([ids])
        with torch.no_grad():
            expected = theirs(read).logits[0].numpy()
        states = ours.model.states(np.array(ids, np.int32), np.array([0, len(ids)], np.int32))
        assert np.abs(ours.model.logits(states).numpy() - expected).max() < 1e-4
        for beam in (1, 4):
            asked = {"max_length": 30, "num_beams": beam, "do_sample": False, "pad_token_id": end}
            written = theirs.generate(read, attention_mask=torch.ones_like(read), **asked)[0].tolist()
            [result] = ours.generate([prompt], beam=beam, max_length=29, rules="transformers")
            assert result.text == cut.decode(written, skip_special_tokens=True)


def test_what_its_tokens_looked_at(tmp_path: Path) -> None:
    theirs, cut = checkpoint(tmp_path / "gpt2", attn_implementation="eager", **SHAPES[0])
    convert(tmp_path / "gpt2", tmp_path / "model")
    ours = attnkit.load(tmp_path / "model", task="language-model")
    ids = cut.encode(LINES[0]).ids
    with torch.no_grad():
        expected = np.stack(
            [layer[0].numpy() for layer in theirs(torch.tensor([ids]), output_attentions=True).attentions]
        )
    maps = ours.attention(LINES[0])
    assert np.abs(maps["decoder"].weights - expected).max() < 1e-5
    [result] = ours.generate(["Once upon"], max_length=9, attention=True)
    assert result.attention is not None and result.attention.shape == (len(result.tokens), len(result.tokens))
    assert [*result.context, result.tokens[-1]] == [result.context[0], *result.tokens]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions_write_too(tmp_path: Path, precision: Any) -> None:
    checkpoint(tmp_path / "gpt2", **SHAPES[0])
    convert(tmp_path / "gpt2", tmp_path / "model")
    [exact] = attnkit.load(tmp_path / "model", task="language-model").generate(["The cat"], max_length=12)
    [result] = attnkit.load(tmp_path / "model", precision, task="language-model").generate(["The cat"], max_length=12)
    assert result.text.startswith("The cat") and len(result.tokens) == len(exact.tokens)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_head": 5}, "heads: expected a divisor"),
        ({"n_layer": 10**9}, "n_layer"),
        ({"n_layer": 4}, "h.3."),
        ({"n_embd": 2**30, "n_head": 1}, "larger model than its tensors"),
        ({"activation_function": "tanh"}, "activation_function"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"architectures": ["GPT2ForTokenClassification"]}, "GPT2ForTokenClassification"),
        ({"vocab_size": 10}, "at most 10 entries"),
        ({"n_positions": 47}, r"wpe.weight of shape \[47, 48\], got \[48, 48\]"),
    ],
)
def test_a_wrong_configuration_is_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    checkpoint(tmp_path / "gpt2", **SHAPES[0])
    file = tmp_path / "gpt2" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / "gpt2", tmp_path / "model")
    assert not (tmp_path / "model").exists()
