"""Encoders of T5 make the vectors of transformers' and of sentence-transformers: sentence-T5, GTR."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import complaint, output

import attnkit
from attnkit.interop import convert

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
torch.set_num_threads(1)  # its threads would spin beside ours

from sentence_modules import unit, write_json, write_modules  # noqa: E402
from t5_checkpoint import SHAPES, checkpoint  # noqa: E402

TEXTS = ["A man rides a horse .", "two dogs run", "", "the red house " * 30]


def encoder(folder: Path, **shape: Any) -> Any:
    """An encoder alone, as transformers writes it."""
    whole = checkpoint(folder, **shape)
    kind = "MT5EncoderModel" if shape.get("model_type") == "mt5" else "T5EncoderModel"
    theirs = getattr(transformers, kind).from_pretrained(folder).eval()
    for name in ("model.safetensors", "config.json", "generation_config.json"):
        (folder / name).unlink()
    theirs.save_pretrained(folder)
    del whole
    return theirs.double()


def states(theirs: Any, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = theirs(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_states_are_transformers_own(shape: str, tmp_path: Path) -> None:
    """And so is their mean, where nothing says how a text becomes a vector."""
    theirs = encoder(tmp_path / "hf", **SHAPES[shape])
    convert(tmp_path / "hf", tmp_path / "ours")
    ours = attnkit.load(tmp_path / "ours", task="embed")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "hf" / "tokenizer.json"))
    texts = [tokenizer(text.strip())["input_ids"] for text in TEXTS]
    assert [ours._read(0, text, "").ids for text in TEXTS] == texts
    texts.append(np.random.default_rng(0).integers(5, 200, 200).tolist())  # farther than distances have buckets
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int32)
    expected = [states(theirs, ids) for ids in texts]
    got = ours.model.states(np.concatenate(texts).astype(np.int32), offsets).numpy()
    np.testing.assert_allclose(got, np.concatenate(expected), atol=1e-5)
    np.testing.assert_allclose(ours.embed(TEXTS), [each.mean(axis=0) for each in expected[:4]], atol=1e-5)


def test_sentence_t5s_modules_are_read(tmp_path: Path) -> None:
    """The mean of the states, a projection without a bias, length 1; of a whole T5 too, whose decoder is left out."""
    weight = np.random.default_rng(0).normal(0, 0.3, (10, 16)).astype(np.float32)
    theirs = encoder(tmp_path / "alone", **SHAPES["v1.1"])
    checkpoint(tmp_path / "whole", **SHAPES["v1.1"])
    vectors = []
    for name in ("alone", "whole"):
        dense = [(weight, None, "torch.nn.modules.linear.Identity")]
        write_modules(tmp_path / name, {"pooling_mode_mean_tokens": True}, dense, normalize=True)
        write_json(tmp_path / name / "sentence_bert_config.json", {"max_seq_length": 20})
        left_out = convert(tmp_path / name, tmp_path / f"{name} ours").left_out
        assert any("decoder" in line for line in left_out) == (name == "whole")
        ours = attnkit.load(tmp_path / f"{name} ours", task="embed")
        vectors.append(ours.embed(TEXTS))
    read = [ours._read(0, text, "") for text in TEXTS]
    assert [len(each.ids) for each in read][-1] == 20 and read[-1].truncated
    expected = np.stack([unit(states(theirs, each.ids).mean(axis=0) @ weight.T) for each in read])
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[1])


def test_names_of_one_matrix(tmp_path: Path) -> None:
    """Files of before 2023 have the embeddings by two names; two different matrices are refused."""
    from safetensors.numpy import load_file, save_file

    encoder(tmp_path / "hf", **SHAPES["v1.0"])
    convert(tmp_path / "hf", tmp_path / "one")
    file = tmp_path / "hf" / "model.safetensors"
    tensors = load_file(file)
    [name] = {"shared.weight", "encoder.embed_tokens.weight"} & tensors.keys()
    [other] = {"shared.weight", "encoder.embed_tokens.weight"} - {name}
    save_file(tensors | {other: tensors[name].copy()}, file)
    assert not any("embed" in line for line in convert(tmp_path / "hf", tmp_path / "two").left_out)
    one, two = (attnkit.load(tmp_path / each, task="embed").embed(TEXTS) for each in ("one", "two"))
    np.testing.assert_array_equal(one, two)
    save_file(tensors | {other: tensors[name] + 1}, file)
    assert "to be one, got two" in complaint("convert", tmp_path / "hf", tmp_path / "three")


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_other_precisions_and_the_command(precision: Any, tmp_path: Path) -> None:
    encoder(tmp_path / "hf", **SHAPES["v1.0"])
    output("convert", tmp_path / "hf", tmp_path / "ours")
    whole, less = (attnkit.load(tmp_path / "ours", precision=each).embed(TEXTS[:2]) for each in ("fp32", precision))
    cosines = (unit(whole) * unit(less)).sum(axis=1)
    assert cosines.min() > 0.98 and not np.array_equal(whole, less)
    lines = output("embed", tmp_path / "ours", text="two dogs run\n").splitlines()
    np.testing.assert_allclose(json.loads(lines[0])["vector"], whole[1], atol=1e-6)
    maps = attnkit.load(tmp_path / "ours").attention("two dogs run")
    assert maps["encoder"].weights.shape[:2] == (2, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_kv": 0}, "d_kv"),
        ({"num_heads": 10**9}, "config.json"),
        ({"num_layers": 3}, "block.2"),
        ({"relative_attention_num_buckets": 7}, "relative"),
        ({"feed_forward_proj": "gated-sine"}, "feed_forward_proj"),
    ],
)
def test_a_wrong_configuration_is_one_line(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    encoder(tmp_path / "hf", **SHAPES["v1.0"])
    file = tmp_path / "hf" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert message in complaint("convert", tmp_path / "hf", tmp_path / "ours")
