"""Masked language models and the classifiers that begin with them: trained, resumed, used, refused."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import attnkit_run, complaint, output
from msgspec.structs import fields
from text_runs import GOOD, classify_toml, language_model_toml, masked_toml, pretrained_toml, reviews, write_jsonl
from training_runs import content, metrics

import attnkit
from attnkit import MaskFiller
from attnkit.models import load_model
from attnkit.models.registry import build_model
from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
from attnkit.models.text_stack import TextStackConfig
from attnkit.models.transformer_classifier_config import TransformerClassifierConfig
from attnkit.tasks.shared.directory import ModelDirectory, save_directory
from attnkit.text import EncodedCorpus, MaskedIterator, Masker, MaskingConfig
from attnkit.text.corpus import flatten
from attnkit.training import ConfigError, read_config, train


def run(toml: Path, folder: Path, *overrides: str, resume: bool = False) -> Path:
    train(read_config(toml, overrides), folder, progress="none", resume=resume)
    return folder


LONGER = ("training.max_steps=200", "training.validate_every=100", "training.learning_rate=0.01")


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masked")
    return run(masked_toml(folder), folder / "model", *LONGER)


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language")
    return run(masked_toml(folder, "language-model"), folder / "model", *LONGER)


# ----- The masked language model


def test_it_is_learnt(masked: Path) -> None:
    rows = [row for row in metrics(masked) if "validation_loss" in row]
    assert rows[-1]["perplexity"] == pytest.approx(math.exp(rows[-1]["validation_loss"]))
    last = metrics(masked)[-1]
    assert last["final_perplexity"] < 12 and last["test_perplexity"] == last["final_perplexity"]  # of 18 words
    assert last["test_accuracy"] == last["final_accuracy"] > 20
    config = json.loads((masked / "config.json").read_text())
    assert config["task"] == "masked-language-model" and config["model"]["type"] == "encoder-only"
    assert config["tokenizer"] == {"kind": "wordpunct", "joint": True, "lowercase": False, "mask": True}
    assert (masked / "wordpunct.txt").read_text().split("\n")[4] == "<mask>"


def test_a_validation_is_of_the_same_masks_by_the_models_own_numbers(masked: Path) -> None:
    """What metrics.jsonl says is -log p of the tokens that the held-out texts' masks hide, whatever the batches."""
    filler = attnkit.load(masked, task="masked-language-model")
    texts = [" ".join(text.split()) for text, _ in reviews(20, seed=1)]
    ids, offsets = flatten([filler.tokenizer.encode(text) for text in texts])
    corpus = EncodedCorpus(np.zeros(0, np.int32), np.zeros(len(offsets), np.int64), ids, offsets)
    masker = Masker(MaskingConfig(), filler.tokenizer, filler.mask_id)
    nll, right, count = 0.0, 0, 0
    for batch in MaskedIterator(corpus, masker, 30, bos=2, seed=9, shuffle=False):
        logits = filler.model(batch).numpy().astype(np.float64)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        labels = np.asarray(batch.labels)
        nll -= log_probs[np.arange(len(labels)), labels].sum()
        right += int((logits.argmax(axis=1) == labels).sum())
        count += len(labels)
    last = metrics(masked)[-1]
    assert last["test_loss"] == pytest.approx(nll / count, rel=1e-5)
    assert last["test_accuracy"] == pytest.approx(100 * right / count)


@pytest.mark.parametrize("options", [(), ("masking.whole_words=true", "tokenizer.kind=bpe", "tokenizer.vocab_size=40")])
def test_a_stopped_run_goes_on_to_the_same_bytes(tmp_path: Path, options: tuple[str, ...]) -> None:
    toml = masked_toml(tmp_path)
    options = (*options, "training.max_steps=40", "training.batch_tokens=400")  # more than one epoch
    whole = run(toml, tmp_path / "whole", *options)
    assert max(row.get("epoch", 0) for row in metrics(whole)) > 1
    run(toml, tmp_path / "run", *options, "training.max_steps=17")
    attnkit.manual_seed(31)  # nothing of this process may matter
    run(toml, tmp_path / "run", *options, resume=True)
    assert content(tmp_path / "run") == content(whole)


