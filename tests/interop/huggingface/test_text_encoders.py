"""Converted text encoders do what transformers' own do: states, guesses, classes, of every family in several shapes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import complaint, output

import attnkit
from attnkit.interop import convert
from attnkit.text.masked_batching import MaskedBatch

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")
torch.set_num_threads(1)  # its threads would spin beside ours

from text_encoders import (  # noqa: E402
    FAMILIES,
    LENGTH,
    SHAPES,
    TEXTS,
    read_ids,
    their_logits,
    their_states,
    write_checkpoint,
)

every_family = pytest.mark.parametrize("family", FAMILIES)
every_shape = pytest.mark.parametrize("shape", SHAPES)


def packed(texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate(texts).astype(np.int32), np.cumsum([0, *map(len, texts)]).astype(np.int32)


def made(folder: Path, *arguments: Any, **options: Any) -> tuple[Any, Any, Any]:
    """transformers' model and tokenizer, and what attnkit makes of their files."""
    theirs, tokenizer = write_checkpoint(folder / "hf", *arguments, **options)
    convert(folder / "hf", folder / "ours")
    return theirs, tokenizer, attnkit.load(folder / "ours")


@every_family
@every_shape
def test_states_are_transformers_own(family: str, shape: str, tmp_path: Path) -> None:
    """Of texts of many lengths that are packed together, and of one as long as the model reads."""
    theirs, tokenizer, ours = made(tmp_path, family, "Model", shape)
    rng = np.random.default_rng(0)
    noise = [rng.integers(5, len(tokenizer), length).tolist() for length in (LENGTH, 1, 7)]
    texts = [*read_ids(tokenizer, TEXTS), *noise]
    states = ours.model.states(*packed(texts)).numpy()
    expected = np.concatenate([their_states(theirs, ids) for ids in texts])
    np.testing.assert_allclose(states, expected, atol=1e-5)


@every_family
def test_a_text_becomes_the_ids_of_transformers(family: str, tmp_path: Path) -> None:
    """What is too long is cut, and the last token stands behind all the same."""
    _, tokenizer, ours = made(tmp_path, family)
    for text in TEXTS:
        read = ours._read(0, text, "")
        [expected] = read_ids(tokenizer, [text])
        assert read.ids == expected
        assert read.truncated == (len(tokenizer(text)["input_ids"]) > LENGTH)


@every_family
@every_shape
def test_logits_of_hidden_tokens_are_transformers_own(family: str, shape: str, tmp_path: Path) -> None:
    theirs, tokenizer, ours = made(tmp_path, family, "ForMaskedLM", shape)
    texts = read_ids(tokenizer, TEXTS)
    ids, offsets = packed(texts)
    places = np.arange(len(ids), dtype=np.int32)
    batch = MaskedBatch(ids, offsets, places, np.zeros_like(ids), np.arange(len(texts), dtype=np.int32))
    expected = np.concatenate([their_logits(theirs, ids) for ids in texts])
    np.testing.assert_allclose(ours.model(batch).numpy(), expected, atol=1e-4)


@every_family
def test_gaps_are_filled_with_the_same_tokens(family: str, tmp_path: Path) -> None:
    """Whatever a gap is called, special tokens left out."""
    theirs, tokenizer, ours = made(tmp_path, family, "ForMaskedLM")
    mask = tokenizer.mask_token
    for text in (f"The {mask} sleeps in{mask} red.", f"{mask} is", f"a man {mask}"):
        ids = tokenizer(text)["input_ids"]
        rows = their_logits(theirs, ids)[np.flatnonzero(np.array(ids) == tokenizer.mask_token_id)]
        rows[:, tokenizer.all_special_ids] = -np.inf
        probabilities = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
        for written in (text, text.replace(mask, "<mask>")):
            gaps = ours.fill(written, top=4).gaps
            assert len(gaps) == len(rows)
            for guesses, row in zip(gaps, probabilities, strict=True):
                best = np.argsort(-row)[:4].tolist()
                assert [guess.token for guess in guesses] == ours.tokenizer.pieces(best)
                np.testing.assert_allclose([guess.probability for guess in guesses], row[best], atol=1e-5)


