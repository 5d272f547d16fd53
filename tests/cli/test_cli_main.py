"""The command line as a process: its help, its exit statuses, and the one line that it says when something fails."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

import attnkit
from attnkit.cli import main
from attnkit.cli.main import COMMANDS, group
from attnkit.cli.shared import errors

# Output that waits in Python's buffer until the end, as it does for users whatever this machine's environment says.
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def attnkit_command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "attnkit.cli.main", *arguments],
        capture_output=options.pop("capture_output", True),
        text=True,
        timeout=60,
        **{"env": BUFFERED, **options},
    )


def test_help_fits_a_screen_and_lists_every_command() -> None:
    result = attnkit_command("--help")
    assert result.returncode == 0 and result.stderr == ""
    lines = result.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    for name, summary in COMMANDS.items():
        assert any(line.split()[:1] == [name] and line.endswith(summary) for line in lines), name


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from attnkit.cli import main; from attnkit.cli.shared import errors\n"
        "assert errors.status_of(lambda: main.run(['--help'])) == 0\n"
        "assert not {'attnkit.cli.doctor', 'attnkit.training', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_listed_command_exists_and_has_help(name: str) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None and command.name == name
    assert command.get_short_help_str(limit=200)


def test_version() -> None:
    assert attnkit_command("--version").stdout == f"attnkit {attnkit.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "nonsense"),
        (["--nonsense"], "--nonsense"),
        (["doctor", "--nonsense"], "see attnkit doctor --help"),
        (["completion", "tcsh"], "tcsh"),
        (["completion"], "Missing argument"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments: list[str], words: str) -> None:
    result = attnkit_command(*arguments)
    assert result.returncode == 2 and result.stdout == ""
    assert words in result.stderr and result.stderr.count("\n") == 1


def test_no_command_shows_the_help_and_is_bad_usage() -> None:
    result = attnkit_command()
    assert result.returncode == 2 and result.stdout == "" and "Usage: attnkit" in result.stderr


def test_python_m_attnkit_is_the_command_and_calls_itself_so() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        process = [sys.executable, "-m", "attnkit", *arguments]
        return subprocess.run(process, capture_output=True, text=True, env=BUFFERED, timeout=60)

    assert run("--version").stdout == f"attnkit {attnkit.__version__}\n"
    assert run("--help").stdout.startswith("Usage: python -m attnkit [OPTIONS] COMMAND")
    assert run("doctor", "--help").stdout.startswith("Usage: python -m attnkit doctor [OPTIONS]")
    wrong = run("doctor", "--nonsense")
    assert wrong.returncode == 2 and "see python -m attnkit doctor --help" in wrong.stderr
    installed = attnkit_command("doctor", "--help")  # main() without a name, as the console script calls it
    assert installed.stdout.startswith("Usage: attnkit doctor [OPTIONS]")


def fails_with(error: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def command() -> None:
        raise error

    status = errors.status_of(command)
    output = capsys.readouterr()
    assert output.out == ""
    return status, output.err


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file", "a.txt"), 1, "attnkit: a.txt: No such file\n"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "attnkit: No space left on device\n"),
        (OSError("cannot read it"), 1, "attnkit: cannot read it\n"),
        (ValueError("[train] expected lr > 0,\n  got -1"), 1, "attnkit: [train] expected lr > 0, got -1\n"),
        (ValueError("name\x1b[31m\u202e"), 1, "attnkit: name\ufffd[31m\ufffd\n"),
        (FloatingPointError("loss is NaN at step 7"), 1, "attnkit: loss is NaN at step 7\n"),
        (MemoryError(), 1, "attnkit: not enough memory\n"),
        (MemoryError("std::bad_alloc"), 1, "attnkit: not enough memory\n"),
        (ModuleNotFoundError("No module named 'x'", name="x"), 1,
         "attnkit: the Python package x is needed for this and is not installed\n"),
        (UnicodeDecodeError("utf-8", b"ab\xff", 2, 3, "bad"), 1,
         "attnkit: expected UTF-8 text, got the byte 0xff at position 2\n"),
        (KeyError("heads"), 1, "attnkit: internal error: KeyError: 'heads' (ATTNKIT_TRACEBACK=1 shows where)\n"),
        (RuntimeError(), 1, "attnkit: internal error: RuntimeError: (ATTNKIT_TRACEBACK=1 shows where)\n"),
        (click.ClickException("no model"), 1, "attnkit: no model\n"),
        (click.UsageError("no file"), 2, "attnkit: no file (see attnkit --help)\n"),
        (KeyboardInterrupt(), 130, "attnkit: interrupted\n"),
        (KeyboardInterrupt("saved at step 5"), 130, "attnkit: saved at step 5\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
        (click.exceptions.Exit(3), 3, ""),
    ],
)  # fmt: skip
def test_every_exception_has_its_status_and_its_line(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ATTNKIT_TRACEBACK", raising=False)
    assert fails_with(error, capsys) == (status, line)


def test_traceback_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNKIT_TRACEBACK", "1")
    with pytest.raises(KeyError):
        fails_with(KeyError("heads"), capsys)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_under_stdout() -> None:
    with open("/dev/full", "w") as full:
        result = attnkit_command("completion", "zsh", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert result.returncode == 1
    assert result.stderr == f"attnkit: {os.strerror(errno.ENOSPC)}\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("ending", "said"), [("pass", os.strerror(errno.ENOSPC)), ("raise ValueError('first')", "first")]
)
def test_output_that_fails_only_at_the_end(ending: str, said: str) -> None:
    code = (
        "import sys; from attnkit.cli.shared import errors\n"
        f"def command(): sys.stdout.write('x' * 100); {ending}\n"
        "sys.exit(errors.status_of(command))\n"
    )
    with open("/dev/full", "w") as full:
        process = [sys.executable, "-c", code]
        result = subprocess.run(process, stdout=full, stderr=subprocess.PIPE, text=True, env=BUFFERED, timeout=60)
    assert (result.returncode, result.stderr) == (1, f"attnkit: {said}\n")


def test_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = attnkit_command("--help", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


def test_interrupt_is_one_line_and_status_130() -> None:
    code = (
        "import sys, time; from attnkit.cli.shared import errors\n"
        "def command(): print('ready', flush=True); time.sleep(60)\n"
        "sys.exit(errors.status_of(command))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "attnkit: interrupted\n")


@pytest.mark.parametrize("module", ["attnkit", "attnkit.cli.main"])
@pytest.mark.parametrize("imported", ["numpy", "attnkit._core", "click", "attnkit.cli.main"])
def test_an_interrupt_during_imports_leaves_no_traceback(tmp_path: Path, module: str, imported: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {imported!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    environment = {**BUFFERED, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    process = [sys.executable, "-m", module, "doctor"]
    result = subprocess.run(process, capture_output=True, text=True, env=environment, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (-signal.SIGINT, "", "")


def test_control_c_is_as_ever_for_programs_that_import_attnkit() -> None:
    code = "import signal, attnkit; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("closed", [">&-", ">&- <&-", ">/dev/full"])
@pytest.mark.parametrize("arguments", [["--help"], ["completion", "zsh"]])
def test_results_that_go_nowhere_are_a_failure(closed: str, arguments: list[str]) -> None:
    line = f"{shlex.join([sys.executable, '-m', 'attnkit.cli.main', *arguments])} {closed}"
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=BUFFERED, timeout=60)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr.startswith("attnkit: ") and result.stderr.count("\n") == 1 and "internal" not in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_and_its_answers(shell: str) -> None:
    script = attnkit_command("completion", shell)
    assert script.returncode == 0 and main.VARIABLE in script.stdout
    words = {"COMP_WORDS": "attnkit doc", "COMP_CWORD": "doc" if shell == "fish" else "1"}
    answer = attnkit_command(env={**BUFFERED, main.VARIABLE: f"{shell}_complete", **words})
    assert answer.returncode == 0 and "doctor" in answer.stdout


def test_doctor_in_json_and_in_words() -> None:
    found = json.loads(attnkit_command("doctor", "--json").stdout)
    assert found["active_isa"] in found["supported_isas"]
    assert 1 <= found["affinity_cpus"] <= found["machine_cpus"]
    assert found["threads"] >= 1 and (found["quota"] is None or found["quota"] > 0)
    assert found["fp32_gflops"] > 0 and found["bf16_gflops"] > 0
    pays = found["bf16_gflops"] >= 1.1 * found["fp32_gflops"] and found["active_isa"] in ("avx512_bf16", "amx")
    assert found["precision_that_pays"] == ("bf16" if pays else "fp32")
    assert set(found["paths"]) == {"bf16 products", "int8 products"}
    assert found["versions"]["attnkit"] == attnkit.__version__

    text = attnkit_command("doctor")
    assert text.returncode == 0 and found["cpu"] in text.stdout and found["active_isa"] in text.stdout
