"""Training a translation model on: its own words and tokens, what stays frozen, and the same bytes in any case."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import marian_files
import numpy as np
import numpy.typing as npt
import pytest
from command_line import complaint, output
from marian_reference import MarianReference
from training_runs import content, copy_task, metrics, tiny

import attnkit
from attnkit.interop.convert import convert
from attnkit.tasks.config_file import encode_config
from attnkit.text import en_it
from attnkit.training import ConfigError, RunConfig, read_config, train

Arrays = dict[str, npt.NDArray[np.float32]]

# The vocabulary of a student has but some letters and short pieces, so that it has no more than these.
PAIRS = [(pair.source, pair.target) for pair in en_it.corpus(train=60, validation=0, test=0, seed=3)["train"]]
FEW = sorted(PAIRS, key=lambda pair: len(pair[1]))[:6]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student as Firefox has them: int8 with alphas, an SSRU, a shortlist, an alignment head."""
    folder = tmp_path_factory.mktemp("student")
    marian_files.write_student(folder / "marian", marian_files.config(), seed=2)
    convert(folder / "marian", folder / "model")
    return folder / "model"


def tuning(folder: Path, model: Path, *overrides: str, pairs: list[tuple[str, str]] = FEW) -> RunConfig:
    """A file of a few pairs to train a model on, in `folder`, and what it says."""
    for number, name in enumerate(("source", "target")):
        (folder / name).write_text("".join(f"{pair[number]}\n" for pair in pairs))
    files = json.dumps([str(folder / "source"), str(folder / "target")])
    file = folder / "tune.toml"
    file.write_text(
        f"""
task = "translate"
[pretrained]
model = {json.dumps(str(model))}
dropout = 0.0
[data]
train = {files}
validation = {files}
max_length = 47
[training]
max_steps = 4
batch_tokens = 200
learning_rate = 0.01
schedule = "constant"
warmup_steps = 0
label_smoothing = 0.0
clip_norm = 0.0
log_every = 2
validate_every = 4
validate_unit = "steps"
final = "last"
[decoding]
bleu = false
tokenize = "none"
"""
    )
    return read_config(file, overrides)


def weights(folder: Path) -> Arrays:
    return dict(attnkit.models.load_model(folder).to("float32").state_dict())


LEARN = ("training.max_steps=300", "training.validate_every=300", "training.schedule=cosine")


# ----- What it begins with


def test_a_student_begins_with_the_loss_that_marian_gives(tmp_path: Path) -> None:
    """Its start is a zero vector, its end 0, and its bytes of int8 are what they mean in float32."""
    tensors = marian_files.write_student(tmp_path / "marian", marian_files.config(), seed=2)
    convert(tmp_path / "marian", tmp_path / "model")
    tokenizers = attnkit.load(tmp_path / "model", task="translate")
    reference, nll, count = MarianReference(tensors, marian_files.config()), 0.0, 0
    for source, target in FEW:
        ids = tokenizers.target_tokenizer.encode(target)
        memory = reference.encode([*tokenizers.source_tokenizer.encode(source), 0])
        scores = reference.logits(memory, ids)
        chosen = scores[np.arange(len(ids) + 1), [*ids, 0]]
        nll += float((np.log(np.exp(scores).sum(axis=1)) - chosen).sum())
        count += len(ids) + 1
    train(tuning(tmp_path, tmp_path / "model"), tmp_path / "run", progress="none")
    first = metrics(tmp_path / "run")[0]
    assert (first["step"], first["epoch"]) == (0, 0)
    assert first["validation_loss"] == pytest.approx(nll / count, rel=1e-4)


