"""Training with guided alignment: what a head learns, where alignments come from, the same bytes however it runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from training_runs import COPY_LINES, content, copy_task, tiny

import attnkit
from attnkit.tasks.translate.alignment import align, alignment_error
from attnkit.text.alignment import AlignedPair, alignment_error_rate, read_alignments
from attnkit.training import ConfigError, read_config, train

# A target word is aligned with the word at the other end of the source, for which words alone give no reason.
MIRRORED = [
    AlignedPair(line, line.upper(), tuple((i, count - 1 - i) for i in range(count)))
    for line in COPY_LINES
    for count in [len(line.split())]
]
HEAD = ("model.alignment_head=1", "model.heads=4")


def guided(folder: Path, *overrides: str) -> object:
    file = folder / "train.pharaoh"
    file.write_text("".join(f"{pair.pharaoh()}\n" for pair in MIRRORED))
    return read_config(copy_task(folder), [f"training.guided_alignment.file={file}", *overrides])


def error_of(folder: Path) -> float:
    return alignment_error(attnkit.load(folder, task="translate"), MIRRORED)


# ----- What is learnt


def test_the_head_learns_the_alignments_and_without_them_does_not(tmp_path: Path) -> None:
    train(guided(tmp_path, *HEAD), tmp_path / "with", progress="none")
    train(read_config(copy_task(tmp_path), HEAD), tmp_path / "without", progress="none")
    assert error_of(tmp_path / "with") <= 0.05
    assert error_of(tmp_path / "without") >= 0.4
    translator = attnkit.load(tmp_path / "with", task="translate")
    assert [result.text for result in translator.translate(COPY_LINES)] == [line.upper() for line in COPY_LINES]


def test_a_recurrent_model_learns_them(tmp_path: Path) -> None:
    recurrent = ("embedding_size=24", "hidden_size=32")
    task = copy_task(tmp_path)
    head, model, tail = task.read_text().partition("[model]")
    kept = tail[tail.index("[training]") :]
    task.write_text(f'{head}{model}\ntype = "recurrent"\ndropout = 0.0\n{kept}')
    file = tmp_path / "train.pharaoh"
    file.write_text("".join(f"{pair.pharaoh()}\n" for pair in MIRRORED))
    sizes = [f"model.{size}" for size in recurrent]
    config = read_config(task, [*sizes, f"training.guided_alignment.file={file}", "training.guided_alignment.weight=1"])
    train(config, tmp_path / "run", progress="none")
    assert error_of(tmp_path / "run") <= 0.05


def test_the_weight_decides(tmp_path: Path) -> None:
    """None at all is a run without it; more is another one."""
    short = ("training.max_steps=4", "training.warmup_steps=2", *HEAD)
    configs = {
        "without": read_config(copy_task(tmp_path), short),
        "zero": guided(tmp_path, "training.guided_alignment.weight=0", *short),
        "some": guided(tmp_path, "training.guided_alignment.weight=0.1", *short),
        "more": guided(tmp_path, "training.guided_alignment.weight=0.5", *short),
    }
    found = {}
    for name, config in configs.items():
        train(config, tmp_path / name, progress="none")
        found[name] = (tmp_path / name / "model.safetensors").read_bytes()
    assert found["zero"] == found["without"] and len(set(found.values())) == 3


# ----- The same bytes


def test_a_stopped_run_goes_on_to_the_same_bytes_with_any_number_of_threads(tmp_path: Path) -> None:
    options = ("model.alignment_head=1", "training.guided_alignment.weight=0.3", "decoding.bleu=false")
    before = attnkit.get_num_threads()
    try:
        attnkit.set_num_threads(1)
        train(tiny(tmp_path, *options), tmp_path / "whole", progress="none")
        attnkit.set_num_threads(2)
        train(tiny(tmp_path, *options, "training.max_steps=5"), tmp_path / "run", progress="none")
        train(tiny(tmp_path, *options), tmp_path / "run", resume=True, progress="none")
    finally:
        attnkit.set_num_threads(before)
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_bpe_dropout_and_bf16_go_on_too(tmp_path: Path) -> None:
    options = [
        *("tokenizer.kind=bpe", "tokenizer.vocab_size=60", "tokenizer.bpe_dropout=0.1", "training.precision=bf16"),
        *("model.alignment_head=0", "training.guided_alignment.weight=0.3", "decoding.bleu=false"),
    ]
    train(tiny(tmp_path, *options), tmp_path / "whole", progress="none")
    train(tiny(tmp_path, *options, "training.max_steps=5"), tmp_path / "run", progress="none")
    train(tiny(tmp_path, *options), tmp_path / "run", resume=True, progress="none")
    assert content(tmp_path / "run") == content(tmp_path / "whole")


# ----- Alignments by models


@pytest.fixture(scope="module")
def aligner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aligner")
    train(guided(folder, *HEAD), folder / "run", progress="none")
    return folder / "run"


def test_models_make_alignments(tmp_path: Path, aligner: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that a model finds in the training pairs, which the run keeps: it goes on without the model."""
    shutil.copytree(aligner, tmp_path / "aligner")
    options = (f'training.guided_alignment.models=["{tmp_path / "aligner"}"]', *HEAD, "training.schedule=constant")
    config = read_config(copy_task(tmp_path), options)
    train(read_config(copy_task(tmp_path), [*options, "training.max_steps=60"]), tmp_path / "run", progress="plain")
    assert "aligning 8 sentence pairs with" in capsys.readouterr().err
    made = list(read_alignments(tmp_path / "run" / "train.align"))
    assert made == [tuple(links) for links in align(attnkit.load(aligner, task="translate"), MIRRORED)]
    train(config, tmp_path / "whole", progress="none")
    shutil.rmtree(tmp_path / "aligner")
    train(config, tmp_path / "run", resume=True, progress="none")
    assert error_of(tmp_path / "run") <= 0.05
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_both_directions_make_alignments(tmp_path: Path) -> None:
    """The second model reads targets; its attention, turned round, is added."""
    short = ("training.max_steps=2", "training.warmup_steps=1", *HEAD)
    train(read_config(copy_task(tmp_path), short), tmp_path / "there", progress="none")
    turned = [f'data.{split}=["{tmp_path}/target", "{tmp_path}/source"]' for split in ("train", "validation")]
    train(guided(tmp_path, *HEAD, *turned), tmp_path / "back", progress="none")
    models = json.dumps([str(tmp_path / "there"), str(tmp_path / "back")])
    config = read_config(copy_task(tmp_path), [f"training.guided_alignment.models={models}", *short])
    train(config, tmp_path / "run", progress="none")
    made = list(read_alignments(tmp_path / "run" / "train.align"))
    there, back = (attnkit.load(tmp_path / name, task="translate") for name in ("there", "back"))
    assert made == [tuple(links) for links in align(there, MIRRORED, back)]
    assert made != [tuple(links) for links in align(there, MIRRORED)]
    assert alignment_error_rate(made, [pair.alignment for pair in MIRRORED]) < 0.1


