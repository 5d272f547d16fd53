"""Summaries of documents: in Python and at the command line, whole or as far as the model reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import attnkit_run, complaint, output

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

from seq2seq_checkpoint import write_checkpoint

import attnkit
from attnkit.data.arrivals import PAUSE
from attnkit.interop import convert

DOCUMENTS = ["A man rides a horse.\n\nThe dog runs.\n", "the red house", "", "two women " * 40, "a dog  and\ta child"]
ROOM = 48 - 2  # of the model, without what stands around a document


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("summarize")
    generation = {"num_beams": 3, "early_stopping": True, "min_length": 5, "length_penalty": 2.0}
    write_checkpoint(folder / "hf", generation=generation)
    convert(folder / "hf", folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def summarizer(model: Path) -> attnkit.Summarizer:
    return attnkit.load(model, task="summarize")


def test_a_summary_does_not_depend_on_what_else_is_summarized(summarizer: attnkit.Summarizer) -> None:
    together = [(each.text, each.score) for each in summarizer.summarize(DOCUMENTS)]
    assert together == [(each.text, each.score) for text in DOCUMENTS for each in summarizer.summarize([text])]
    assert together == [(each.text, each.score) for each in summarizer.summarize(DOCUMENTS, batch_tokens=1)]
    stream = summarizer.summarize_stream(iter([DOCUMENTS[0], PAUSE, *DOCUMENTS[1:]]), window=2)
    assert together == [(each.text, each.score) for each in stream]
    assert together[2] == ("", 0.0) and len({score for _, score in together}) == len(together)


def test_threads_change_no_summary(model: Path, summarizer: attnkit.Summarizer) -> None:
    before = attnkit.get_num_threads()
    try:
        found = []
        for threads in (1, 3):
            attnkit.set_num_threads(threads)
            found.append([each.text for each in summarizer.summarize(DOCUMENTS * 4, batch_tokens=64)])
    finally:
        attnkit.set_num_threads(before)
    assert found[0] == found[1]


def test_what_is_not_read_is_counted(summarizer: attnkit.Summarizer) -> None:
    long = summarizer.summarize([DOCUMENTS[3]], attention=True)[0]
    tokens = len(summarizer.source_tokenizer.encode(DOCUMENTS[3]))
    assert long.truncated and long.unread == tokens - ROOM > 0
    assert len(long.source_tokens) == 48 and long.source_tokens[-1] == "</s>"
    assert long.attention is not None and long.attention.shape == (len(long.tokens), 48)
    np.testing.assert_allclose(long.attention.sum(axis=1), 1.0, atol=1e-5)
    others = summarizer.summarize(DOCUMENTS[:3])
    assert not any(each.truncated for each in others)


def test_options_of_the_search(summarizer: attnkit.Summarizer) -> None:
    document = DOCUMENTS[0]
    for length in (4, 9):
        assert len(summarizer.summarize([document], min_length=length, max_length=length)[0].tokens) == length
    best, *_ = summarizer.summarize([document], nbest=3)
    assert len(best.alternatives) == 2 and best.score >= best.alternatives[0].score >= best.alternatives[1].score
    samples = [summarizer.summarize([document], sample=True, seed=seed)[0].text for seed in range(4)]
    assert len(set(samples)) > 1
    for options, message in (
        ({"max_length": 1000}, "expected max_length <= 46"),
        ({"min_length": 7, "max_length": 6}, "min_length <= max_length"),
        ({"rules": "attnkit", "early_stopping": True}, 'rules "transformers" with early_stopping'),
        ({"window": 0}, "expected window >= 1"),
    ):
        with pytest.raises(ValueError, match=message):
            summarizer.summarize_stream([document], **options)  # type: ignore[arg-type]
    assert summarizer.summarize([document], rules="attnkit")[0].text  # its own early_stopping is no longer meant
    with pytest.raises(TypeError, match="expected a list of documents, got one string"):
        summarizer.summarize(document)
    with pytest.raises(TypeError, match="expected text in document 2, got int"):
        summarizer.summarize([document, 5])  # type: ignore[list-item]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_precisions(model: Path, precision: str) -> None:
    loaded = attnkit.load(model, precision, task="summarize")  # type: ignore[arg-type]
    exact = attnkit.load(model, task="summarize").summarize(DOCUMENTS[:2], beam=1)
    found = loaded.summarize(DOCUMENTS[:2], beam=1)
    assert all(each.tokens for each in found)
    assert [each.score for each in found] != [each.score for each in exact]


def test_all_attention_of_a_summary(summarizer: attnkit.Summarizer) -> None:
    maps = summarizer.attention(DOCUMENTS[0])
    assert set(maps) == {"encoder", "decoder", "cross"}
    [summary] = summarizer.summarize([DOCUMENTS[0]], attention=True)
    cross = maps["cross"]
    assert cross.weights.shape == (2, 2, len(summary.tokens) + 2, len(summary.source_tokens))
    # Before the summary's own tokens stands the forced one, behind them the end.
    np.testing.assert_allclose(cross.weights[-1].mean(0)[1:-1], summary.attention, atol=1e-5)
    assert (
        list(maps["decoder"].queries[:2]) == ["</s>", "<s>"] and maps["decoder"].query_axis == "summary so far (read)"
    )
    with pytest.raises(ValueError, match="expected a document with a word"):
        summarizer.attention(" \n")


def test_a_prompt_stands_before_each_document(model: Path, summarizer: attnkit.Summarizer, tmp_path: Path) -> None:
    """T5 is told so what to do."""
    for file in model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    table = json.loads((model / "config.json").read_text())
    table |= {"prompts": {"summarize": "the dog: "}, "default_prompt": "summarize"}
    (tmp_path / "config.json").write_text(json.dumps(table))
    told = attnkit.load(tmp_path, task="summarize").summarize(["a red house", ""])
    [expected] = summarizer.summarize(["the dog: a red house"])
    assert (told[0].text, told[0].source_tokens) == (expected.text, expected.source_tokens)
    assert told[1].text == "" and told[1].source_tokens == []


# ----- The command


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("documents")
    for number, text in enumerate(DOCUMENTS[:4]):
        (folder / f"{number}.txt").write_text(text)
    with gzip.open(folder / "4.txt.gz", "wt") as file:
        file.write(DOCUMENTS[4])
    return sorted(folder.iterdir())


def test_files_are_documents(model: Path, files: list[Path], summarizer: attnkit.Summarizer) -> None:
    # What ends a file's last line is no part of its text.
    expected = [each.text for each in summarizer.summarize([text.removesuffix("\n") for text in DOCUMENTS])]
    done = attnkit_run("summarize", model, *files)
    assert done.stdout.decode().splitlines() == expected
    said = done.stderr.decode()
    unread = summarizer.summarize([DOCUMENTS[3]])[0].unread
    assert said.count("\n") == 1 and "3.txt: longer than the 48 tokens that the model reads" in said
    assert f"the last {unread} are left out" in said
    assert output("summarize", model, text=DOCUMENTS[0]) == expected[0] + "\n"
    assert output("summarize", model, "-", "--beam", "1", text="") == "\n"


def test_lines_and_records_are_documents(model: Path, summarizer: attnkit.Summarizer) -> None:
    lines = ["the red house", "", "a dog"]
    expected = "".join(each.text + "\n" for each in summarizer.summarize(lines))
    assert output("summarize", model, "--lines", text="\n".join(lines)) == expected
    records = "\n".join(json.dumps({"n": 1, "body": text}) for text in lines)
    assert output("summarize", model, "--text-key", "body", text=records) == expected
    found = output("summarize", model, "--lines", "--jsonl", "--nbest", "2", text="\n".join([*lines, DOCUMENTS[3]]))
    first, empty, _, long = map(json.loads, found.splitlines())
    assert first["document"] == "standard input, line 1" and first["truncated"] is False and first["unread"] == 0
    assert len(first["alternatives"]) == 1 and first["text"] and first["tokens"]
    assert empty["text"] == "" and long["truncated"] is True and long["unread"] > 0


def test_attention_and_outputs(model: Path, tmp_path: Path) -> None:
    drawing, summary = tmp_path / "look.json", tmp_path / "summary.txt"
    output("summarize", model, "-o", summary, "--attention", drawing, text=DOCUMENTS[0])
    assert summary.read_text().strip() and drawing.stat().st_size
    output("summarize", model, "--attention", tmp_path / "all.html", "--kind", "cross", text=DOCUMENTS[0])
    assert (tmp_path / "all.html").stat().st_size
    assert "summarize, reads text" in output("inspect", model)
    assert "cross" in output("attention", model, "the red house")


def test_what_is_wrong_is_said(model: Path, tmp_path: Path) -> None:
    assert "no such file" in complaint("summarize", model, tmp_path / "none").lower()
    assert "got both" in complaint("summarize", model, "--lines", "--text-key", "a", status=2)
    assert "max_length <= 46" in complaint("summarize", model, "--max-length", "99", status=2)
    assert "expected a string under 'a'" in complaint("summarize", model, "--text-key", "a", text="{}")
    assert "expected UTF-8" in complaint("summarize", model, text=b"\xff")
    assert "which attnkit summarize runs" in complaint("translate", model, text="a")
    table = json.loads((model / "config.json").read_text())
    for changes in ({"first": 10**6}, {"first": -1}, {"early_stopping": 3}):
        broken = tmp_path / "broken"
        broken.mkdir(exist_ok=True)
        for file in model.iterdir():
            (broken / file.name).write_bytes(file.read_bytes())
        (broken / "config.json").write_text(json.dumps({**table, "decoding": {**table["decoding"], **changes}}))
        assert next(iter(changes)) in complaint("summarize", broken, text="a")
