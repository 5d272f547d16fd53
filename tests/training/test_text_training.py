"""Training classifiers of texts and language models: by the public API, resumed to the same bytes, refused clearly."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from text_runs import BAD, GOOD, LINES, MODELS, classify_toml, language_model_toml, reviews, write_jsonl
from training_runs import content, metrics

import attnkit
from attnkit import Classifier, Generator
from attnkit.metrics.classes import accuracy, macro_f1
from attnkit.models import DecoderOnlyConfig, build_model
from attnkit.training import ConfigError, encode_config, read_config, train


def run(toml: Path, folder: Path, *overrides: str, resume: bool = False) -> Path:
    train(read_config(toml, overrides), folder, progress="none", resume=resume)
    return folder


LONGER = ("training.max_steps=150", "training.validate_every=75", "training.learning_rate=0.01")

# --- classification


@pytest.fixture(scope="module", params=MODELS)
def learnt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classify")
    return run(classify_toml(folder, request.param, 300), folder / "model", *LONGER)


def test_it_is_learnt_and_used(learnt: Path) -> None:
    last = metrics(learnt)[-1]
    assert last["final"] == "best" and last["final_accuracy"] == 100.0 == last["final_macro_f1"]
    assert last["test_accuracy"] == 100.0 and last["test_loss"] < 0.1
    classifier = attnkit.load(learnt)
    assert isinstance(classifier, Classifier) and classifier.labels == ["neg", "pos"]
    examples = reviews(30, seed=2)
    results = classifier.classify([text for text, _ in examples])
    assert [result.label for result in results] == [label for _, label in examples]
    assert all(result.attention is None and not result.truncated and not result.unknown for result in results)


def test_the_folder_is_a_model_directory(learnt: Path) -> None:
    assert {path.name for path in learnt.iterdir()} == {
        "checkpoints", "config.json", "learning-curve.png", "metrics.jsonl", "model.safetensors", "training.toml",
        "wordpunct.txt",
    }  # fmt: skip
    config = json.loads((learnt / "config.json").read_text())
    assert config["task"] == "classify" and config["labels"] == ["neg", "pos"] and config["html"] is False
    assert config["classes"] == 2 and config["tokenizer"] == {"kind": "wordpunct", "joint": True, "lowercase": False}


def test_what_decided_is_told(learnt: Path) -> None:
    classifier = attnkit.load(learnt)
    texts = ["the film was a. the plot was very good.", "dull.", "", "the the xyz weak. <b>"]
    plain = classifier.classify(texts, top=2)
    results = classifier.classify(texts, top=5, attention=True)
    for result, without in zip(results, plain, strict=True):
        assert result.top == without.top and result.label == without.label
        assert result.attention is not None
        assert [len(words) for words in result.attention.words] == [len(tokens) for tokens in result.sentences]
        for words in (*result.attention.words, result.attention.sentences):
            assert words.sum() == pytest.approx(1.0 if result.label else 0.0, abs=1e-5)
    assert [result.label for result in results] == ["pos", "neg", "", "neg"]
    assert [len(result.top) for result in results] == [2, 2, 0, 2]
    assert sum(share for _, share in results[0].top) == pytest.approx(1.0, abs=1e-5)
    assert results[2].probability == 0.0 and results[2].sentences == []
    assert results[3].unknown == ["xyz", "<", "b", ">"]
    tokens = [token for sentence in results[3].sentences for token in sentence]
    assert "xyz" in tokens and "<unk>" not in tokens


def test_the_words_that_decide_have_the_weight(learnt: Path) -> None:
    decisive, others = [], []
    for result in attnkit.load(learnt).classify([text for text, _ in reviews(60, seed=2)], attention=True):
        assert result.attention is not None
        for tokens, weights in zip(result.sentences, result.attention.words, strict=True):
            for token, weight in zip(tokens, weights, strict=True):
                if len(tokens) > 2:
                    (decisive if token in GOOD + BAD else others).append(weight)
    assert np.mean(decisive) > 1.5 * np.mean(others)


def test_a_text_is_the_same_alone_in_any_batch_and_in_a_stream(learnt: Path, threads: int) -> None:
    classifier = attnkit.load(learnt)
    texts = [text for text, _ in reviews(20, seed=5)] + ["", "good " * 200]
    together = [result.top for result in classifier.classify(texts, top=2)]
    assert [result.top for result in classifier.classify(texts, top=2, batch_tokens=1)] == together
    assert [classifier.classify([text], top=2)[0].top for text in texts] == together
    stream = classifier.classify_stream(iter(texts), top=2, window=3)
    assert [result.top for result in stream] == together


def test_long_texts_are_cut_and_say_so(tmp_path: Path) -> None:
    limit = ("model.max_length=8", "training.max_steps=1")
    for name in MODELS:
        (tmp_path / name).mkdir()
        folder = run(classify_toml(tmp_path / name, name), tmp_path / name / "model", *limit)
        short, long = attnkit.load(folder).classify(["the film", "the film " * 10])
        assert not short.truncated and long.truncated
        assert sum(map(len, long.sentences)) == 8


def test_bad_arguments_are_refused(learnt: Path) -> None:
    classifier = attnkit.load(learnt)
    with pytest.raises(TypeError, match="expected a list of texts, got one string"):
        classifier.classify("a text")
    with pytest.raises(TypeError, match="expected text in line 2, got int"):
        classifier.classify(["a", 3])  # type: ignore[list-item]
    for name in ("top", "batch_tokens", "window"):
        with pytest.raises(ValueError, match=rf"\[classify\] expected {name} >= 1, got 0"):
            classifier.classify_stream([], **{name: 0})
    with pytest.raises(ValueError, match='expected precision "fp32", "bf16" or "int8"'):
        attnkit.load(learnt, precision="fp8")  # type: ignore[arg-type]
    for precision in ("bf16", "int8"):
        assert attnkit.load(learnt, precision=precision).classify(["the film was good."])[0].label == "pos"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["neg"]}, "expected a tokenizer of .* entries and 2 labels, as the model has, got .* and 1"),
        ({"labels": "neg"}, "expected a list of strings under labels, got 'neg'"),
        ({"html": 1}, "expected true or false under html, got 1"),
        ({"tokenizer": None}, "expected a table under tokenizer, got None"),
        ({"classes": 3}, "does not fit config.json"),
    ],
)
def test_a_broken_directory_is_refused(learnt: Path, tmp_path: Path, change: dict[str, object], message: str) -> None:
    for name in ("config.json", "model.safetensors", "wordpunct.txt"):
        (tmp_path / name).write_bytes((learnt / name).read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=message):
        attnkit.load(tmp_path)


@pytest.mark.parametrize("model", MODELS)
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path, model: str) -> None:
    toml = classify_toml(tmp_path, model)
    whole = run(toml, tmp_path / "whole")
    run(toml, tmp_path / "run", "training.max_steps=5")
    attnkit.manual_seed(31)  # nothing of this process may matter
    run(toml, tmp_path / "run", resume=True)
    assert content(tmp_path / "run") == content(whole)


def test_folders_and_html(tmp_path: Path) -> None:
    for number, (text, label) in enumerate(reviews(40)):
        (tmp_path / "data" / label).mkdir(parents=True, exist_ok=True)
        html = f"<p>{text}<br />the&nbsp;film</p>"
        (tmp_path / "data" / label / f"{number}.gz").write_bytes(gzip.compress(html.encode()))
    toml = classify_toml(tmp_path)
    folder = run(toml, tmp_path / "model", f"data.train={tmp_path / 'data'}", "data.html=true", "training.max_steps=2")
    result = attnkit.load(folder).classify(["<b>the</b> film<br>was good"], attention=True)[0]
    assert result.sentences == [["the", "film"], ["was", "good"]] and not result.unknown
    assert attnkit.load(folder).classify(["<br />"])[0].label == ""


@pytest.mark.parametrize("kind", ["bpe", "unigram", "char", "word"])
def test_every_tokenizer(tmp_path: Path, kind: str) -> None:
    options = (f"tokenizer.kind={kind}", "tokenizer.vocab_size=40", "training.max_steps=2")
    toml = classify_toml(tmp_path)
    write_jsonl(tmp_path / "train.jsonl", [(text.replace(" ", "\n"), label) for text, label in reviews(60)])
    folder = run(toml, tmp_path / "model", *options)
    result = attnkit.load(folder).classify(["the film was good."], attention=True)[0]
    assert result.label in ("neg", "pos") and sum(map(len, result.sentences)) >= 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer.joint=false", "tokenizer.joint: expected true, since a document has one text, got false"),
        ("data.validation_share=0.0", "data.validation: expected texts, or a validation_share"),
        ("data.validation=x", "data.validation_share: expected 0 beside validation texts"),
        ("data.validation_share=1.0", "data.validation_share: expected float < 1.0"),
        (
            "training.metric=bleu",
            'training.metric: expected "loss" or "accuracy", all that is measured here, got "bleu"',
        ),
        ("data.trian=x", "data.trian: unknown key (did you mean train?)"),
        ("model.type=transformer", "model.type: invalid value 'transformer'"),
        ("model.max_length=0", "model.max_length: expected int >= 1"),
    ],
)
def test_a_bad_configuration_names_its_key(tmp_path: Path, override: str, message: str) -> None:
    toml = classify_toml(tmp_path)
    with pytest.raises(ConfigError) as raised:
        read_config(toml, [override])
    assert str(raised.value).startswith(f"{toml}: {message}")


def test_configurations_are_written_and_read_again(tmp_path: Path) -> None:
    for toml in (classify_toml(tmp_path), language_model_toml(tmp_path)):
        config = read_config(toml)
        (tmp_path / "again.toml").write_text(encode_config(config))
        assert read_config(tmp_path / "again.toml") == config


def test_data_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    toml = classify_toml(tmp_path)
    write_jsonl(tmp_path / "test.jsonl", [("a good film", "good")])
    with pytest.raises(ValueError, match=r"the labels of the training data \(neg, pos\) in data.test, got 'good'"):
        run(toml, tmp_path / "a")
    write_jsonl(tmp_path / "train.jsonl", [("a", "pos"), ("b", "pos")])
    with pytest.raises(ValueError, match=r"expected at least 2 labels in data.train, got 1"):
        run(toml, tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        run(toml, tmp_path / "c", "data.train=nowhere.jsonl")


def test_accuracy_and_f1() -> None:
    predicted, expected = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    assert accuracy(predicted, expected) == pytest.approx(60.0)
    # Class 0: 1 right of 2 predicted and 2 expected; 1: 2 right of 2 and 3; 2: never right.
    assert macro_f1(predicted, expected) == pytest.approx(100 * (1 / 2 + 4 / 5 + 0) / 3)
    assert macro_f1(expected, expected) == 100.0
    with pytest.raises(ValueError, match="expected one reference for each"):
        accuracy(predicted, expected[:3])


# --- language models


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    return run(language_model_toml(folder), folder / "model", *LONGER)


def test_lines_are_learnt_by_heart(writer: Path) -> None:
    last = metrics(writer)[-1]
    assert last["test_perplexity"] == pytest.approx(math.exp(last["test_loss"]))
    # Four lines, equally likely: log 4 a line, and what one word leaves open.
    tokens = np.mean([len(line.split()) + 1 for line in LINES])
    assert last["final_validation_loss"] < 1.3 * math.log(4) / tokens
    generator = attnkit.load(writer)
    assert isinstance(generator, Generator)
    for precision in ("fp32", "bf16", "int8"):
        model = attnkit.load(writer, precision=precision)  # type: ignore[arg-type]
        results = model.generate(["the cat", "the dog", "a", "the bird"], attention=True)
        assert [result.text for result in results] == LINES
    assert generator.generate()[0].text in LINES


def test_what_a_generation_tells(writer: Path) -> None:
    generator = attnkit.load(writer)
    plain, result = generator.generate(["the dog"])[0], generator.generate(["the dog"], attention=True, nbest=2)[0]
    assert result.text == plain.text == "the dog sees a cat" and plain.attention is None
    assert result.tokens == result.text.split() and result.prompt_tokens == 2
    assert result.context == ["<s>", *result.tokens[:-1]]
    assert result.attention is not None and result.attention.shape == (5, 5)
    np.testing.assert_allclose(result.attention.sum(axis=1), 1.0, atol=1e-5)
    assert not np.triu(result.attention, 1).any()
    assert len(result.alternatives) == 1 and result.alternatives[0].score < result.score
    cut = generator.generate(["the dog"], max_length=3)[0]
    assert cut.truncated and cut.text == "the dog sees"
    unknown = generator.generate(["zzz  the cat"], attention=True)[0]
    assert unknown.text.startswith("zzz  the cat") and unknown.unknown == ["zzz"]
    assert unknown.tokens[0] == "zzz" and unknown.context[:3] == ["<s>", "zzz", "the"]


def test_prompts_are_answered_alike_alone_and_together(writer: Path) -> None:
    generator, prompts = attnkit.load(writer), ["the cat", "", "a", "the bird sees the"]
    for search in ({}, {"sample": True, "seed": 4, "temperature": 2.0}):
        together = [result.text for result in generator.generate(prompts, **search)]
        assert [result.text for result in generator.generate(prompts, batch_tokens=1, **search)] == together
        stream = generator.generate_stream(iter(prompts), window=1, **search)
        assert [result.text for result in stream] == together
    seeds = {generator.generate([""], sample=True, temperature=3.0, seed=seed)[0].text for seed in range(6)}
    assert len(seeds) > 1


def test_a_stopped_language_model_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    toml = language_model_toml(tmp_path)
    whole = run(toml, tmp_path / "whole")
    run(toml, tmp_path / "run", "training.max_steps=5")
    attnkit.manual_seed(31)
    run(toml, tmp_path / "run", resume=True)
    assert content(tmp_path / "run") == content(whole)


def test_bad_requests_are_refused(writer: Path) -> None:
    generator = attnkit.load(writer)
    with pytest.raises(TypeError, match="expected a list of prompts, got one string"):
        generator.generate("the")
    with pytest.raises(ValueError, match="expected max_length <= 23, the most that this model writes, got 24"):
        generator.generate_stream([], max_length=24)
    with pytest.raises(ValueError, match="expected min_length <= 23, got 30"):
        generator.generate_stream([], min_length=30)
    with pytest.raises(ValueError, match="expected a prompt of at most 23 tokens in line 2, got 30"):
        generator.generate(["a", "the " * 30])
    with pytest.raises(ValueError, match="expected window >= 1, got 0"):
        generator.generate_stream([], window=0)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer.joint=false", "tokenizer.joint: expected true, since a language model has one text, got false"),
        ("training.metric=accuracy", 'training.metric: expected "loss", all that is measured here, got "accuracy"'),
        ("data.max_length=24", "data.max_length: expected less than model.max_length = 24"),
        ("data.train=[]", "data.train: expected array of length >= 1"),
        ("data.validation=[]", "data.validation: expected files"),
        ("model.heads=3", "model.heads: expected a divisor of d_model = 16, got 3"),
    ],
)
def test_a_bad_language_model_names_its_key(tmp_path: Path, override: str, message: str) -> None:
    toml = language_model_toml(tmp_path)
    with pytest.raises(ConfigError) as raised:
        read_config(toml, [override])
    assert str(raised.value).startswith(f"{toml}: {message}")


def test_lines_that_are_too_long_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml = language_model_toml(tmp_path)
    with open(tmp_path / "lines.txt", "a") as file:
        file.write("the " * 21 + "\n" + "the " * 24 + "\n")
    train(read_config(toml, ["training.max_steps=1"]), tmp_path / "model", progress="plain")
    log = capsys.readouterr().err
    assert "train data: 16 of 18 lines (left out: 2 too long), 72 tokens" in log
    assert "validation data: 17 of 18 lines (left out: 1 too long)" in log
    with pytest.raises(ValueError, match=r"expected lines of text in data\.train, got none"):
        (tmp_path / "lines.txt").write_text("\n\n")
        train(read_config(toml), tmp_path / "other", progress="none")


def test_the_sizes_of_a_model_are_checked() -> None:
    with pytest.raises(TypeError, match=r"\[build_model\] expected vocab_size, got 2 number\(s\)"):
        build_model(DecoderOnlyConfig(), 3, 4)
