"""Downloads, against a server that does what servers do."""

from __future__ import annotations

import errno
from email.utils import formatdate
from pathlib import Path
from time import time

import pytest
from model_cache import Here
from model_server import Answer, ModelServer

from attnkit.hub.fetch import Unreachable, fetch

CONTENT = bytes(range(256)) * 4000
MOST = 1 << 24


@pytest.fixture
def url(server: ModelServer) -> str:
    server.files["/file"] = CONTENT
    return f"{server.url}/file"


def test_a_file_comes_whole_and_leaves_nothing_beside_it(url: str, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    fetch(url, tmp_path / "file", MOST, lambda done, total: told.append((done, total)))
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.glob("file*")] == ["file"]
    assert told[-1] == (len(CONTENT), len(CONTENT)) and [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_breaks_off_goes_on_where_it_was(server: ModelServer, url: str, tmp_path: Path) -> None:
    server.odd["/file"] = [Answer(cut=300_000), Answer(cut=200_000)]
    fetch(url, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [ranges for _, ranges in server.asked] == [None, "bytes=300000-", "bytes=500000-"]


def test_an_attempt_of_another_day_is_gone_on_with(server: ModelServer, url: str, tmp_path: Path) -> None:
    server.odd["/file"] = [Answer(cut=300_000), *[Answer(503)] * 20]
    with pytest.raises(Unreachable, match="503"):
        fetch(url, tmp_path / "file", MOST)
    assert not (tmp_path / "file").exists() and (tmp_path / "file.part").stat().st_size == 300_000
    server.odd.clear()
    server.asked.clear()
    fetch(url, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT and server.asked == [("/file", "bytes=300000-")]


@pytest.mark.parametrize("etags", [True, False])
def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(
    etags: bool, server: ModelServer, url: str, tmp_path: Path
) -> None:
    server.etags = etags  # without one, nobody can say whether it is the same
    server.odd["/file"] = [Answer(cut=300_000), *[Answer(503)] * 20]
    with pytest.raises(Unreachable):
        fetch(url, tmp_path / "file", MOST)
    server.odd.clear()
    server.files["/file"] = new = CONTENT[::-1]
    fetch(url, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == new


def test_a_server_without_ranges_sends_all_again(server: ModelServer, url: str, tmp_path: Path) -> None:
    server.ranges = False
    server.odd["/file"] = [Answer(cut=300_000)]
    fetch(url, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_that_lingers_keeps_nobody_waiting(server: ModelServer, url: str, tmp_path: Path) -> None:
    server.lingers = True
    begin = time()
    fetch(url, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT and time() - begin < 20


def test_a_partial_file_that_is_too_long_is_begun_anew(server: ModelServer, url: str, tmp_path: Path) -> None:
    server.odd["/file"] = [Answer(cut=300_000), *[Answer(503)] * 20]
    with pytest.raises(Unreachable):
        fetch(url, tmp_path / "file", MOST)
    server.odd.clear()
    with open(tmp_path / "file.part", "ab") as file:
        file.write(bytes(2 * len(CONTENT)))
    fetch(url, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("said", "waits"),
    [("7", (7, 7)), ("in 20 seconds", (10, 21)), (None, (0.4, 1)), ("soon", (0.4, 1))],
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_is_asked_again(
    status: int, said: str | None, waits: tuple[float, float], server: ModelServer, url: str, tmp_path: Path, here: Here
) -> None:
    if said == "in 20 seconds":
        said = formatdate(time() + 20, usegmt=True)
    server.odd["/file"] = [Answer(status, **({"Retry_After": said} if said else {}))]
    fetch(url, tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert len(here.waited) == 1 and waits[0] <= here.waited[0] <= waits[1]


def test_a_server_that_stays_busy_is_not_asked_for_ever(
    server: ModelServer, url: str, tmp_path: Path, here: Here
) -> None:
    server.always["/file"] = Answer(429)
    with pytest.raises(Unreachable, match=r"/file: 429 Too Many Requests"):
        fetch(url, tmp_path / "file", MOST)
    assert len(server.asked) == 5 and len(here.waited) == 4
    server.always["/file"] = Answer(503, Retry_After="86400")
    with pytest.raises(Unreachable):
        fetch(url, tmp_path / "file", MOST)
    assert len(server.asked) == 6 and len(here.waited) == 4  # nobody waits for a day


def test_what_is_not_there_is_not_asked_for_again(server: ModelServer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="/none: 404 Not Found"):
        fetch(f"{server.url}/none", tmp_path / "file", MOST)
    server.always["/secret"] = Answer(403)
    with pytest.raises(OSError, match="/secret: 403 Forbidden"):
        fetch(f"{server.url}/secret", tmp_path / "file", MOST)
    assert len(server.asked) == 2 and not list(tmp_path.glob("file*"))


def test_redirects_are_followed_within_the_web(server: ModelServer, url: str, tmp_path: Path) -> None:
    server.always["/old"] = Answer(302, Location=url)
    fetch(f"{server.url}/old", tmp_path / "file", MOST)
    assert (tmp_path / "file").read_bytes() == CONTENT
    for place in (f"file://{tmp_path}/file", "ftp://127.0.0.1/file", "data:,x"):
        server.always["/old"] = Answer(302, Location=place)
        with pytest.raises(OSError, match=r"expected to be sent to https|302 Found"):
            fetch(f"{server.url}/old", tmp_path / "new", MOST)
    server.always["/old"] = Answer(302, Location=f"{server.url}/old")
    with pytest.raises(OSError, match=r"302 Found|redirect"):
        fetch(f"{server.url}/old", tmp_path / "new", MOST)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("address", ["file:///etc/hostname", "ftp://127.0.0.1/x", "/etc/hostname"])
def test_only_the_web_is_read(address: str, tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError)):
        fetch(address, tmp_path / "file", MOST)
    assert not list(tmp_path.glob("file*"))


def test_a_file_beyond_its_bound_is_refused_whatever_the_server_says(
    server: ModelServer, url: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="expected a file of at most 1,000 bytes"):
        fetch(url, tmp_path / "file", 1000)
    assert not list(tmp_path.glob("file*"))  # nothing of it was taken
    server.lengths = False
    with pytest.raises(ValueError, match="expected a file of at most 600,000 bytes"):
        fetch(url, tmp_path / "file", 600_000)
    assert (tmp_path / "file.part").stat().st_size <= 600_000 and not (tmp_path / "file").exists()


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="Connection refused"):
        fetch("http://127.0.0.1:9/file", tmp_path / "file", MOST)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_with_the_file_that_did_not_fit(url: str, tmp_path: Path) -> None:
    (tmp_path / "file.part").symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        fetch(url, tmp_path / "file", MOST)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / "file.part")
    assert not (tmp_path / "file").exists()
