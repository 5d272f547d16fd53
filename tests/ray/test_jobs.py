"""Jobs over files on a cluster of one machine: nothing lost, nothing twice, whatever dies on the way."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import command
from embedding_model import save_embedder

import attnkit
from attnkit.ray.job import Job
from attnkit.ray.part_writer import Done
from attnkit.ray.session import session
from attnkit.ray.work import Work

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("ray.data", reason="Ray Data is not installed")
parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own

FORMATS = Path(__file__).parents[1] / "data" / "formats" / "1"
MODEL = FORMATS / "models" / "translate"
WORDS = ["the cat", "a dog", "the house", "the bird", "the man"]
VERBS = ["sees", "finds", "has"]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[Any]:
    """Two nodes with a CPU each, for all tests here."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    sizes = {"num_cpus": 1, "object_store_memory": 80 << 20}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    more = {"include_dashboard": False, "ray_client_server_port": port}
    nodes = Cluster(initialize_head=True, head_node_args={**sizes, **more})
    nodes.client_address = f"ray://127.0.0.1:{port}"
    nodes.add_node(**sizes)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def write_lines(path: Path, count: int) -> list[str]:
    """Lines of which no two neighbours are alike, so that one too many or too few shows."""
    lines = [f"{WORDS[n % 5]} {VERBS[n // 5 % 3]} {WORDS[n // 15 % 5]}" if n % 17 else "" for n in range(count)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lines


def job_of(path: Path, output: Path, **more: Any) -> Job:
    options = more.pop("options", {"beam": 1, "max_length": 8})
    return Job(Work(task="translate", model=str(MODEL), options=options), [str(path)], str(output), **more)


def whole(output: Path, name: str) -> bytes:
    """What `cat part-*` gives."""
    return b"".join(part.read_bytes() for part in sorted((output / name).glob("part-*")))


def translations(lines: list[str]) -> bytes:
    model = attnkit.load(MODEL, threads=1)
    results = model.translate(lines, beam=1, max_length=8)  # type: ignore[union-attr]
    return b"".join(result.text.encode() + b"\n" for result in results)


def workers() -> list[int]:
    """The processes of this cluster that translate."""
    found, parents = [], {os.getpid()}
    for _ in range(3):  # the cluster's own processes stand between
        for entry in Path("/proc").iterdir():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                title = (entry / "cmdline").read_bytes()
            except (OSError, ValueError, IndexError):
                continue
            if parent in parents and int(entry.name) not in parents:
                parents.add(int(entry.name))
                if title.startswith(b"ray::MapWorker"):
                    found.append(int(entry.name))
    return found


def test_a_worker_that_is_killed_in_the_middle_costs_no_line_and_no_order(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines.txt", 9000)
    job = job_of(tmp_path / "lines.txt", tmp_path / "out", part_size=500)
    done: list[Done] = []
    for each in job.run("auto", workers=2):
        done.append(each)
        if len(done) == 1:  # results come late where the machine is busy: most parts must be to come
            killed = workers()
            for process in killed:
                os.kill(process, signal.SIGKILL)
            assert killed and len(list((tmp_path / "out" / "lines.txt").glob("part-*"))) < 18, "in the middle"
    assert {each.part.target for each in done} == {part.target for part in job.parts}
    assert len(done) == 18 and all(each.failure is None for each in done)
    assert whole(tmp_path / "out", "lines.txt") == translations(lines)
    assert not list((tmp_path / "out" / "lines.txt").glob(".*"))


def test_a_line_that_is_no_text_costs_its_part_alone_until_it_is_mended(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    lines = write_lines(good, 40)
    bad.write_bytes(b"the cat\n" * 25 + b"the \xff\n" + b"the dog\n" * 14)
    (tmp_path / "none.txt").write_bytes(b"")
    (tmp_path / "end.txt").write_bytes(b"the cat sees")
    output = tmp_path / "out"
    job = job_of(tmp_path / "*.txt", output, part_size=20)
    failures = [each.failure for each in job.run("auto") if each.failure]
    assert len(failures) == 1 and "bad.txt, line 26: expected UTF-8, got byte 0xff at column 5" in str(failures[0])
    assert whole(output, "good.txt") == translations(lines)
    assert whole(output, "none.txt") == b"" and len(list((output / "none.txt").iterdir())) == 1
    assert whole(output, "end.txt") == translations(["the cat sees"])
    assert len(whole(output, "bad.txt").splitlines()) == 20
    bad.write_bytes(bad.read_bytes().replace(b"\xff", b"bird"))
    again = job_of(tmp_path / "*.txt", output, part_size=20)
    assert [Path(part.target).name for part in again.missing] == ["part-00001-of-00002.txt"]
    assert [each.failure for each in again.run("auto")] == [None]
    assert whole(output, "bad.txt") == translations(bad.read_text().splitlines())


def test_what_a_worker_refuses_ends_the_job_with_a_line(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.txt", 10)
    job = job_of(tmp_path / "a.txt", tmp_path / "out", options={"beam": 1, "nbest": 3})
    with pytest.raises(RuntimeError, match="expected nbest") as caught:
        list(job.run("auto"))
    assert "\n" not in str(caught.value)


def test_more_threads_than_a_node_has_are_an_error(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.txt", 10)
    job = Job(Work(task="translate", model=str(MODEL), threads=2), [str(tmp_path / "a.txt")], str(tmp_path / "out"))
    with pytest.raises(ValueError, match="expected at most 1 threads, the CPUs of a node, got 2"):
        list(job.run("auto"))


def test_a_command_that_is_interrupted_goes_on_where_it_was(cluster: Any, tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines.txt", 4000)
    output = tmp_path / "out"
    arguments = command(
        "translate", MODEL, "--ray", cluster.address, "-i", tmp_path / "lines.txt", "-o", output, "--beam", "1",
        "--max-length", "8", "--part-size", "100", "--workers", "2",
    )  # fmt: skip
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while len(list(output.glob("lines.txt/part-*"))) < 2 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    said = stderr.decode().splitlines()
    assert process.returncode == 130, said
    assert re.search(r"interrupted: \d+ of 40 parts are there; the same command makes the others$", said[-1]), said
    assert stdout == b""
    there = len(list(output.glob("lines.txt/part-*")))
    assert 2 <= there < 40
    done = subprocess.run(arguments, capture_output=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr.decode()
    assert f"in 40 parts, {there} of them there already" in done.stderr.decode()
    assert whole(output, "lines.txt") == translations(lines)


def test_a_machine_outside_the_cluster_has_its_job_done_there(cluster: Any, tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="Ray's client needs grpcio")
    lines = write_lines(tmp_path / "lines.txt", 100)
    arguments = command(
        "translate", MODEL, "--ray", cluster.client_address, "-i", tmp_path / "lines.txt", "-o", tmp_path / "out",
        "--beam", "1", "--max-length", "8", "--part-size", "30",
    )  # fmt: skip
    done = subprocess.run(arguments, capture_output=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr.decode()
    assert whole(tmp_path / "out", "lines.txt") == translations(lines)
    refused = subprocess.run(
        [*arguments, "--nbest", "3", "-o", tmp_path / "other"], capture_output=True, timeout=100
    ).stderr.decode()
    assert re.search(r"^attnkit: \[ray\] .*expected nbest", refused.splitlines()[-1])


def test_datasets_in_and_out(tmp_path: Path) -> None:
    """Texts to Parquet by a key, and from there to files of text."""
    lines = write_lines(tmp_path / "lines.txt", 300)
    made = attnkit.ray.translate(str(tmp_path / "lines.txt"), MODEL, key="line", beam=1, max_length=8)
    made.write_parquet(str(tmp_path / "parquet"))
    kept = ray.data.read_parquet(str(tmp_path / "parquet"))
    rows = [row for file in sorted((tmp_path / "parquet").iterdir()) for row in parquet.read_table(file).to_pylist()]
    assert [row["text"] for row in rows] == lines
    assert "".join(row["translation"] + "\n" for row in rows).encode() == translations(lines)
    attnkit.ray.write_text(kept, str(tmp_path / "text"), "translation")
    written = b"".join(file.read_bytes() for file in (tmp_path / "text").iterdir())
    assert sorted(written.splitlines()) == sorted(translations(lines).splitlines())


def test_vectors_are_the_models_own(tmp_path: Path) -> None:
    folder = save_embedder(tmp_path / "model")
    texts = ["the cat sees a dog", "", "a bird sings"]
    data = ray.data.from_items([{"id": number, "text": text} for number, text in enumerate(texts)])
    rows = sorted(attnkit.ray.embed(data, folder).take_all(), key=lambda row: row["id"])
    expected = attnkit.load(folder, task="embed").embed(texts)
    assert [row["vector"].tolist() for row in rows] == expected.tolist()


def test_images_are_captioned_by_their_names(tmp_path: Path) -> None:
    """One that cannot be read is said, and the others are captioned."""
    model = FORMATS / "models" / "caption"
    images = [str(path) for path in sorted((FORMATS / "data" / "pictures").rglob("*.png"))]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    work = Work(task="caption", model=str(model))
    job = Job(work, [], str(tmp_path / "out"), images=[*images[:4], str(broken), *images[4:]], part_size=5)
    unread = [reason for each in job.run("auto") for reason in each.unread]
    assert len(unread) == 1 and "broken.png" in unread[0]
    captions = attnkit.load(model, task="caption").caption(images)
    expected = "".join(f"{name}\t{each.text}\n" for name, each in zip(images, captions, strict=True))
    assert whole(tmp_path / "out", "images").decode() == expected


def test_a_connected_program_stays_connected() -> None:
    with session("auto"):
        pass
    assert ray.is_initialized()


def test_a_node_that_dies_costs_no_line_and_no_order(cluster: Any, tmp_path: Path) -> None:
    """The last test here: the node is not there any more."""
    lines = write_lines(tmp_path / "lines.txt", 6000)
    job = job_of(tmp_path / "lines.txt", tmp_path / "out", part_size=300)
    done: list[Done] = []
    for each in job.run("auto", workers=2):
        done.append(each)
        if len(done) == 6:
            [second] = cluster.worker_nodes
            cluster.remove_node(second, allow_graceful=False)
    assert [each.failure for each in done] == [None] * 20
    assert whole(tmp_path / "out", "lines.txt") == translations(lines)