@pytest.mark.parametrize("shape", ["plain", "uneven", "separate", "untied"])
def test_a_model_of_opus_mt_begins_with_the_loss_of_transformers_and_learns(tmp_path: Path, shape: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from marian_checkpoint import SHAPES, write_checkpoint

    theirs = write_checkpoint(tmp_path / "checkpoint", **SHAPES[shape])
    convert(tmp_path / "checkpoint", tmp_path / "model")
    translator = attnkit.load(tmp_path / "model", task="translate")
    nll, count = 0.0, 0
    for source, target in FEW:
        ids = torch.tensor([[*translator.source_tokenizer.encode(source), 0]])
        labels = torch.tensor([[*translator.target_tokenizer.encode(target), 0]])
        with torch.no_grad():
            nll += float(theirs(input_ids=ids, labels=labels).loss) * labels.shape[1]
        count += labels.shape[1]
    train(tuning(tmp_path, tmp_path / "model", *LEARN), tmp_path / "run", progress="none")
    rows = [row for row in metrics(tmp_path / "run") if "validation_loss" in row]
    assert rows[0]["validation_loss"] == pytest.approx(nll / count, rel=1e-4)
    assert rows[-1]["validation_loss"] < 0.1
    sources, targets = zip(*FEW, strict=True)
    learnt = attnkit.load(tmp_path / "run", task="translate").translate(list(sources))
    tokenizer = translator.target_tokenizer  # which lacks some pieces
    assert [result.text for result in learnt] == [tokenizer.decode(tokenizer.encode(target)) for target in targets]


# ----- What comes of it


def test_a_student_learns_and_is_a_model_like_any_other(tmp_path: Path, student: Path) -> None:
    train(tuning(tmp_path, student, *LEARN, "pretrained.shortlist=false"), tmp_path / "run", progress="none")
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (student, tmp_path / "run"))
    assert before.pop("precision") == "int8"  # its weights are float32 now
    assert before["decoding"].pop("shortlist") and before["model"].pop("dropout") == 0.1
    assert after["model"].pop("dropout") == 0.0
    assert after == before
    for name in ("source.spm", "target.spm", "vocab.json"):
        assert (tmp_path / "run" / name).read_bytes() == (student / name).read_bytes()
    assert not (tmp_path / "run" / "shortlist.safetensors").exists()
    sources, targets = ([f"{pair[side]}\n" for pair in FEW] for side in (0, 1))
    (tmp_path / "in").write_text("".join(sources))
    for precision in ("fp32", "int8"):
        assert output("translate", str(tmp_path / "run"), "-i", str(tmp_path / "in"), "--precision", precision) == (
            "".join(targets)
        )
    # What was learnt can be trained on, too.
    train(tuning(tmp_path, tmp_path / "run", "training.max_steps=1"), tmp_path / "again", progress="none")
    assert metrics(tmp_path / "again")[0]["validation_loss"] < 0.1


def test_the_shortlist_goes_along_and_is_measured_with(tmp_path: Path, student: Path) -> None:
    options = ("decoding.bleu=true", "training.max_steps=40", "training.validate_every=40", "decoding.beam=1")
    train(tuning(tmp_path, student, *options), tmp_path / "run", progress="none")
    train(tuning(tmp_path, student, *options, "pretrained.shortlist=false"), tmp_path / "free", progress="none")
    name = "shortlist.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (student / name).read_bytes()
    for run, chosen in (("run", "own"), ("free", None)):
        model = attnkit.load(tmp_path / run, task="translate")
        results = model.translate([source for source, _ in FEW], beam=1, length_penalty=1.0, min_length=1)
        wanted = model.translate(
            [source for source, _ in FEW], beam=1, length_penalty=1.0, min_length=1, shortlist=chosen
        )
        assert [result.text for result in results] == [result.text for result in wanted]
        score = attnkit.metrics.text.bleu(
            [result.text for result in results], [target for _, target in FEW], "none"
        ).score
        assert metrics(tmp_path / run)[-1]["final_bleu"] == pytest.approx(score)


def test_where_nothing_is_better_the_model_stays_what_it_was(tmp_path: Path, student: Path) -> None:
    """The pretrained model counts as the first validation, and patience counts from there."""
    options = ("training.learning_rate=5.0", "training.final=best", "training.patience=2", "training.validate_every=1")
    outcome = train(tuning(tmp_path, student, *options), tmp_path / "run", progress="none")
    assert outcome.step == 2 and metrics(tmp_path / "run")[-1]["final_steps"] == [0]
    before, after = weights(student), weights(tmp_path / "run")
    assert all(after[name].tobytes() == before[name].tobytes() for name in before)


