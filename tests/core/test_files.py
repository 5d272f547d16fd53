"""`attnkit.files.atomic_write`: the old file or the new one, whole, whatever happens in between."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from attnkit.files import atomic_folder, atomic_write, check_writable, remove_leftovers


def test_writes_bytes_and_text_and_leaves_nothing_else(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.bin") as binary:
        binary.write(b"\x00\xff")
    with atomic_write(tmp_path / "b.txt", "w") as text:
        text.write("è sul tavolo\n")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b.txt").read_bytes() == "è sul tavolo\n".encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "b.txt"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    with atomic_write(path, "w") as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_an_exception_changes_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path) as file:
        file.write(b"half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_file_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught, atomic_write(path) as file:
        file.write(b"new")
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX limits")
def test_a_file_that_grows_past_the_limit_changes_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys\n"
        "from attnkit.files import atomic_write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with atomic_write(sys.argv[1]) as file: file.write(bytes(100_000))\n"
        "except OSError as error: sys.exit(0 if error.filename == sys.argv[1] else 3)\n"
        "sys.exit(4)\n"
    )
    result = subprocess.run([sys.executable, "-B", "-c", code, str(tmp_path / "state")], timeout=60)
    assert result.returncode == 0 and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_kill_in_the_middle_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    code = (
        "import os, signal, sys\n"
        "from attnkit.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write(b'new'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], timeout=60).returncode == -signal.SIGKILL
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["missing/file", "file/below"])
def test_a_folder_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught, atomic_write(tmp_path / name):
        pass
    assert caught.value.filename == str(tmp_path / name)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), atomic_write(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError), atomic_write(tmp_path / "a"):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_link_is_followed_and_permissions_are_kept(tmp_path: Path) -> None:
    path, link = tmp_path / "real", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    with atomic_write(link, "w") as file:
        file.write("new")
    assert link.is_symlink() and path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with atomic_write(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_device_is_written_and_not_replaced(tmp_path: Path) -> None:
    with atomic_write(os.devnull) as file:
        file.write(b"gone")
    assert not Path(os.devnull).is_file() and Path(os.devnull).exists()


# ----- Descriptors by name: written as they are


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "link"])
def test_a_descriptor_that_appends_goes_on_appending(tmp_path: Path, name: str) -> None:
    (tmp_path / "log").write_text("before\n")
    with open(tmp_path / "log", "ab") as log:
        path = tmp_path / "link" if name == "link" else Path(name.format(log.fileno()))
        if name == "link":
            path.symlink_to(f"/dev/fd/{log.fileno()}")
        check_writable(path)
        with atomic_write(path, "w") as file:
            file.write("after\n")
        log.write(b"still open\n")
    assert (tmp_path / "log").read_text() == "before\nafter\nstill open\n"
    assert {entry.name for entry in tmp_path.iterdir()} <= {"log", "link"}


def test_a_pipe_and_a_socket_by_their_descriptors() -> None:
    ours, theirs = os.pipe()
    one, other = socket.socketpair()
    for end in (theirs, other.fileno()):
        check_writable(f"/dev/fd/{end}")
        with atomic_write(f"/dev/fd/{end}") as file:
            file.write(b"text")
    assert os.read(ours, 10) == b"text" and one.recv(10) == b"text"
    for descriptor in (ours, theirs):
        os.close(descriptor)
    one.close()
    other.close()


def test_a_descriptor_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with open(tmp_path / "file") as reading:
        path = f"/dev/fd/{reading.fileno()}"
        for attempt in (check_writable, lambda path: atomic_write(path).__enter__()):
            with pytest.raises(OSError, match="Bad file descriptor") as caught:
                attempt(path)
            assert caught.value.filename == path
    assert (tmp_path / "file").read_text() == "old"


# ----- What a killed process leaves


def begin(path: Path, kind: str, then: str) -> subprocess.Popen[bytes]:
    """A process that has begun to write `path`, and says so."""
    code = (
        "import os, signal, sys, time\n"
        "from attnkit.files import atomic_folder, atomic_write\n"
        f"with atomic_{kind}(sys.argv[1]) as new:\n"
        "    (new / 'a').write_text('new') if sys.argv[2] == 'folder' else new.write(b'new')\n"
        f"    print('begun', flush=True); {then}\n"
    )
    arguments = [sys.executable, "-c", code, str(path), kind]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"begun\n"
    return process


def write(path: Path, kind: str) -> None:
    if kind == "folder":
        with atomic_folder(path) as new:
            (new / "b").write_text("whole")
    else:
        with atomic_write(path, "w") as file:
            file.write("whole")


@pytest.mark.parametrize("kind", ["write", "folder"])
def test_the_next_attempt_removes_what_killed_ones_left(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    killed = [begin(path, kind, "time.sleep(60)") for _ in range(2)]  # two at once
    for process in killed:
        process.kill()
        process.communicate(timeout=60)
    assert len(list(tmp_path.iterdir())) == 2
    write(path, kind)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert kind == "write" or [entry.name for entry in path.iterdir()] == ["b"]


@pytest.mark.parametrize("kind", ["write", "folder"])
def test_what_a_living_process_is_writing_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    living = begin(path, kind, "sys.stdin.readline()")
    living_at = list(tmp_path.iterdir())
    remove_leftovers(tmp_path)
    if kind == "write":
        write(path, kind)  # beside it
        assert path.read_text() == "whole"
    assert set(living_at) <= set(tmp_path.iterdir())
    living.communicate(timeout=60)
    assert living.returncode == 0 and [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert (path if kind == "write" else path / "a").read_text() == "new"


def test_leftovers_of_a_folder_are_removed_and_nothing_else(tmp_path: Path) -> None:
    process = begin(tmp_path / "out", "write", "os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate(timeout=60)
    (tmp_path / ".attnkit-0123456789abcdef.tmp").write_text("of version 0.1.0")
    (tmp_path / "kept.tmp").write_text("")
    remove_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.tmp"]


def test_a_link_of_a_temporary_name_is_not_followed(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "out"):
        (temporary,) = tmp_path.iterdir()
    (tmp_path / "victim").write_text("old")
    temporary.symlink_to(tmp_path / "victim")
    write(tmp_path / "out", "write")
    assert (tmp_path / "victim").read_text() == "old" and (tmp_path / "out").read_text() == "whole"


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "new" / "out") as new:
        (new / "half").write_text("")
        raise KeyboardInterrupt
    assert list((tmp_path / "new").iterdir()) == []


def test_a_name_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    with atomic_write(path, "w") as file:
        file.write("x")
    assert path.read_text() == "x"


def test_another_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'\[atomic_write\] expected mode "w" or "wb", got'):
        atomic_write(tmp_path / "a", "a")  # type: ignore[call-overload]


def test_whether_a_file_can_be_written_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old").write_text("old")
    for path in (tmp_path / "new", tmp_path / "old", Path(os.devnull)):
        check_writable(path)
    for path, error in ((tmp_path, IsADirectoryError), (tmp_path / "no" / "x", FileNotFoundError)):
        with pytest.raises(error) as raised:
            check_writable(path)
        assert raised.value.filename == str(path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError):
        check_writable(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