@pytest.mark.parametrize(
    "option", ["masking.share=0.4", "masking.mask=0.2", "masking.random=0.0", "masking.whole_words=true"]
)
def test_every_key_of_masking_counts(tmp_path: Path, option: str) -> None:
    toml = masked_toml(tmp_path)
    few = ("tokenizer.kind=bpe", "tokenizer.vocab_size=40", "training.max_steps=3")
    plain, other = run(toml, tmp_path / "plain", *few), run(toml, tmp_path / "other", *few, option)
    assert (plain / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


def test_texts_are_lines_or_json_and_cut_where_they_are_long(tmp_path: Path) -> None:
    toml = masked_toml(tmp_path)
    lines = "".join(f"{' '.join(text.split())}\n" for text, _ in reviews(150))
    (tmp_path / "lines.txt").write_text(lines)
    html = [(f"<p>{text.replace(' ', '<br />', 1)}</p>", label) for text, label in reviews(150)]
    write_jsonl(tmp_path / "html.jsonl", html)
    few = ("training.max_steps=2", "data.max_length=4")
    own = run(toml, tmp_path / "json", *few)
    of_lines = [f'data.{split}=["{tmp_path / "lines.txt"}"]' for split in ("train", "validation", "test")]
    plain = run(toml, tmp_path / "lines", *few, *of_lines, "data.text_key=")
    of_html = [f'data.train=["{tmp_path / "html.jsonl"}"]', "data.html=true"]
    markup = run(toml, tmp_path / "html", *few, *of_html)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (own, plain, markup)]
    assert weights[0] == weights[1] == weights[2]
    assert run(toml, tmp_path / "left", *few, "data.split_long=false").exists()
    assert (tmp_path / "left" / "model.safetensors").read_bytes() != weights[0]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer.joint=false", "tokenizer.joint: expected true, since a language model has one text, got false"),
        ("data.max_length=24", "data.max_length: expected less than model.max_length = 24"),
        ("data.validation=[]", "data.validation: expected files"),
        ("training.metric=bleu", 'training.metric: expected "loss" or "accuracy"'),
        ("masking.share=1.0", "masking.share: expected float < 1.0"),
        ("masking.share=0.0", "masking.share: expected float > 0.0"),
        ("masking.random=0.3", "masking.random: expected at most 1 - mask = 0.2, got 0.3"),
        ("masking.shar=0.3", "masking.shar: unknown key (did you mean share?)"),
        ("model.type=decoder-only", "model.type: invalid value 'decoder-only'; expected 'encoder-only'"),
        ("model.max_length=1", "model.max_length: expected room for the start token and one more, got 1"),
    ],
)
def test_a_bad_configuration_names_its_key(tmp_path: Path, override: str, message: str) -> None:
    toml = masked_toml(tmp_path)
    with pytest.raises(ConfigError) as raised:
        read_config(toml, [override])
    assert str(raised.value).startswith(f"{toml}: {message}")


def test_texts_without_a_known_word_are_refused(tmp_path: Path) -> None:
    toml = masked_toml(tmp_path)
    write_jsonl(tmp_path / "held-out.jsonl", [("xyz abc", "pos")])
    with pytest.raises(ValueError, match=r"expected texts of at most 20 known tokens in data\.validation, got none"):
        run(toml, tmp_path / "model")


def test_it_learns_to_read_both_sides(tmp_path: Path) -> None:
    """Of the alphabet, begun anywhere and repeated, every gap follows from its neighbours, and from nothing else."""
    words = "abcdefgh"
    lines = [" ".join(words[(begin + i) % 8] for i in range(n)) for begin in range(8) for n in range(8, 17)]
    (tmp_path / "lines.txt").write_text("".join(f"{line}\n" for line in lines * 3))
    files = f'["{tmp_path / "lines.txt"}"]'
    more = ("training.batch_tokens=512", "training.label_smoothing=0.0", "model.layers=2", "model.dropout=0.0")
    shape = ("model.d_model=32", "model.ffn=64", "training.max_steps=300", "training.validate_every=100")
    data = (f"data.train={files}", f"data.validation={files}", "data.test=[]", "data.text_key=", "tokenizer.kind=word")
    folder = run(masked_toml(tmp_path), tmp_path / "model", *LONGER, *more, *shape, *data)
    assert metrics(folder)[-1]["final_accuracy"] > 85  # 12.5 by chance
    filler = attnkit.load(folder, task="masked-language-model")
    rows = {gap: filler.fill(gap).gaps[0][0].token for gap in ("c d <mask> f g h a b", "<mask> b c d e f g h")}
    assert list(rows.values()) == ["e", "a"]


