"""A program behind pipes that waits for the answer to each line, whatever the command and its window."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from command_line import command, output

FORMAT = Path(__file__).parent.parent / "data" / "formats" / "1"
PICTURES = sorted((FORMAT / "data" / "pictures").glob("*/*.png"))[:4]
TEXTS = ["the dog", "", "a cat sees", "table"]

COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    "translate": (["translate", "translate"], TEXTS),
    "generate": (["generate", "language-model", "-i", "-"], TEXTS),
    "classify": (["classify", "classify-text"], TEXTS),
    "classify --text-key": (
        ["classify", "classify-text", "--text-key", "t", "-"],
        [json.dumps({"t": text}) for text in TEXTS],
    ),
    "caption": (["caption", "caption", "-"], list(map(str, PICTURES))),
    "classify images": (["classify", "classify-images", "-"], list(map(str, PICTURES))),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_line_is_answered_before_the_next_is_sent(name: str) -> None:
    (verb, model, *options), lines = COMMANDS[name]
    arguments = [verb, str(FORMAT / "models" / model), *options]
    expected = output(*arguments, text="".join(f"{line}\n" for line in lines)).splitlines(keepends=True)
    assert len(expected) == len(lines)
    with subprocess.Popen(command(*arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None and process.stdout is not None
        for line, answer in zip(lines[:2], expected[:2], strict=True):
            process.stdin.write(line.encode() + b"\n")
            assert process.stdout.readline().decode() == answer
        # Half of a line is none yet: what is before it is answered.
        process.stdin.write(f"{lines[2]}\n{lines[3][:1]}".encode())
        assert process.stdout.readline().decode() == expected[2]
        process.stdin.write(lines[3][1:].encode())
        process.stdin.close()
        assert process.stdout.readline().decode() == expected[3]
        assert process.stdout.readline() == b"" and process.wait(30) == 0


@pytest.mark.parametrize("name", ["caption", "classify images"])
def test_lists_of_find_print0(name: str, tmp_path: Path) -> None:
    (verb, model, *options), _ = COMMANDS[name]
    odd = tmp_path / "with a\nline end.png"
    odd.write_bytes(PICTURES[0].read_bytes())
    paths = [str(odd), *map(str, PICTURES)]
    written = output(verb, FORMAT / "models" / model, *options, text="".join(f"{path}\0" for path in paths))
    assert [line.split("\t")[0] for line in written.splitlines()] == [path.replace("\n", " ") for path in paths]
