"""Models of many languages at the command line: --from and --to, and checkpoints that are refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import attnkit_run, complaint, output

pytest.importorskip("torch")
pytest.importorskip("transformers")

from m2m_checkpoint import write_checkpoint

import attnkit
from attnkit.cli import main
from attnkit.cli.shared import errors

LINES = "the dog\n\n>>fra_Latn<< a red house\n"
FROM_TO = ("--from", "en", "--to", "ita_Latn")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nllb") / "hf"
    write_checkpoint(folder, layout="nllb both")
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "src_lang": None}))  # as the public ones
    return folder


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Path:
    target = checkpoint.parent / "model"
    assert output("convert", checkpoint, target) == ""
    return target


def test_from_and_to(model: Path, tmp_path: Path) -> None:
    translator = attnkit.load(model, task="translate")
    italian, _, french = translator.translate(LINES.splitlines(), source_language="eng_Latn", to="ita_Latn")
    expected = f"{italian.text}\n\n{french.text}\n"
    assert output("translate", model, *FROM_TO, text=LINES) == expected
    files = ("--attention", tmp_path / "map.json", "--alignments", tmp_path / "links")
    records = output("translate", model, *FROM_TO, "--jsonl", "--nbest", "2", "--beam", "2", *files, text=LINES)
    first = json.loads(records.splitlines()[0])
    assert first["source"] == "the dog" and len(first["alternatives"]) == 1 and "eng_Latn" not in first["tokens"]
    assert (tmp_path / "map-1.json").is_file() or (tmp_path / "map.json").is_file()
    assert (tmp_path / "links").read_text().count("\n") == 3
    shown = output("inspect", model)
    assert "202: ace_Arab ace_Latn" in shown
    for command in ("translate", "evaluate", "shortlist"):
        assert "--from LANGUAGE" in output(command, "--help")


def test_evaluate_and_shortlist_take_both(model: Path, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("the dog\na red house\n")
    reference = output("translate", model, *FROM_TO, "-i", tmp_path / "source")
    (tmp_path / "reference").write_text(reference)
    files = ("--source", tmp_path / "source", "--reference", tmp_path / "reference")
    report = json.loads(output("evaluate", model, *FROM_TO, *files, "--metric", "chrf", "--json"))
    assert report["chrf"]["score"] == pytest.approx(100.0)
    output("shortlist", model, *FROM_TO, "--source", tmp_path / "source", "-o", tmp_path / "list")
    listed = output("translate", model, *FROM_TO, "--shortlist", tmp_path / "list", "-i", tmp_path / "source")
    assert listed.count("\n") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--to", "it"), "by source_language or --from, got none"),
        (("--from", "english", "--to", "it"), "got 'english'"),
        (("--from", "en", "--to", "zh"), "perhaps zho_Hans, zho_Hant"),
    ],
)
def test_bad_usage(model: Path, options: tuple[str, ...], message: str) -> None:
    assert message in complaint("translate", model, *options, text="the dog\n", status=2)


def test_a_model_for_one_language_refuses_it(tmp_path: Path) -> None:
    from untrained_model import write_untrained_model

    write_untrained_model(tmp_path)
    message = complaint("translate", tmp_path, "--from", "en", text="the dog\n", status=2)
    assert "expected no source language: the model reads only one, got 'en'" in message


def test_a_line_without_a_language_to_write(model: Path) -> None:
    done = attnkit_run("translate", model, "--from", "en", text="the dog\n")
    assert done.returncode == 1 and b"for line 1, got none; say it by to" in done.stderr and not done.stdout


# ----- Checkpoints that are refused


def config(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: change(folder / "config.json", changes)


def generation(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: change(folder / "generation_config.json", changes)


def settings(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: change(folder / "tokenizer_config.json", changes)


def change(file: Path, changes: dict[str, Any]) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def without_model(**changes: Any) -> Callable[[Path], None]:
    """tokenizer.json alone, some of its `model` or other parts changed."""

    def apply(folder: Path) -> None:
        (folder / "sentencepiece.bpe.model").unlink()
        table = json.loads((folder / "tokenizer.json").read_text())
        parts = {key: table["model"] | value if key == "model" else value for key, value in changes.items()}
        (folder / "tokenizer.json").write_text(json.dumps(table | parts))

    return apply


def no_tokenizer(folder: Path) -> None:
    for name in ("sentencepiece.bpe.model", "tokenizer.json"):
        (folder / name).unlink()


def cut(folder: Path) -> None:
    file = folder / "sentencepiece.bpe.model"
    file.write_bytes(file.read_bytes()[:40])


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "experts": (config(model_type="nllb-moe"), "a mixture of experts"),
    "architecture": (config(architectures=["M2M100Model"]), "M2M100ForConditionalGeneration"),
    "no vocabulary": (config(vocab_size=0), "vocab_size"),
    "small vocabulary": (config(vocab_size=100), "of shape [100, 16]"),
    "huge vocabulary": (config(vocab_size=2**40), "larger model"),
    "huge width": (config(d_model=2**30), "larger model"),
    "more layers": (config(decoder_layers=3), "model.decoder.layers.2"),
    "fewer layers": (config(encoder_layers=1), "model.encoder.layers.1"),
    "heads": (config(encoder_attention_heads=3), "divisor of d_model"),
    "padding": (config(pad_token_id=7), "<pad>"),
    "huge padding": (config(pad_token_id=2**40), "expected <pad> to be"),
    "start": (generation(decoder_start_token_id=500), "bos_id"),
    "text": (config(d_model="16"), "d_model"),
    "tokenizer of another": (settings(tokenizer_class="SMALL100Tokenizer"), "SMALL100Tokenizer"),
    "search": (generation(num_beams=0), "num_beams"),
    "language": (generation(forced_bos_token_id="it"), "forced_bos_token_id"),
    "no language": (generation(forced_bos_token_id=5), "forced_bos_token_id"),
    "no list": (settings(added_tokens_decoder=[1]), "added_tokens_decoder"),
    "an id too large": (settings(added_tokens_decoder={"4000": {"content": "xxx_Latn"}}), "ids below 400"),
    "an id taken": (settings(added_tokens_decoder={"5": {"content": "xxx_Latn"}}), "a piece for each id"),
    "source language": (settings(src_lang="xx"), "src_lang 'xx'"),
    "cut": (cut, "SentencePiece model"),
    "unigram": (without_model(model={"type": "Unigram"}), "BPE tokenizer"),
    "bytes": (without_model(model={"byte_fallback": True}), "byte_fallback"),
    "merges": (without_model(model={"merges": [["▁", "nowhere"]]}), "merges of two"),
    "order": (without_model(model={"merges": [["▁", "a"], ["▁", "t"]]}), "in the order"),
    "charsmap": (without_model(normalizer={"type": "Precompiled", "precompiled_charsmap": "!"}), "base64"),
    "normalizer": (without_model(normalizer={"type": "Lowercase"}), "Lowercase"),
    "spaces": (without_model(pre_tokenizer={"type": "ByteLevel"}), "Metaspace"),
    "no tokenizer": (no_tokenizer, "sentencepiece.bpe.model"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_what_is_refused(checkpoint: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "hf"))
    spoil, message = HOSTILE[name]
    spoil(folder)
    status = errors.status_of(lambda: main.run(["convert", str(folder), str(tmp_path / "out")]))
    said = capsys.readouterr()
    assert status == 1 and not said.out and message in said.err, said
    assert said.err.startswith("attnkit: ") and said.err.count("\n") == 1 and "internal error" not in said.err, said
    assert not (tmp_path / "out").exists()