def test_an_average_is_of_what_was_learnt(tmp_path: Path, student: Path) -> None:
    options = ("training.final=average", "training.average_last=3", "training.validate_every=2")
    train(tuning(tmp_path, student, *options), tmp_path / "run", progress="none")
    assert metrics(tmp_path / "run")[-1]["final_steps"] == [2, 4]


def test_a_student_learns_without_dropout_and_is_told_of_smoothed_labels(
    tmp_path: Path, student: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Marian's file does not say its dropout; a real student writes nonsense under the 0.1 that config.json has."""
    text = (tuning(tmp_path, student), tmp_path / "tune.toml")[1].read_text().replace("dropout = 0.0\n", "")
    (tmp_path / "tune.toml").write_text(text)
    train(read_config(tmp_path / "tune.toml", ONE), tmp_path / "run", progress="plain")
    assert "label smoothing" not in capsys.readouterr().err
    train(read_config(tmp_path / "tune.toml", [*ONE, "training.label_smoothing=0.1"]), tmp_path / "2", progress="plain")
    assert "training.label_smoothing = 0 keeps that" in capsys.readouterr().err
    train(read_config(tmp_path / "tune.toml", [*ONE, "pretrained.dropout=0.2"]), tmp_path / "3", progress="none")
    rates = [attnkit.load(tmp_path / run, task="translate").model.config.dropout for run in ("run", "2", "3")]
    assert rates == [0.0, 0.0, 0.2]
    # What comes of it is float32: it may have dropout as any model, and keeps its own.
    text = text.replace(json.dumps(str(student)), json.dumps(str(tmp_path / "3")))
    (tmp_path / "tune.toml").write_text(text)
    train(read_config(tmp_path / "tune.toml", ONE), tmp_path / "4", progress="none")
    assert attnkit.load(tmp_path / "4", task="translate").model.config.dropout == 0.2


# ----- What learns


ONE = ("training.max_steps=1", "training.validate_every=1")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_what_is_frozen_stays_and_the_rest_learns_as_it_would(tmp_path: Path, student: Path, optimizer: str) -> None:
    options = (*ONE, f"training.optimizer={optimizer}", "training.weight_decay=0.1")
    train(tuning(tmp_path, student, *options), tmp_path / "all", progress="none")
    freeze = 'pretrained.freeze=["source_embedding", "encoder.*", "decoder.layers.0.ssru"]'
    train(tuning(tmp_path, student, *options, freeze), tmp_path / "some", progress="none")
    before, every, some = weights(student), weights(tmp_path / "all"), weights(tmp_path / "some")
    frozen = {name for name in before if name.startswith(("source_embedding.", "encoder.", "decoder.layers.0.ssru."))}
    assert 20 < len(frozen) < len(before) - 10
    for name in before:
        assert some[name].tobytes() == (before if name in frozen else every)[name].tobytes(), name
        assert every[name].tobytes() != before[name].tobytes(), name


def test_a_shared_parameter_is_frozen_by_any_of_its_names(tmp_path: Path, student: Path) -> None:
    config = tuning(tmp_path, student, *ONE, "pretrained.freeze=target_embedding")
    train(config, tmp_path / "run", progress="none")
    before, after = weights(student), weights(tmp_path / "run")
    same = {name for name in before if before[name].tobytes() == after[name].tobytes()}
    assert same == {"source_embedding.weight"}


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_learning_rates_multiply_the_steps_of_their_parts(tmp_path: Path, student: Path, optimizer: str) -> None:
    options = (*ONE, f"training.optimizer={optimizer}")
    rates = 'pretrained.learning_rates={"encoder.*" = 0.5, "encoder.layers.1" = 0.25, "*.query.weight" = 3.0}'
    train(tuning(tmp_path, student, *options), tmp_path / "even", progress="none")
    train(tuning(tmp_path, student, *options, rates), tmp_path / "uneven", progress="none")
    before, even, uneven = weights(student), weights(tmp_path / "even"), weights(tmp_path / "uneven")
    for name in before:
        factor = 3.0 if name.endswith(".query.weight") else 0.5 if name.startswith("encoder.") else 1.0
        factor = 0.25 if name.startswith("encoder.layers.1.") else factor
        if factor == 1.0:
            assert uneven[name].tobytes() == even[name].tobytes(), name
        expected = factor * (even[name] - before[name])
        np.testing.assert_allclose(uneven[name] - before[name], expected, rtol=1e-3, atol=2e-6, err_msg=name)


def test_guided_alignment_trains_the_head_that_a_student_has(tmp_path: Path, student: Path) -> None:
    (tmp_path / "links").write_text("".join("0-0\n" for _ in FEW))
    guided = f"training.guided_alignment.file={tmp_path / 'links'}"
    options = ("training.precision=bf16", "training.accumulate=2")
    train(tuning(tmp_path, student, *options), tmp_path / "without", progress="none")
    train(tuning(tmp_path, student, *options, guided), tmp_path / "with", progress="none")
    assert weights(tmp_path / "with")["source_embedding.weight"].tobytes() != (
        weights(tmp_path / "without")["source_embedding.weight"].tobytes()
    )


# ----- The same bytes


@pytest.mark.parametrize(
    "options",
    [
        ("training.final=average", "training.average_last=2"),
        ("training.final=best", "training.optimizer=muon", 'pretrained.learning_rates={"encoder" = 0.1}'),
        ("training.precision=bf16", 'pretrained.freeze=["encoder.*"]', "pretrained.dropout=0.2"),
    ],
    ids=["average", "best", "frozen"],
)
def test_a_stopped_run_goes_on_to_the_same_bytes_without_the_model_and_with_any_number_of_threads(
    tmp_path: Path, student: Path, options: tuple[str, ...]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(student, model)
    more = ("training.max_steps=6", "training.validate_every=2", "decoding.bleu=true", *options)
    threads = attnkit.get_num_threads()
    try:
        attnkit.set_num_threads(1)
        train(tuning(tmp_path, model, *more), tmp_path / "whole", progress="none")
        attnkit.set_num_threads(2)
        train(tuning(tmp_path, model, *more, "training.max_steps=3"), tmp_path / "run", progress="none")
        shutil.rmtree(model)
        train(tuning(tmp_path, model, *more), tmp_path / "run", resume=True, progress="none")
    finally:
        attnkit.set_num_threads(threads)
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_the_configuration_is_written_and_read_again(tmp_path: Path, student: Path) -> None:
    config = tuning(
        tmp_path, student, 'pretrained.learning_rates={"encoder.*" = 0.1, plain = 2.0, "a\\"b" = 1.0}',
        'pretrained.freeze=["*.bias"]',
    )  # fmt: skip
    again = tmp_path / "again.toml"
    again.write_text(encode_config(config))
    assert read_config(again) == config


# ----- Models that are told both languages


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Any]:
    """Makes a tiny M2M-100 or NLLB-200, in the directory `model`; returns the folder, and transformers' model and
    tokenizer."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from m2m_checkpoint import write_checkpoint

    @functools.cache
    def make(layout: str, last: bool = False) -> tuple[Path, Any, Any]:
        folder = tmp_path_factory.mktemp("many")
        theirs = write_checkpoint(folder / "hf", layout, tokenizer={"legacy_behaviour": True} if last else None)
        convert(folder / "hf", folder / "model")
        return folder, *theirs

    return make


ENGLISH = ("pretrained.source_language=en", "pretrained.target_language=it", "data.max_length=40")


@pytest.mark.parametrize(
    ("layout", "last"), [("m2m", False), ("nllb spm", False), ("nllb json", True)], ids=["m2m", "nllb", "last"]
)
def test_a_model_of_many_languages_begins_with_the_loss_of_transformers_and_learns(
    tmp_path: Path, many: Callable[..., Any], layout: str, last: bool
) -> None:
    import torch

    made, theirs, tokenizer = many(layout, last)
    tokenizer.src_lang, tokenizer.tgt_lang = ("en", "it") if layout == "m2m" else ("eng_Latn", "ita_Latn")
    own = attnkit.load(made / "model", task="translate").target_tokenizer
    nll, count = 0.0, 0
    language = tokenizer.convert_tokens_to_ids("__it__" if layout == "m2m" else "ita_Latn")
    for source, target in FEW:
        # What tokenizer(text_target=...) gives, but where a target too has its language last.
        labels = torch.tensor([[language, *own.encode(target), 2]])
        if not last:
            assert tokenizer(text_target=target).input_ids == labels[0].tolist()
        with torch.no_grad():
            loss = theirs(input_ids=torch.tensor([tokenizer(source).input_ids]), labels=labels).loss
        nll += float(loss) * labels.shape[1]
        count += labels.shape[1]
    train(tuning(tmp_path, made / "model", *LEARN, *ENGLISH), tmp_path / "run", progress="none")
    rows = [row for row in metrics(tmp_path / "run") if "validation_loss" in row]
    assert rows[0]["validation_loss"] == pytest.approx(nll / count, rel=1e-4)
    assert rows[-1]["validation_loss"] < 0.1

    before, after = (json.loads((folder / "config.json").read_text()) for folder in (made / "model", tmp_path / "run"))
    codes = {"source_language": tokenizer.src_lang, "target_language": tokenizer.tgt_lang}
    assert after["tokenizer"] == before["tokenizer"] | codes
    (tmp_path / "in").write_text("".join(f"{source}\n" for source, _ in FEW))
    wanted = "".join(f"{own.decode(own.encode(target))}\n" for _, target in FEW)
    command = ("translate", str(tmp_path / "run"), "-i", str(tmp_path / "in"))
    assert output(*command) == output(*command, "--from", "en", "--to", "it") == wanted
    assert output(*command, "--from", "en", "--to", "de") != wanted


def test_a_source_may_say_the_language_of_its_target(tmp_path: Path, many: Callable[..., Any]) -> None:
    """The same sources have other targets by their tags."""
    made, _, _ = many("m2m")
    pairs = [(source, target) for source, target in FEW[:3]]
    other = [(f">>de<< {source}", FEW[-1 - number][1]) for number, (source, _) in enumerate(pairs)]
    train(tuning(tmp_path, made / "model", *LEARN, *ENGLISH, pairs=[*pairs, *other]), tmp_path / "run", progress="none")
    learnt = attnkit.load(tmp_path / "run", task="translate")
    own = learnt.target_tokenizer
    for to, wanted in (("it", pairs), ("de", other)):
        results = learnt.translate([source for source, _ in pairs], to=to)
        assert [result.text for result in results] == [own.decode(own.encode(target)) for _, target in wanted]
    # Where all say it, the model need not be told, nor does it take one where nobody says which.
    options = (*ONE, *ENGLISH[::2])
    train(tuning(tmp_path, made / "model", *options, pairs=other), tmp_path / "tags", progress="none")
    assert "target_language" not in json.loads((tmp_path / "tags" / "config.json").read_text())["tokenizer"]


def test_validation_translates_from_and_to_these_languages(tmp_path: Path, many: Callable[..., Any]) -> None:
    made, _, _ = many("nllb spm")
    config = tuning(tmp_path, made / "model", *ONE, *ENGLISH, "decoding.bleu=true", "decoding.beam=1")
    train(config, tmp_path / "run", progress="none")
    results = attnkit.load(tmp_path / "run", task="translate").translate(
        [source for source, _ in FEW], beam=1, length_penalty=1.0, min_length=1, source_language="en", to="it"
    )
    score = attnkit.metrics.text.chrf([result.text for result in results], [target for _, target in FEW]).score
    assert score and metrics(tmp_path / "run")[-1]["final_chrf"] == pytest.approx(score)


def test_a_stopped_run_of_many_languages_goes_on_to_the_same_bytes(tmp_path: Path, many: Callable[..., Any]) -> None:
    made, _, _ = many("nllb json", True)
    model = tmp_path / "model"
    shutil.copytree(made / "model", model)
    more = ("training.max_steps=6", "training.validate_every=2", *ENGLISH)
    train(tuning(tmp_path, model, *more), tmp_path / "whole", progress="none")
    train(tuning(tmp_path, model, *more, "training.max_steps=3"), tmp_path / "run", progress="none")
    shutil.rmtree(model)
    train(tuning(tmp_path, model, *more), tmp_path / "run", resume=True, progress="none")
    assert content(tmp_path / "run") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("options", "pairs", "message"),
    [
        (ENGLISH[1:], FEW, "pretrained.source_language: expected one of 202 languages, such as ace_Arab,"),
        (ENGLISH[::2], FEW, "pretrained.target_language: expected one of 202 languages, such as ace_Arab,"),
        ((*ENGLISH, "pretrained.target_language=zh"), FEW, "pretrained.target_language: expected one of 202 languages, "
         "perhaps zho_Hans, zho_Hant, "),
        (ENGLISH, [(">>zh<< a", "b")], "data.train: expected one of 202 languages, perhaps zho_Hans, zho_Hant, "),
        ((*ENGLISH, "tokenizer.bpe_dropout=0.1"), FEW, 'tokenizer.bpe_dropout: expected 0 for the kind "'),
    ],
    ids=["no source", "no target", "unknown", "tag", "dropout"],
)  # fmt: skip
def test_a_language_that_is_not_there_is_one_line(
    tmp_path: Path, many: Callable[..., Any], options: tuple[str, ...], pairs: list[tuple[str, str]], message: str
) -> None:
    made, _, _ = many("nllb spm")
    tuning(tmp_path, made / "model", pairs=pairs)
    command = ("train", str(tmp_path / "tune.toml"), "--out", str(tmp_path / "run"))
    assert message in complaint(*command, *(word for option in options for word in ("--set", option)), status=2)


# ----- Models of attnkit's own


def test_a_model_of_several_languages_wants_their_tags(tmp_path: Path) -> None:
    lines = [f"{source}\t{target}\t{language}" for source, target in (("a b", "A B"), ("b", "B")) for language in "xy"]
    (tmp_path / "pairs.tsv").write_text("".join(f"{line}\n" for line in lines))
    several = ('data.format="tsv"', "data.languages=true", *(f"data.{s}=['{tmp_path}/pairs.tsv']" for s in SPLITS))
    short = ("training.max_steps=2", "training.schedule=constant", "decoding.bleu=false")
    train(read_config(copy_task(tmp_path), [*several, *short]), tmp_path / "first", progress="none")
    train(tuning(tmp_path, tmp_path / "first", *several, "decoding.bleu=true"), tmp_path / "second", progress="none")
    assert attnkit.load(tmp_path / "second", task="translate").languages == ("x", "y")
    with pytest.raises(ConfigError, match=r"data.languages: expected a tag for each source, such as >>x<<"):
        train(tuning(tmp_path, tmp_path / "first"), tmp_path / "third", progress="none")
    (tmp_path / "pairs.tsv").write_text("a\tA\tz\n")
    with pytest.raises(ConfigError, match=r"data.languages: expected those .* only x, y, got z"):
        train(tuning(tmp_path, tmp_path / "first", *several), tmp_path / "third", progress="none")


SPLITS = ("train", "validation")


def test_a_recurrent_model_and_bpe_dropout(tmp_path: Path) -> None:
    text = copy_task(tmp_path).read_text()
    head, rest = text.split("[model]")
    (tmp_path / "copy.toml").write_text(f'{head}[model]\ntype = "recurrent"\n{rest[rest.index("[training]") :]}')
    sizes = ("model.embedding_size=8", "model.hidden_size=8", "tokenizer.kind=bpe", "tokenizer.vocab_size=20")
    short = ("training.max_steps=2", "training.schedule=constant", "decoding.bleu=false")
    train(read_config(tmp_path / "copy.toml", [*sizes, *short]), tmp_path / "first", progress="none")
    pairs = [("a b", "A B"), ("c d", "C D")]
    config = tuning(tmp_path, tmp_path / "first", "tokenizer.bpe_dropout=0.1", pairs=pairs)
    train(config, tmp_path / "second", progress="none")
    assert attnkit.load(tmp_path / "second", task="translate").model.config.dropout == 0.0
    with pytest.raises(ConfigError, match=r"pretrained.attention_dropout: expected none, which this model"):
        train(
            tuning(tmp_path, tmp_path / "first", "pretrained.attention_dropout=0.1", pairs=pairs),
            tmp_path / "third",
            progress="none",
        )


# ----- What is wrong


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.type=transformer", "model: expected none beside pretrained.model"),
        ("tokenizer.vocab_size=99", "tokenizer: expected none but bpe_dropout beside pretrained.model"),
        ("pretrained.frozen=true", "pretrained.frozen: unknown key (did you mean freeze?)"),
        ("pretrained.learning_rates={encoder = 0.0}", "pretrained.learning_rates[...]: expected float > 0.0"),
        ("pretrained.model=", "pretrained.model: expected str of length >= 1"),
    ],
)
def test_a_wrong_file_is_refused_as_it_is_read(tmp_path: Path, student: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        tuning(tmp_path, student, override)
    assert str(raised.value).startswith(f"{tmp_path / 'tune.toml'}: {message}")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["pretrained.freeze=encodr.*"], "pretrained.freeze: expected a part of the model, got 'encodr.*' (did you"),
        (['pretrained.learning_rates={"head" = 2.0}'], "pretrained.learning_rates: expected a part of the model, got"),
        (['pretrained.freeze="*"'], "pretrained.freeze: expected something left to learn"),
        (["data.max_length=1024"], "data.max_length: expected less than model.max_length = 1024"),
        (["pretrained.model=nowhere"], "nowhere: no such directory"),
        (["tokenizer.bpe_dropout=0.1"], 'tokenizer.bpe_dropout: expected 0 for the kind "marian"'),
        (["pretrained.target_language=de"], "pretrained.target_language: expected none, which this model"),
    ],
)
def test_what_does_not_fit_the_model_is_one_line_and_can_be_tried_again(
    tmp_path: Path, student: Path, overrides: list[str], message: str
) -> None:
    tuning(tmp_path, student)
    options = [word for override in overrides for word in ("--set", override)]
    command = ("train", str(tmp_path / "tune.toml"), "--out", str(tmp_path / "run"))
    status = 2 if message.startswith(("pretrained", "data", "tokenizer")) else 1
    assert message in complaint(*command, *options, status=status)
    output(*command, "--set", "training.max_steps=1")
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_only_translators_are_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "text"
    config = tiny(tmp_path, "training.max_steps=1", "training.final=last", "decoding.bleu=false")
    train(config, folder, progress="none")
    table = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(table | {"task": "language-model"}))
    with pytest.raises(ConfigError, match=r"pretrained.model: expected a translation model, got one of the task"):
        train(tuning(tmp_path, folder), tmp_path / "run", progress="none")


def test_a_vocabulary_of_another_size_is_noticed(tmp_path: Path, student: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(student, broken)
    pieces = json.loads((broken / "vocab.json").read_text())
    (broken / "vocab.json").write_text(json.dumps([*pieces, "more"]))
    with pytest.raises(ValueError, match=r"expected tokenizers of 49 and 49 entries, as the model has, got 50 and 50"):
        train(tuning(tmp_path, broken), tmp_path / "run", progress="none")


def test_unknown_words_are_counted(tmp_path: Path, student: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [("the cat", "die süße 猫"), ("the dog", "il cane")]
    train(
        tuning(tmp_path, student, *ONE, 'pretrained.freeze="*.bias"', pairs=pairs), tmp_path / "run", progress="plain"
    )
    told = capsys.readouterr().err
    assert "training data: 0 source tokens and " in told and "are unknown to the model's vocabulary" in told
    assert f"pretrained: {student}; " in told and " parameters stay as they are" in told