# ----- Filling gaps


def test_gaps_are_filled_with_what_may_stand_there(masked: Path) -> None:
    filler = attnkit.load(masked)
    assert isinstance(filler, MaskFiller)
    result = filler.fill("the film was very <mask>.", top=5)
    ((*guesses,),) = result.gaps
    assert len(guesses) == 5 and result.text == guesses[0].text == f"the film was very {guesses[0].token}."
    probabilities = [guess.probability for guess in guesses]
    assert probabilities == sorted(probabilities, reverse=True) and 0 < sum(probabilities) <= 1 + 1e-6
    every = filler.fill("the <mask> was <mask>", top=99)
    assert [sum(guess.probability for guess in gap) for gap in every.gaps] == pytest.approx([1, 1], abs=1e-5)
    specials = {"<pad>", "<unk>", "<s>", "</s>", "<mask>"}
    assert len(every.gaps[0]) == filler.tokenizer.vocab_size - 5
    assert not specials & {guess.token for gap in every.gaps for guess in gap}
    assert every.gaps[1][0].text == every.text and every.gaps[1][1].text.startswith(every.text.rsplit(" ", 1)[0])
    ends = {guess.token for guess in filler.fill("the film was good<mask>", top=3).gaps[0]}
    assert "." in ends  # every sentence ends so
    assert filler.fill("no gap, xyz").text == "no gap, xyz" and filler.fill("xyz").unknown == ["xyz"]
    assert filler.fill("").gaps == ()


def test_pieces_join_the_words_around_them(tmp_path: Path) -> None:
    options = ("tokenizer.kind=bpe", "tokenizer.vocab_size=40", "training.max_steps=1")
    filler = attnkit.load(run(masked_toml(tmp_path), tmp_path / "model", *options), task="masked-language-model")
    for text in ("the <mask>.", "<mask> film", "the fi<mask>"):
        before, _, after = text.partition("<mask>")
        for guess in filler.fill(text, top=20).gaps[0]:
            word = guess.token.removeprefix("▁")
            space = " " if guess.token != word and before.strip() == before and before else ""
            assert guess.text == f"{before}{space}{word}{after}"


def test_one_text_and_many_are_the_same(masked: Path, threads: int) -> None:
    filler = attnkit.load(masked, task="masked-language-model")
    texts = ["the <mask> was good", "", "a <mask> <mask>", "no gap", "very <mask>. the film"] * 5
    alone = [filler.fill(text, top=2) for text in texts]
    for options in ({}, {"batch_tokens": 1}, {"window": 2}):
        assert list(filler.fill_stream(iter(texts), top=2, **options)) == alone
    for precision in ("bf16", "int8"):
        assert attnkit.load(masked, precision=precision).fill(texts[0]).gaps  # type: ignore[arg-type,union-attr]


def test_what_it_looks_at_is_told(masked: Path) -> None:
    filler = attnkit.load(masked, task="masked-language-model")
    text = "the film was very <mask> xyz."
    before = filler.fill(text, top=3)
    maps = filler.attention(text)
    assert filler.fill(text, top=3) == before and list(maps) == ["encoder"] and maps.output == before.text
    found = maps["encoder"]
    assert [*found.keys] == ["<s>", "the", "film", "was", "very", "<mask>", "xyz", "."] == [*found.queries]
    assert found.weights.shape == (1, 2, 8, 8)
    ids = np.array(
        [2, *filler.tokenizer.encode("the film was very"), filler.mask_id, 1, filler.tokenizer.encode(".")[0]]
    )
    offsets = np.array([0, 8], np.int32)
    embedded = filler.model.embedding(ids.astype(np.int32), np.arange(8, dtype=np.int32))
    _, flat = filler.model.encoder(embedded, offsets, return_weights=True)
    np.testing.assert_array_equal(found.weights[0], flat[0].numpy().reshape(2, 8, 8))
    np.testing.assert_allclose(found.weights.sum(axis=-1), 1.0, atol=1e-6)
    for bad, target in (("", None), ("the film", "a")):
        with pytest.raises(ValueError, match=r"\[attention\] expected"):
            filler.attention(bad, target)