@every_family
@every_shape
def test_classes_are_transformers_own(family: str, shape: str, tmp_path: Path) -> None:
    labels = {0: "bad", 1: "so-so", 2: "good"}
    theirs, tokenizer, ours = made(tmp_path, family, "ForSequenceClassification", shape, id2label=labels)
    texts = [text for text in TEXTS if text]
    results = ours.classify(texts, top=3, attention=True)
    for text, ids, result in zip(texts, read_ids(tokenizer, texts), results, strict=True):
        logits = their_logits(theirs, ids)
        expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert [label for label, _ in result.top] == [labels[number] for number in np.argsort(-expected)]
        np.testing.assert_allclose([share for _, share in result.top], -np.sort(-expected), atol=1e-5)
        assert result.truncated == (len(tokenizer(text)["input_ids"]) > LENGTH)
        [words] = result.attention.words
        assert len(words) == len(ids) and words.sum() == pytest.approx(1, abs=1e-5)
        assert result.sentences[0][0] == tokenizer.cls_token and result.sentences[0][-1] == tokenizer.sep_token


@every_family
def test_attention_is_transformers_own(family: str, tmp_path: Path) -> None:
    theirs, tokenizer, ours = made(tmp_path, family, "ForMaskedLM")
    theirs.set_attn_implementation("eager")
    text = f"two dogs {tokenizer.mask_token} it"
    ids = tokenizer(text)["input_ids"]
    with torch.no_grad():
        expected = theirs(input_ids=torch.tensor([ids]), output_attentions=True).attentions
    maps = ours.attention(text)
    np.testing.assert_allclose(maps["encoder"].weights, torch.cat(expected).numpy(), atol=1e-6)
    keys = list(maps["encoder"].keys)
    assert (keys[0], keys[-1]) == (tokenizer.cls_token, tokenizer.sep_token) and tokenizer.mask_token in keys


# ----- Files of other versions, and heads of other kinds


@every_family
def test_old_names_and_a_missing_prefix_are_read(family: str, tmp_path: Path) -> None:
    """TensorFlow's names of norms, buffers of positions, no prefix of the model's: files of before 2020."""
    from safetensors.numpy import load_file, save_file

    write_checkpoint(tmp_path / "hf", family)
    tensors = load_file(tmp_path / "hf" / "model.safetensors")
    assert not any(name.startswith(f"{FAMILIES[family].model.lower()}.") for name in tensors)
    expected = converted_states(tmp_path / "hf", tmp_path / "new")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in tensors.items()
    }
    model = FAMILIES[family].model
    prefix = "roberta" if model in ("XLMRoberta", "Camembert") else model.lower()
    old = {f"{prefix}.{name}": tensor for name, tensor in old.items()}
    old[f"{prefix}.embeddings.position_ids"] = np.arange(LENGTH)[None]
    save_file(old, tmp_path / "hf" / "model.safetensors")
    np.testing.assert_array_equal(converted_states(tmp_path / "hf", tmp_path / "old"), expected)


def converted_states(source: Path, directory: Path) -> np.ndarray:
    convert(source, directory)
    ids, offsets = packed([[5, 6, 7], [8, 9]])
    return attnkit.load(directory).model.states(ids, offsets).numpy().copy()


@every_family
def test_an_output_matrix_of_its_own_is_kept(family: str, tmp_path: Path) -> None:
    theirs, tokenizer, ours = made(tmp_path, family, "ForMaskedLM", tie_word_embeddings=False)
    [ids] = read_ids(tokenizer, TEXTS[:1])
    everywhere = np.arange(len(ids), dtype=np.int32)
    arrays = np.array(ids, np.int32), np.array([0, len(ids)], np.int32), everywhere, everywhere
    logits = ours.model(MaskedBatch(*arrays, np.zeros(1, np.int32))).numpy()
    np.testing.assert_allclose(logits, their_logits(theirs, ids), atol=1e-4)
    assert ours.model.tied_output_bias is None and ours.model.generator is not None


def test_bert_is_read_out_of_what_has_more_heads(tmp_path: Path) -> None:
    """BertForPreTraining judges pairs of sentences too; ELECTRA's discriminator has a head that nothing asks."""
    _, tokenizer = write_checkpoint(tmp_path / "hf", "bert", "ForPreTraining")
    converted = convert(tmp_path / "hf", tmp_path / "ours")
    assert attnkit.load(tmp_path / "ours").fill(f"a {tokenizer.mask_token}").gaps
    assert any("is left out" in line for line in converted.left_out)
    write_checkpoint(tmp_path / "electra", "electra", "ForPreTraining")
    convert(tmp_path / "electra", tmp_path / "encoder")
    assert attnkit.load(tmp_path / "encoder").embed(["a man"]).shape == (1, SHAPES["small"][0])


