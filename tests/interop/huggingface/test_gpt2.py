"""GPT-2 as transformers writes it: the same logits, the same texts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import complaint, output

import attnkit
from attnkit.interop import convert
from attnkit.training import ConfigError, read_config, train

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


def write_generation(folder: Path, **settings: Any) -> None:
    (folder / "generation_config.json").write_text(json.dumps(settings))


SEARCHES = [
    {},
    {"no_repeat_ngram_size": 2},
    {"repetition_penalty": 1.4},
    {"min_length": 20, "no_repeat_ngram_size": 3, "num_beams": 3},
    {"num_beams": 4},
    {"num_beams": 3, "length_penalty": 2.0, "renormalize_logits": True},
    {"num_beams": 3, "early_stopping": True},
    {"num_beams": 3, "early_stopping": "never", "length_penalty": 2.0},
    {"num_beams": 3, "forced_eos_token_id": 0, "length_penalty": 0.5},
]


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_that_the_checkpoint_asks_for(tmp_path: Path, search: dict[str, Any]) -> None:
    """Some texts end by themselves, for the end token is likely; prompts of any length are no part of a score."""
    theirs, cut = checkpoint(tmp_path / "gpt2", **SHAPES[0])
    end = cut.token_to_id(END)
    with torch.no_grad():
        row = theirs.lm_head.weight[end]
        theirs.transformer.ln_f.bias += 0.3 * row / row.norm()
    theirs.save_pretrained(tmp_path / "gpt2")
    write_generation(tmp_path / "gpt2", eos_token_id=end, max_length=40, **search)
    assert convert(tmp_path / "gpt2", tmp_path / "model").left_out == []
    ours = attnkit.load(tmp_path / "model", task="language-model")
    prompts = ["T", "The cat saw a dog, the dog", "", "On"]
    results = ours.generate(prompts, batch_tokens=100)
    for prompt, result in zip(prompts, results, strict=True):
        read = torch.tensor([cut.encode(prompt).ids or [end]])
        asked = {"max_length": 40, "do_sample": False, "pad_token_id": end, **search}
        written = theirs.generate(read, attention_mask=torch.ones_like(read), **asked)[0].tolist()
        assert result.text == cut.decode(written, skip_special_tokens=True)


def test_samples_where_the_checkpoint_samples(tmp_path: Path) -> None:
    """What a pipeline of transformers takes: the settings of the task in config.json, and 50 as top_k."""
    checkpoint(tmp_path / "gpt2", **SHAPES[0])
    file = tmp_path / "gpt2" / "config.json"
    task = {"text-generation": {"do_sample": True, "max_length": 12, "min_p": 0.1, "max_new_tokens": 3}}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"task_specific_params": task}))
    (tmp_path / "gpt2" / "generation_config.json").unlink()
    left_out = convert(tmp_path / "gpt2", tmp_path / "model").left_out
    assert ["max_new_tokens = 3 is" in line or "min_p = 0.1 is" in line for line in left_out] == [True, True]
    ours = attnkit.load(tmp_path / "model", task="language-model")

    def texts(**search: Any) -> list[str]:
        return [result.text for result in ours.generate(["The cat"] * 3, **search)]

    assert json.loads((tmp_path / "model" / "config.json").read_text())["decoding"]["top_k"] == 50
    assert texts() == texts(sample=True, top_k=50, max_length=11) != texts(seed=1)
    assert texts(beam=1) == texts(sample=False) and len(set(texts(beam=1))) == 1 < len(set(texts()))
    assert texts(beam=2) and texts(top_k=1) == texts(beam=1)
    with pytest.raises(ValueError, match="at most 12 tokens in line 1, got 13, where max_length is 11"):
        ours.generate(["x" * 13])
    assert ours.generate(["x" * 13], max_length=None)[0].text.startswith("x" * 13)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eos_token_id": [0, 1]}, "eos_token_id: expected one token"),
        ({"temperature": 0.0}, "temperature"),
        ({"top_k": -1}, "top_k"),
        ({"do_sample": "yes"}, "do_sample"),
        ({"bad_words_ids": [[10**6]]}, "bad_words_ids: expected ids below"),
        ({"min_length": 10**6}, "min_length: expected no more"),
        ({"eos_token_id": 10**6}, "eos_token_id: expected an id below"),
    ],
)
def test_a_wrong_search_is_one_line(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    checkpoint(tmp_path / "gpt2", **SHAPES[0])
    write_generation(tmp_path / "gpt2", **settings)
    with pytest.raises(ValueError, match=message) as refused:
        convert(tmp_path / "gpt2", tmp_path / "model")
    assert "\n" not in str(refused.value) and not (tmp_path / "model").exists()


def test_prompts_of_any_length_are_continued_alike_alone_and_together(tmp_path: Path) -> None:
    checkpoint(tmp_path / "gpt2", **SHAPES[0])
    convert(tmp_path / "gpt2", tmp_path / "model")
    ours = attnkit.load(tmp_path / "model", task="language-model")
    prompts = ["The cat saw a dog", "", "x", "The cat ", " Time", "猫"]
    for search in ({"beam": 3}, {"sample": True, "seed": 2, "top_p": 0.9}):
        together = ours.generate(prompts, max_length=30, attention=True, **search)
        alone = ours.generate(prompts, max_length=30, attention=True, batch_tokens=1, **search)
        stream = list(ours.generate_stream(iter(prompts), max_length=30, window=2, **search))
        for prompt, one, two, three in zip(prompts, together, alone, stream, strict=True):
            assert one.text == two.text == three.text and one.text.startswith(prompt)
            assert one.tokens == two.tokens and np.array_equal(one.attention, two.attention)


def test_tokens_are_shown_as_text(tmp_path: Path) -> None:
    _, cut = checkpoint(tmp_path / "gpt2", **SHAPES[0])
    convert(tmp_path / "gpt2", tmp_path / "model")
    ours = attnkit.load(tmp_path / "model", task="language-model")
    text = " The cat saw 猫."
    assert "".join(ours.attention(text)["decoder"].queries)[:12] == "▁The▁cat▁saw"
    assert ours.tokenizer.decode(cut.encode(text).ids) == text
    assert (
        ours.tokenizer.continuation(cut.encode("The cat").ids, 1)
        == "The cat"[len(cut.decode(cut.encode("The cat").ids[:1])) :]
    )


def test_the_perplexity_of_a_text_is_that_of_torch(tmp_path: Path) -> None:
    theirs, cut = checkpoint(tmp_path / "gpt2", **SHAPES[0])
    convert(tmp_path / "gpt2", tmp_path / "model")
    texts = [*LINES, "x", "", " ".join(LINES * 3)]
    total, tokens = 0.0, 0
    for text in texts:
        ids = cut.encode(text).ids
        for begin in range(0, len(ids) - 1, 48):  # as many as it reads; the last of each part is only foretold
            read = torch.tensor([ids[begin : begin + 48]])
            labels = torch.tensor(ids[begin + 1 : begin + 49])
            with torch.no_grad():
                logits = theirs(read).logits[0][: len(labels)]
            total += torch.nn.functional.cross_entropy(logits.double(), labels, reduction="sum").item()
            tokens += len(labels)
    found = attnkit.load(tmp_path / "model", task="language-model").perplexity(texts)
    assert found.loss == pytest.approx(total / tokens, rel=1e-5) and (found.tokens, found.cut) == (tokens, 1)
    (tmp_path / "texts").write_text("\n".join(texts) + "\n")
    said = json.loads(output("evaluate", tmp_path / "model", "--source", tmp_path / "texts", "--json"))
    assert said["perplexity"] == pytest.approx(np.exp(total / tokens), rel=1e-4) and said["texts"] == 4
    assert "--beam is for models that translate" in complaint(
        "evaluate", tmp_path / "model", "--source", tmp_path / "texts", "--beam", "2", status=2
    )


TUNING = """
task = "language-model"
[data]
train = ["{0}/texts"]
validation = ["{0}/texts"]
max_length = 40
[pretrained]
model = "{0}/model"
dropout = 0.0
[training]
max_steps = 40
learning_rate = 0.003
warmup_steps = 2
validate_every = 20
batch_tokens = 200
"""


def test_it_goes_on_learning(tmp_path: Path) -> None:
    """As the others do, with its end token before each text: what training measures is what `evaluate` says."""
    checkpoint(tmp_path / "gpt2", **SHAPES[0])
    write_generation(tmp_path / "gpt2", num_beams=2)
    convert(tmp_path / "gpt2", tmp_path / "model")
    (tmp_path / "texts").write_text("\n".join(LINES) + "\n")
    (tmp_path / "tune.toml").write_text(TUNING.format(tmp_path))
    train(read_config(tmp_path / "tune.toml"), tmp_path / "run", progress="none")
    train(read_config(tmp_path / "tune.toml", ["training.max_steps=20"]), tmp_path / "part", progress="none")
    (tmp_path / "model").rename(tmp_path / "gone")
    train(read_config(tmp_path / "tune.toml"), tmp_path / "part", progress="none", resume=True)
    assert (tmp_path / "part" / "model.safetensors").read_bytes() == (
        tmp_path / "run" / "model.safetensors"
    ).read_bytes()
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    ours = attnkit.load(tmp_path / "run", task="language-model")
    assert ours.perplexity(LINES).loss == pytest.approx(last["final_validation_loss"], rel=1e-5)
    assert last["final_validation_loss"] < 0.5
    assert [result.text for result in ours.generate(["Once", "Time"])] == [LINES[0], LINES[2]]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["decoding"]["beam"] == 2 and config["model"]["bos_id"] == config["model"]["eos_id"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer.vocab_size=99", "tokenizer: expected none beside pretrained.model"),
        ("model.type=decoder-only", "model: expected none beside pretrained.model"),
        ("data.max_length=48", "data.max_length: expected less than model.max_length = 48"),
        ('pretrained.freeze=["*"]', "pretrained.freeze: expected something left to learn"),
    ],
)
def test_a_wrong_training_names_its_key(tmp_path: Path, override: str, message: str) -> None:
    checkpoint(tmp_path / "gpt2", **SHAPES[0])
    convert(tmp_path / "gpt2", tmp_path / "model")
    (tmp_path / "texts").write_text("\n".join(LINES) + "\n")
    (tmp_path / "tune.toml").write_text(TUNING.format(tmp_path))
    with pytest.raises(ConfigError, match=re.escape(message)):
        train(read_config(tmp_path / "tune.toml", [override]), tmp_path / "run", progress="none")


def test_a_classifier_begins_with_it(tmp_path: Path) -> None:
    checkpoint(tmp_path / "gpt2", **SHAPES[0])
    convert(tmp_path / "gpt2", tmp_path / "model")
    records = [{"text": text, "label": label} for label, text in zip("abc", LINES, strict=True)]
    (tmp_path / "texts").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "classify.toml").write_text(
        TUNING.format(tmp_path)
        .replace('"language-model"', '"classify"')
        .replace("max_length = 40\n", "")
        .replace(f'["{tmp_path}/texts"]', f'"{tmp_path}/texts"')
    )
    train(read_config(tmp_path / "classify.toml"), tmp_path / "run", progress="none")
    ours = attnkit.load(tmp_path / "run", task="classify")
    assert [result.label for result in ours.classify(LINES)] == ["a", "b", "c"]
    read = ours.model.config
    assert read.causal and read.bos_id is None and read.eos_id is None


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
