"""`attnkit translate` with text as people have it: paragraphs, loops, unknown words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import attnkit_run, complaint, output
from untrained_model import write_untrained_model

import attnkit

LINES = ["  the cat. a dog!  “the house.”", "", "table", "a (red) dog? - the cat. "]
TEXT = "".join(f"{line}\n" for line in LINES)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model")
    write_untrained_model(path)
    return str(path)


def test_paragraphs(model: str, tmp_path: Path) -> None:
    results = attnkit.load(model).translate(LINES, paragraphs=True, attention=True)
    expected = [result.text for result in results]
    arguments = ("--paragraphs", "--alignments", tmp_path / "links", "--attention", tmp_path / "maps.json")
    done = attnkit_run("translate", model, *arguments, text=TEXT)
    assert done.returncode == 0 and done.stdout.decode().split("\n") == [*expected, ""]
    assert expected[0].startswith("  ") and expected[0].endswith("”") and expected[0].count("“") == 1
    links = [" ".join(f"{i}-{j}" for i, j in result.alignment) for result in results]
    assert (tmp_path / "links").read_text().splitlines() == links
    assert b"attention of 6 lines" in done.stderr  # a map of each sentence
    titles = [each["title"] for each in json.loads((tmp_path / "maps.json").read_bytes())["maps"]]
    assert titles == [sentence.source for result in results for sentence in result.sentences]


def test_sentences_in_json_lines(model: str) -> None:
    records = [
        json.loads(line) for line in output("translate", model, "--paragraphs", "--jsonl", text=TEXT).splitlines()
    ]
    assert [record["source"] for record in records] == LINES
    assert [each["source"] for each in records[0]["sentences"]] == ["the cat.", "a dog!", "the house."]
    assert set(records[0]["sentences"][0]) == {"source", "text", "score", "tokens", "truncated"}
    assert records[0]["score"] == pytest.approx(sum(each["score"] for each in records[0]["sentences"]))
    assert "sentences" not in records[1] and len(records[2]["sentences"]) == 1


def test_a_long_line_is_split_and_the_message_says_how(model: str) -> None:
    line = "the cat sees a dog " * 5 + "\n"
    cut = attnkit_run("translate", model, text=line)
    assert cut.stderr.decode().splitlines()[-1].endswith("--max-length allows; --paragraphs splits long lines")
    whole = output("translate", model, "--paragraphs", "--jsonl", text=line)
    assert len(json.loads(whole)["sentences"]) > 2
    cut = attnkit_run("translate", model, "--paragraphs", "--max-length", "1", text=line)
    assert b"--max-length allows\n" in cut.stderr


def test_nbest_of_paragraphs_is_refused(model: str) -> None:
    assert "expected nbest 1 with paragraphs, got 3" in complaint(
        "translate", model, "--paragraphs", "--nbest", "3", text=TEXT, status=2
    )


LOOPING = "dog house sees red red\n"


def test_loops_are_named_and_options_end_them(model: str) -> None:
    # The untrained model loses its way where only one token is likely.
    free = attnkit_run("translate", model, "--min-length", "11", "--beam", "1", text=f"\n{LOOPING}")
    assert b"1 translation is a loop of words, of line 2: --repetition-penalty 1.2 or" in free.stderr
    record = json.loads(output("translate", model, "--min-length", "11", "--beam", "1", "--jsonl", text=LOOPING))
    assert record["looped"] is True
    for remedy in (("--no-repeat-ngram", "2"), ("--repetition-penalty", "8")):
        done = attnkit_run("translate", model, "--min-length", "11", "--beam", "1", *remedy, text=LOOPING)
        assert b"a loop of words" not in done.stderr


def test_what_is_kept_stands_as_often_as_in_the_source(model: str) -> None:
    lines = ["the {name} sees <b>a dog</b>", "", "<hr>", "the cat. the {name}: 12,5 dogs"]
    text = "".join(f"{line}\n" for line in lines)
    arguments = ("--keep", "tags", "--keep", r"\{\w+\}", "--keep", "numbers")
    for more in ((), ("--paragraphs",)):
        written = output("translate", model, *arguments, *more, text=text).splitlines()
        assert written[1:3] == ["", "<hr>"]
        assert [written[0].count(kept) for kept in ("{name}", "<b>", "</b>")] == [1, 1, 1]
        assert [written[3].count(kept) for kept in ("{name}", "12,5")] == [1, 1]
    twice = attnkit_run("translate", model, *arguments, "--prefix", "12,5", text=text)
    assert b"2 translations are without all that --keep keeps, or with more of it, of line 1, 4\n" in twice.stderr
    message = complaint("translate", model, "--keep", "(", text=text, status=2)
    assert "expected tags, placeholders, numbers or a regular expression to keep, got '('" in message


def test_unknown_words_are_copied(model: str) -> None:
    translator = attnkit.load(model)
    lines = ["zebra " * count + "cat" for count in range(1, 9)]
    results = translator.translate(lines, copy_unknown=True)
    text = "".join(f"{line}\n" for line in lines)
    written = output("translate", model, "--copy-unknown", text=text)
    assert written.splitlines() == [result.text for result in results] and "zebra" in written
    assert "zebra" not in output("translate", model, text=text)