# ----- What the commands do with them


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "distilbert", "mpnet"])
def test_the_commands_take_them(family: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", family, "ForMaskedLM")
    write_checkpoint(tmp_path / "classes", family, "ForSequenceClassification")
    output("convert", tmp_path / "hf", tmp_path / "ours")
    output("convert", tmp_path / "classes", tmp_path / "classifier")
    assert "masked-language-model" in output("inspect", tmp_path / "ours")
    filled = output("generate", tmp_path / "ours", "--prompt", "two dogs <mask> here", "--precision", "int8")
    assert filled.startswith("two dogs") and filled.endswith(" here\n") and "<mask>" not in filled
    page = tmp_path / "it.html"
    output("attention", tmp_path / "ours", "two dogs <mask> here", "-o", page)
    assert page.stat().st_size > 10_000
    output("attention", tmp_path / "classifier", "two dogs", "--layer", "1", "--head", "2", "-o", tmp_path / "it.png")
    label = output("classify", tmp_path / "classifier", "--attention", page, "--precision", "bf16", text="two dogs\n")
    assert label.startswith("LABEL_")
    long = output("classify", tmp_path / "classifier", text="a dog " * LENGTH)
    assert long.startswith("LABEL_")


# ----- What is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": -1}, "hidden_size"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"hidden_size": 3 * 2**40}, "larger model than its tensors"),
        ({"num_hidden_layers": 900}, "larger model than its tensors"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_attention_heads": 5}, "expected a divisor of d_model = 24"),
        ({"intermediate_size": 41}, "of shape [41, 24], got [40, 24]"),
        ({"vocab_size": 3}, "expected at most 3 entries"),
        ({"vocab_size": 10**6}, "larger model than its tensors"),
        ({"max_position_embeddings": 2}, "max_length: expected room"),
        ({"max_position_embeddings": 10**7}, "larger model than its tensors"),
        ({"pad_token_id": 10**9}, "max_length: expected room"),
        ({"hidden_act": "mish"}, "hidden_act"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"is_decoder": True}, "is_decoder"),
        ({"architectures": ["RobertaForQuestionAnswering"]}, "expected an encoder, a masked language model or"),
        ({"architectures": 3, "layer_norm_eps": []}, "layer_norm_eps"),
        ({"model_type": ["roberta"]}, "model_type"),
    ],
)
def test_a_hostile_configuration_is_one_line(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", "roberta", "ForMaskedLM")
    table = json.loads((tmp_path / "hf" / "config.json").read_text()) | changes
    (tmp_path / "hf" / "config.json").write_text(json.dumps(table))
    with pytest.raises(ValueError, match=r"^\[(convert|tokenizer)\] .*") as refused:
        convert(tmp_path / "hf", tmp_path / "ours")
    assert message in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "ours").exists()


def test_tensors_of_another_shape_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    file = tmp_path / "hf" / "model.safetensors"
    write_checkpoint(tmp_path / "hf", "mpnet", "ForMaskedLM")
    tensors = load_file(file)
    bias = "mpnet.encoder.relative_attention_bias.weight"
    for name, tensor in ((bias, None), (bias, np.zeros((32, 4), np.float32)), (bias, np.zeros(0, np.float32))):
        changed = {key: value for key, value in tensors.items() if key != name}
        save_file(changed | ({} if tensor is None else {name: tensor}), file)
        with pytest.raises(ValueError, match="relative_attention_bias"):
            convert(tmp_path / "hf", tmp_path / "ours")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_labels": 1}, "expected at least 2 classes, got 1"),
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, "expected single_label_classification"),
        ({"num_labels": 3, "problem_type": "regression"}, "expected single_label_classification"),
    ],
)
def test_what_gives_no_class_is_one_line(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", "distilbert", "ForSequenceClassification", **changes)
    assert message in complaint("convert", tmp_path / "hf", tmp_path / "ours")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "embedding_size"),
        ("x", "embedding_size"),
        (11, "word_embeddings.weight of shape [98, 11], got [98, 12]"),
        (10**9, "describes a larger model than its tensors"),
    ],
)
def test_a_wrong_width_of_electras_embeddings_is_one_line(size: Any, message: str, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", "electra narrow")
    file = tmp_path / "hf" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"embedding_size": size}))
    assert message in complaint("convert", tmp_path / "hf", tmp_path / "ours")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"model": {"type": "WordPiece"}}', b"\xff\xfe", b"{" * 100_000]
)
def test_a_broken_tokenizer_is_one_line(content: bytes, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", "bert")
    (tmp_path / "hf" / "tokenizer.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json") as refused:
        convert(tmp_path / "hf", tmp_path / "ours")
    assert "\n" not in str(refused.value)


def test_a_folder_without_a_tokenizer_says_what_is_missing(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "hf", "bert")
    shutil.move(tmp_path / "hf" / "tokenizer.json", tmp_path / "elsewhere.json")
    with pytest.raises(FileNotFoundError, match=r"expected tokenizer\.json, vocab\.txt, "):
        convert(tmp_path / "hf", tmp_path / "ours")
