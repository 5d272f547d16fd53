"""Converted T5s do what transformers' own do: states, logits, token ids of searches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marian_checkpoint import lines
from seq2seq_checkpoint import ENTRIES, write_tokenizer

import attnkit
from attnkit.decoding import DecodingOptions, Packed, decode
from attnkit.interop import convert

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
torch.set_num_threads(1)  # its threads would spin beside ours

SHAPES: dict[str, dict[str, Any]] = {
    "v1.0": dict(num_layers=2, d_kv=8, num_heads=2),
    "wide heads": dict(num_layers=2, d_kv=10, num_heads=3, relative_attention_num_buckets=8),
    "deep encoder": dict(num_layers=3, num_decoder_layers=1, d_kv=8, num_heads=2, feed_forward_proj="gelu"),
    "v1.1": dict(
        num_layers=2, d_kv=8, num_heads=2, feed_forward_proj="gated-gelu", tie_word_embeddings=False,
        relative_attention_max_distance=20,
    ),
}  # fmt: skip


def checkpoint(folder: Path, **shape: Any) -> Any:
    """A model of random weights, written to a folder with a tokenizer of unigrams."""
    keys = dict(vocab_size=ENTRIES, d_model=16, d_ff=32, eos_token_id=1, pad_token_id=0, decoder_start_token_id=0)
    torch.manual_seed(3)
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**(keys | shape))).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "layer_norm" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
            else:
                parameter.copy_(torch.randn_like(parameter) * (1.0 if "bias" in name or "shared" in name else 0.25))
        if shape.get("tie_word_embeddings") is False:  # as before transformers 5, and as FLAN-T5 is kept
            model.lm_head.weight = torch.nn.Parameter(0.3 * torch.randn(ENTRIES, 16))
            model.config.tie_word_embeddings = False
    model.generation_config.max_length = 24
    model.save_pretrained(folder)
    write_tokenizer(folder, "pegasus")
    return model


@pytest.fixture(scope="module", params=list(SHAPES))
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("t5")
    theirs = checkpoint(folder / "hf", **SHAPES[request.param])
    assert convert(folder / "hf", folder / "ours").left_out == []
    return theirs, attnkit.load(folder / "ours", task="summarize")


def sources(ours: Any) -> list[list[int]]:
    """Texts, and noise longer than the distances that have buckets of their own."""
    rng = np.random.default_rng(0)
    return [ours._read(0, line).ids for line in lines("source")[:6]] + [
        [*rng.integers(5, 200, length).tolist(), 1] for length in (1, 5, 40, 90)
    ]


def test_states_and_logits(pair: tuple[Any, Any]) -> None:
    theirs, ours = pair
    rng = np.random.default_rng(0)
    for ids in sources(ours):
        target = np.array([0, *rng.integers(5, 200, 30)], np.int32)
        offsets, target_offsets = np.array([0, len(ids)], np.int32), np.array([0, len(target)], np.int32)
        memory = ours.model.encode(np.asarray(ids, np.int32), offsets)
        logits = ours.model.logits(ours.model.decode(target, target_offsets, memory, offsets)).numpy()
        with torch.no_grad():
            output = theirs(torch.tensor([ids]), decoder_input_ids=torch.tensor([target.tolist()]))
        assert np.abs(memory.numpy() - output.encoder_last_hidden_state[0].numpy()).max() < 1e-5
        assert np.abs(logits - output.logits[0].numpy()).max() < 1e-4


@pytest.mark.parametrize("beam", [1, 4])
def test_token_ids(pair: tuple[Any, Any], beam: int) -> None:
    theirs, ours = pair
    ids = sources(ours)
    longest = max(map(len, ids))
    padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids])
    seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    with torch.no_grad():
        rows = theirs.generate(padded, attention_mask=seen, num_beams=beam).tolist()
    expected = [row[1 : row.index(1)] if 1 in row else row[1:] for row in rows]
    options = DecodingOptions(**ours._defaults.merge({"beam": beam}))
    found = decode(ours.model, Packed.of(ids), options, suppress=ours._suppress)
    got = [hypotheses[0].tokens.tolist() for hypotheses in found]
    # An output that is cut ends one token later there, which is the padding of a batch otherwise.
    assert [row[: len(other)] for row, other in zip(expected, got, strict=True)] == got
    assert all(len(row) - len(other) in (0, 1) for row, other in zip(expected, got, strict=True))
    assert len({tuple(row) for row in got}) > 3


def test_what_it_looks_at(tmp_path: Path) -> None:
    theirs = checkpoint(tmp_path / "hf", **SHAPES["v1.0"])
    theirs.set_attn_implementation("eager")
    convert(tmp_path / "hf", tmp_path / "ours")
    ours = attnkit.load(tmp_path / "ours", task="summarize")
    text = lines("source")[0]
    maps = ours.attention(text)
    with torch.no_grad():
        output = theirs.encoder(torch.tensor([ours._read(0, text).ids]), output_attentions=True)
    expected = np.stack([layer[0].numpy() for layer in output.attentions])
    assert np.abs(maps["encoder"].weights - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feed_forward_proj": "swiglu"}, "feed_forward_proj"),
        ({"relative_attention_num_buckets": 2**20}, "relative_attention_num_buckets"),
        ({"relative_attention_num_buckets": 32, "relative_attention_max_distance": 4}, "relative_buckets: expected 0"),
        ({"num_layers": 10**7}, "num_layers"),
        ({"num_layers": 3}, "block.2."),
        ({"d_kv": 2**40}, "larger model than its tensors"),
        ({"architectures": ["T5ForQuestionAnswering"]}, "T5ForQuestionAnswering"),
        ({"task_specific_params": 3}, "task_specific_params"),
        ({"eos_token_id": "x"}, "eos_token_id"),
    ],
)
def test_a_wrong_configuration_is_one_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    checkpoint(tmp_path / "hf", **SHAPES["v1.0"])
    file = tmp_path / "hf" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / "hf", tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