def test_a_failed_start_can_be_begun_anew(tmp_path: Path, aligner: Path) -> None:
    """What a run with models leaves before its first checkpoint does not keep it from its folder."""
    options = (f'training.guided_alignment.models=["{aligner}"]', "training.max_steps=2", "training.warmup_steps=1")
    config = read_config(copy_task(tmp_path), [*options, *HEAD])
    validation = tmp_path / "source"
    train(config, tmp_path / "whole", progress="none")
    missing = read_config(copy_task(tmp_path), [*options, *HEAD, f'data.validation=["{validation}", "none"]'])
    with pytest.raises(FileNotFoundError):  # once the alignments are made
        train(missing, tmp_path / "run", progress="none")
    assert (tmp_path / "run" / "train.align").exists()
    train(config, tmp_path / "run", progress="none")
    assert content(tmp_path / "run") == content(tmp_path / "whole")


# ----- What is wrong


def test_a_file_with_other_lines(tmp_path: Path) -> None:
    config = guided(tmp_path, *HEAD)
    file = tmp_path / "train.pharaoh"
    lines = file.read_text().splitlines()
    for number, wrong, message in (
        (9, "0-0", rf"{file}: expected links for 8 sentence pairs, got 9 lines"),
        (2, "0-3", rf"{file}, line 2: expected links between 3 source and 3 target words, counted from 0, got 0-3"),
        (3, "2-0", rf"{file}, line 3: expected links between 2 source and 2 target words, counted from 0, got 2-0"),
        (4, "0", rf"expected links such as 0-1, got '0' in {file}, line 4"),
    ):
        changed = [*lines]
        changed[number - 1 : number] = [wrong]
        file.write_text("".join(f"{line}\n" for line in changed))
        with pytest.raises(ValueError, match=message):
            train(config, tmp_path / "run", progress="none")
    file.write_text("0-0\n")
    with pytest.raises(ValueError, match="expected links for 8 sentence pairs, got 1 lines"):
        train(config, tmp_path / "run", progress="none")
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"train\.pharaoh"):
        train(config, tmp_path / "run", progress="none")


def test_a_pair_left_out_has_its_line(tmp_path: Path) -> None:
    """Lines of alignments are counted with those of the text, empty ones too."""
    config = guided(tmp_path, *HEAD, "training.max_steps=2", "training.warmup_steps=1")
    for name in ("source", "target"):
        lines = (tmp_path / name).read_text().splitlines()
        (tmp_path / name).write_text("".join(f"{line}\n" for line in ["", *lines]))
    file = tmp_path / "train.pharaoh"
    file.write_text("\n" + file.read_text())
    train(config, tmp_path / "run", progress="none")
    file.write_text(file.read_text().removeprefix("\n"))
    with pytest.raises(ValueError, match="line 1: expected links between 0 source and 0 target words"):
        train(config, tmp_path / "other", progress="none")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "model.alignment_head: expected a head for training.guided_alignment, got none"),
        (['training.guided_alignment.models=["a"]'], "file: expected a file of alignments or models .*, got both"),
        (['training.guided_alignment.models=["a","b","c"]'], "training.guided_alignment.models: "),
        (["training.guided_alignment.weight=-1"], "training.guided_alignment.weight: "),
        (["training.guided_alignment.fil=x"], r"training.guided_alignment.fil: unknown key \(did you mean file\?\)"),
        (["training.guided_alignment.file=", "model.alignment_head=0"], "guided_alignment.file: expected a file of al"),
        (["model.alignment_head=2"], "model.alignment_head: expected a number from 0 to 1, got 2"),
    ],
)
def test_a_configuration_that_makes_no_sense(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        guided(tmp_path, *overrides)


@pytest.mark.parametrize(("key", "value"), [("score", "none"), ("normaliser", "hard")])
def test_an_attention_that_cannot_learn_them(key: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"model.{key}: expected .* for training.guided_alignment, got "):
        read_config("en-it-recurrent", [f"model.{key}={value}", "training.guided_alignment.weight=0.1"])