def test_bad_texts_are_refused(masked: Path) -> None:
    filler = attnkit.load(masked, task="masked-language-model")
    with pytest.raises(ValueError, match=r"expected a text of at most 23 tokens, got 24 in line 2"):
        list(filler.fill_stream(["a", "film " * 23 + "<mask>"]))
    with pytest.raises(TypeError, match="expected text in line 1, got int"):
        filler.fill(3)  # type: ignore[arg-type]
    for name in ("top", "batch_tokens", "window"):
        with pytest.raises(ValueError, match=rf"\[fill\] expected {name} >= 1, got 0"):
            filler.fill_stream([], **{name: 0})


def test_a_model_without_its_mask_is_refused(masked: Path, tmp_path: Path) -> None:
    shutil.copytree(masked, tmp_path / "model")
    config = json.loads((masked / "config.json").read_text())
    del config["tokenizer"]["mask"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="expected a tokenizer with the reserved entry <mask>, got none"):
        attnkit.load(tmp_path / "model")


# ----- Classifiers that begin with a language model


def weights(folder: Path) -> dict[str, np.ndarray]:
    return dict(load_model(folder).state_dict())


@pytest.mark.parametrize("kind", ["masked", "language"])
def test_the_weights_arrive(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source: Path = request.getfixturevalue(kind)
    stay = 'freeze = ["embedding", "encoder"]'
    folder = run(pretrained_toml(tmp_path, source, stay), tmp_path / "model", "training.max_steps=2")
    before, after = weights(source), weights(folder)
    layers = "encoder." if kind == "masked" else "layers."
    moved = {name.replace(layers, "encoder.", 1): array for name, array in before.items() if "." in name}
    own = {name for name in after if name.startswith(("pooling.", "output."))}
    assert own and after.keys() - own == {name for name in moved if name.startswith(("embedding.", "encoder."))}
    assert all(after[name].tobytes() == moved[name].tobytes() for name in after.keys() - own)
    config = json.loads((folder / "config.json").read_text())
    assert config["model"].get("causal", False) is (kind == "language") and config["model"]["d_model"] == 16
    tokens = [path.name for path in folder.iterdir() if path.name.endswith("wordpunct.txt")]
    assert [(folder / name).read_bytes() for name in tokens] == [(source / name).read_bytes() for name in tokens]


@pytest.mark.parametrize(("kind", "pooling"), [("masked", "attention"), ("language", "last"), ("language", "mean")])
def test_a_classifier_is_learnt_and_used(
    kind: str, pooling: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    toml = pretrained_toml(tmp_path, request.getfixturevalue(kind), f'pooling = "{pooling}"')
    folder = run(toml, tmp_path / "model", *LONGER)
    assert metrics(folder)[-1]["test_accuracy"] == 100.0
    classifier = attnkit.load(folder, task="classify", reads="text")
    results = classifier.classify([text for text, _ in reviews(20, seed=4)], attention=True)
    assert [result.label for result in results] == [label for _, label in reviews(20, seed=4)]
    for result in results:
        assert result.attention is not None
        assert sum(words.sum() for words in result.attention.words) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("kind", ["vectors", "classifier"])
def test_it_begins_with_any_encoder_of_texts(kind: str, masked: Path, tmp_path: Path) -> None:
    """With one that makes vectors, and with another classifier, whose pooling and pooler come with it; of trained
    positions those that it may read."""
    directory = ModelDirectory.read(masked)
    keys = {field.name: getattr(directory.described.config, field.name) for field in fields(TextStackConfig)}
    keys |= {"positions": "learned", "max_length": 40}
    size = directory.size("vocab_size")
    config = SentenceEncoderConfig(**keys, pooling="cls")
    model: Any = build_model(config, size)
    more: dict[str, Any] = {}
    if kind == "classifier":
        model = build_model(TransformerClassifierConfig(**keys, pooling="cls", pooler="tanh"), size, 3)
        more = {"labels": ["a", "b", "c"], "html": False}
    task = "embed" if kind == "vectors" else "classify"
    save_directory(model, tmp_path / "source", task, tokenizers=directory.tokenizers(), **more)
    asked = 'max_length = 24\nfreeze = ["embedding", "encoder"]\ndropout = 0.0'
    folder = run(pretrained_toml(tmp_path, tmp_path / "source", asked), tmp_path / "model", "training.max_steps=2")
    made = json.loads((folder / "config.json").read_text())["model"]
    assert (made["pooling"], made["max_length"]) == ("cls", 24)
    assert made.get("pooler") == (None if kind == "vectors" else "tanh")
    before, after = weights(tmp_path / "source"), weights(folder)
    assert after["embedding.positions.weight"].tobytes() == before["embedding.positions.weight"][:24].tobytes()
    for name in ("embedding.weight", "encoder.layers.0.attention.projection.weight"):
        assert after[name].tobytes() == before[name].tobytes()
    assert ("pooler.weight" in after) == (kind == "classifier")
    with pytest.raises(ConfigError, match=r"pretrained.max_length: expected at most 40, .* got 41"):
        run(pretrained_toml(tmp_path, tmp_path / "source", "max_length = 41"), tmp_path / "model2")


@pytest.mark.parametrize("kind", ["masked", "language"])
def test_a_stopped_classifier_goes_on_without_the_model_it_began_with(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shutil.copytree(request.getfixturevalue(kind), tmp_path / "source")
    toml = pretrained_toml(tmp_path, tmp_path / "source", 'learning_rates = {"encoder.*" = 0.5}\ndropout = 0.2')
    whole = run(toml, tmp_path / "whole")
    run(toml, tmp_path / "run", "training.max_steps=5")
    shutil.rmtree(tmp_path / "source")
    run(toml, tmp_path / "run", resume=True)
    assert content(tmp_path / "run") == content(whole)
    assert json.loads((whole / "config.json").read_text())["model"]["dropout"] == 0.2


def test_learning_rates_are_of_parts(masked: Path, tmp_path: Path) -> None:
    one = ("training.max_steps=1", "training.warmup_steps=0", "training.schedule=constant", "training.final=last")
    rates = 'learning_rates = {"encoder" = 0.1}\ndropout = 0.0'
    slow = weights(run(pretrained_toml(tmp_path, masked, rates), tmp_path / "slow", *one))
    fast = weights(run(pretrained_toml(tmp_path, masked, "dropout = 0.0"), tmp_path / "fast", *one))
    name = "encoder.layers.0.feed_forward.up.weight"
    first = weights(masked)[name]
    steps = [np.abs(found[name] - first).max() for found in (slow, fast)]
    assert steps[0] == pytest.approx(0.1 * steps[1], rel=0.01)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.type=han", "model: expected none beside pretrained.model, which says what it is"),
        ("tokenizer.kind=char", "tokenizer: expected none beside pretrained.model, which brings its own"),
        ("pretrained.pooling=max", "pretrained.pooling: invalid"),
        ("pretrained.frozen=true", "pretrained.frozen: unknown key (did you mean freeze?)"),
    ],
)
def test_what_does_not_fit_in_the_file_is_named(masked: Path, tmp_path: Path, override: str, message: str) -> None:
    toml = pretrained_toml(tmp_path, masked)
    with pytest.raises(ConfigError) as raised:
        read_config(toml, [override])
    assert message.lower() in str(raised.value).lower()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            'freeze = ["encodre"]',
            "pretrained.freeze: expected a part of the model, got 'encodre' (did you mean encoder",
        ),
        ('learning_rates = {"x" = 2.0}', "pretrained.learning_rates: expected a part of the model, got 'x'"),
        (
            'freeze = ["embedding", "encoder", "pooling", "output"]',
            "pretrained.freeze: expected something left to learn, got all of the model",
        ),
    ],
)
def test_wrong_parts_are_named(masked: Path, tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        run(pretrained_toml(tmp_path, masked, more), tmp_path / "model")
    assert message in str(raised.value)


def test_a_model_that_does_not_fit_is_refused(language: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'pretrained\.pooling: expected another for causal = true, .* got "cls"'):
        run(pretrained_toml(tmp_path, language, 'pooling = "cls"'), tmp_path / "model")
    (tmp_path / "other").mkdir()
    other = run(classify_toml(tmp_path / "other"), tmp_path / "other" / "model", "training.max_steps=1")
    with pytest.raises(ConfigError, match="expected a Transformer that reads texts, got one of type 'han'"):
        run(pretrained_toml(tmp_path, other), tmp_path / "model2")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"task": "translate"}))
    with pytest.raises(ConfigError, match=r"pretrained\.model: .* got one of the task 'translate'"):
        run(pretrained_toml(tmp_path, other), tmp_path / "model2")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run(pretrained_toml(tmp_path, tmp_path / "nowhere"), tmp_path / "model3")


def test_nothing_to_train_is_refused(tmp_path: Path) -> None:
    toml = pretrained_toml(tmp_path, tmp_path / "x")
    text = toml.read_text()
    toml.write_text(text[: text.index("[pretrained]")] + text[text.index("[training]") :])
    with pytest.raises(ConfigError, match=r"model: expected a value, got nothing; or pretrained\.model"):
        read_config(toml)


# ----- Commands alone


def test_from_texts_to_classes_by_commands_alone(tmp_path: Path) -> None:
    few = [part for key in ("training.max_steps=60", "training.validate_every=60") for part in ("--set", key)]
    model = tmp_path / "masked"
    done = attnkit_run("train", masked_toml(tmp_path), "--out", model, *few)
    log = done.stderr.decode()
    assert done.returncode == 0 and "hidden tokens/s" in log and "test_perplexity" in log, log
    assert "encoder-only" in output("inspect", model)
    filled = output("generate", model, "--prompt", "the film was <mask> .", "--prompt", "a <mask>").splitlines()
    assert len(filled) == 2 and filled[0].startswith("the film was ") and "<mask>" not in filled[0]
    lines = output("generate", model, "-i", "-", "--nbest", "3", text="the film was <mask> .\n\na <mask> <mask>\n")
    fields = [line.split("\t") for line in lines.splitlines()]
    assert [field[0] for field in fields] == ["1"] * 3 + ["3"] * 6 and all(0 < float(field[1]) < 1 for field in fields)
    record = json.loads(output("generate", model, "--prompt", "<mask>", "--jsonl"))
    assert record["prompt"] == "<mask>" and record["text"] == record["gaps"][0][0]["token"]
    done = attnkit_run("generate", model, "-i", "-", text="no gap\n")
    assert done.stdout == b"no gap\n" and "texts without a <mask> to fill in: 1" in done.stderr.decode()
    done = attnkit_run("train", pretrained_toml(tmp_path, model), "--out", tmp_path / "classifier", *few)
    assert done.returncode == 0 and f"pretrained: {model}" in done.stderr.decode(), done.stderr.decode()
    label, _, probability = output("classify", tmp_path / "classifier", text=f"the film was {GOOD[0]}\n").partition(
        "\t"
    )
    assert label in ("neg", "pos") and 0.5 <= float(probability) <= 1


def test_bad_usage_is_one_line(masked: Path) -> None:
    assert "--prompt or --input" in complaint("generate", masked, status=2)
    for option in (("--beam", "3"), ("--sample",), ("--attention", "a.html")):
        message = complaint("generate", masked, "--prompt", "<mask>", *option, status=2)
        assert f"{option[0]} is for models that go on from a text" in message
    for option in (("--kind", "encoder"), ("--layer", "1"), ("--head", "1"), ("--word", "a")):
        drawn = ("generate", masked, "--prompt", "<mask>", *option)
        assert f"{option[0]}: expected --attention FILE" in complaint(*drawn, status=2)
        assert "attnkit attention shows where it looks" in complaint(*drawn, "--attention", "a.png", status=2)
    assert "which attnkit generate runs" in complaint("classify", masked, text="a\n")


def test_a_language_model_of_lines_is_as_it_was(tmp_path: Path) -> None:
    """New keys of [data] change nothing unless they are used."""
    folder = run(language_model_toml(tmp_path), tmp_path / "model", "training.max_steps=1")
    assert "mask" not in json.loads((folder / "config.json").read_text())["tokenizer"]
