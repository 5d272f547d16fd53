"""Fetching from the Hugging Face Hub: which files, whose weights, what is checked, and every way in which it fails."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import FakeHub, wait_for
from snapshot_run import command, run

library = pytest.importorskip("huggingface_hub")
retries = pytest.mark.skipif(int(library.__version__.split(".")[0]) < 2, reason="huggingface_hub 1 gives up sooner")

REPO = "Tests-NLP/opus-mt-en-it"
CARD = b"---\nlanguage: en\nlicense: apache-2.0\n---\n# A translator\n"
BESIDE = {
    "README.md": CARD,
    "config.json": b'{"model_type": "marian"}',
    "generation_config.json": b"{}",
    "source.spm": b"source pieces",
    "target.spm": b"target pieces",
    "tokenizer_config.json": b"{}",
    "vocab.json": b"{}",
}
NEVER = {
    ".gitattributes": b"",
    "tf_model.h5": b"tensorflow",
    "flax_model.msgpack": b"flax",
    "rust_model.ot": b"rust",
    "onnx/model.onnx": b"onnx",
    "onnx/config.json": b"{}",
    "model.fp16.safetensors": b"another variant",
    "adapter_model.safetensors": b"a part of a model",
    "training_args.bin": b"a pickle",
}
SAFE = {"model.safetensors": b"safe weights " * 2000}
PICKLE = {"pytorch_model.bin": b"pickled weights " * 2000}
LINE = 2000  # the longest that the command line prints


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        yield server


@pytest.fixture
def env(hub: FakeHub, tmp_path: Path) -> dict[str, str]:
    return hub.environment(tmp_path / "hf")


def names(found: dict[str, Any]) -> set[str]:
    assert "error" not in found, found
    return set(found["files"])


def content(found: dict[str, Any], name: str) -> bytes:
    assert "error" not in found, found
    return (Path(found["folder"]) / name).read_bytes()


def complaint(found: dict[str, Any], kind: str) -> str:
    """The line of an error of this type, which must be one and no bug's."""
    assert found.get("error") == kind, found
    line = str(found["line"])
    assert "\n" not in line and line.startswith(f"[hub] {REPO}: ") and len(line) < LINE, line
    return line


# ----- Which files


def test_only_what_conversion_reads_is_fetched(hub: FakeHub, env: dict[str, str], tmp_path: Path) -> None:
    commit = hub.commit(REPO, BESIDE | NEVER | SAFE | PICKLE)
    found = run(REPO, env=env)
    assert names(found) == {*BESIDE, *SAFE}
    assert found["revision"] == commit and found["licence"] == "apache-2.0"
    assert content(found, "model.safetensors") == SAFE["model.safetensors"]
    assert Path(found["folder"]).is_relative_to(tmp_path / "hf" / "hub")
    assert {path.rsplit("/", 1)[1] for path in hub.asked("/resolve/", "HEAD")} == {*BESIDE, *SAFE}
    assert found["said"] == [f"{REPO}: fetching 0.0 MB from {hub.endpoint}"] and found["stderr"] == ""


def test_shards_come_with_their_index(hub: FakeHub, env: dict[str, str]) -> None:
    shards = {f"model-0000{i}-of-00002.safetensors": b"shard %d" % i for i in (1, 2)}
    index = json.dumps(
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    )
    hub.commit(REPO, BESIDE | shards | {"model.safetensors.index.json": index.encode()} | PICKLE)
    assert names(run(REPO, env=env)) == {*BESIDE, *shards, "model.safetensors.index.json"}
    found = run(REPO, "--offline", env=env)
    (Path(found["folder"]) / "model-00002-of-00002.safetensors").unlink()
    assert "does not have main whole" in complaint(run(REPO, "--offline", env=env), "FileNotFoundError")


def test_a_directory_of_ctranslate2(hub: FakeHub, env: dict[str, str]) -> None:
    files = {
        "config.json": b"{}",
        "model.bin": b"weights",
        "source_vocabulary.json": b"[]",
        "target_vocabulary.txt": b"",
    }
    hub.commit(REPO, files | {"README.md": b"# No licence"} | PICKLE)
    found = run(REPO, env=env)
    assert names(found) == {*files, "README.md"} and found["licence"] is None


def test_files_of_marian_itself(hub: FakeHub, env: dict[str, str]) -> None:
    files = {
        "model.enit.intgemm.alphas.bin": b"weights",
        "vocab.enit.spm": b"pieces",
        "lex.50.50.enit.s2t.bin": b"lexicon",
    }
    hub.commit(REPO, files | NEVER)
    assert names(run(REPO, env=env)) == {*files}


def test_nothing_leaves_the_folder(hub: FakeHub, env: dict[str, str], tmp_path: Path) -> None:
    hub.commit(
        REPO, BESIDE | SAFE | {"../../vocab.json": b"evil", "sub/vocab.json": b"evil", "..\\vocab.json": b"evil"}
    )
    assert names(run(REPO, env=env)) == {*BESIDE, *SAFE}
    assert not any(path.read_bytes() == b"evil" for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "name", ["gpt2", "../a", "a/..", "a/b/c", "a/", "/a", "a/b c", "a/b\n", "a--b/c", "a/b.git", ""]
)
def test_a_name_that_is_none(name: str, env: dict[str, str], hub: FakeHub) -> None:
    from attnkit.hub.huggingface import snapshot

    with pytest.raises(ValueError, match=r"^\[hub\] expected a repository's name"):
        snapshot(name, None, offline=False, say=print)


@pytest.mark.parametrize("revision", ["../x", "a//b", "/a", "a/", "a..b", "-x", "", "a b", "a\n", "x" * 300])
def test_a_revision_that_is_none(revision: str) -> None:
    from attnkit.hub.huggingface import snapshot

    with pytest.raises(ValueError, match=r"^\[hub\] expected a revision"):
        snapshot(REPO, revision, offline=False, say=print)


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        ("license: cc-by-4.0", "cc-by-4.0"),
        ("license:\n- mit\n- apache-2.0", "mit, apache-2.0"),
        ("license: other\nlicense_name: a-special-one", "a-special-one"),
        ("license: other", "other"),
        ("license: [", None),
        ("language: en", None),
    ],
)
def test_the_licence_of_the_card(head: str, licence: str | None, tmp_path: Path) -> None:
    from attnkit.hub.huggingface_cache import licence as licence_of

    (tmp_path / "README.md").write_text(f"---\n{head}\n---\ntext")
    assert licence_of(tmp_path) == licence


# ----- Warm, offline, revisions


def test_what_is_there_is_not_fetched_again(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    first = run(REPO, env=env)
    hub.requests.clear()
    second = run(REPO, env=env)
    assert second | {"said": []} == first | {"said": []} and second["said"] == []
    assert not hub.asked("/resolve/", "HEAD") and not hub.asked(server="cdn")


def test_a_branch_that_moved_brings_only_what_changed(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    run(REPO, env=env)
    hub.requests.clear()
    commit = hub.commit(REPO, BESIDE | SAFE | {"vocab.json": b'{"a": 1}'})
    found = run(REPO, env=env)
    assert found["revision"] == commit and content(found, "vocab.json") == b'{"a": 1}'
    assert not hub.asked(server="cdn")  # the weights are the same, and were kept by their digest


@pytest.mark.parametrize("how", ["--offline", "HF_HUB_OFFLINE"])
def test_offline_the_cache_is_enough(hub: FakeHub, env: dict[str, str], how: str) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    first = run(REPO, env=env)
    hub.requests.clear()
    arguments = [how] if how == "--offline" else []
    more = {"HF_HUB_OFFLINE": "1"} if how == "HF_HUB_OFFLINE" else {}
    found = run(REPO, *arguments, env=env | more)
    assert found | {"said": first["said"]} == first and hub.requests == []


def test_offline_without_a_copy(hub: FakeHub, env: dict[str, str]) -> None:
    line = complaint(run(REPO, "--offline", env=env), "FileNotFoundError")
    assert f"{hub.endpoint}/{REPO}/resolve/main/config.json" in line and "attnkit convert FOLDER" in line
    assert hub.requests == []


def test_a_hub_that_is_away_leaves_the_copy(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    first = run(REPO, env=env)
    found = run(REPO, env=env | {"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert found["folder"] == first["folder"]
    assert "cannot be reached" in found["said"][0] and "the copy of main that is here is used" in found["said"][0]


def test_a_revision_is_what_it_says(hub: FakeHub, env: dict[str, str]) -> None:
    old = hub.commit(REPO, BESIDE | {"model.safetensors": b"old"}, "v1.0")
    new = hub.commit(REPO, BESIDE | {"model.safetensors": b"new"})
    for revision in ("v1.0", old):
        found = run(REPO, revision, env=env)
        assert found["revision"] == old and content(found, "model.safetensors") == b"old"
    assert run(REPO, env=env)["revision"] == new
    assert content(run(REPO, "v1.0", "--offline", env=env), "model.safetensors") == b"old"
    line = complaint(run(REPO, "v9", env=env), "FileNotFoundError")
    assert "no revision 'v9'" in line and f"{hub.endpoint}/{REPO}/tree/main" in line


# ----- Whose safetensors


def test_safetensors_of_the_bots_request(hub: FakeHub, env: dict[str, str]) -> None:
    """The weights are the request's; the files beside them those of the revision, which changed since."""
    reference = hub.request_of("SFconvertbot", REPO, 3) if hub.commit(REPO, BESIDE | PICKLE) else ""
    hub.commit(REPO, BESIDE | PICKLE | SAFE, reference)
    commit = hub.commit(REPO, BESIDE | PICKLE | {"generation_config.json": b'{"num_beams": 6}'})
    found = run(REPO, env=env)
    assert names(found) == {*BESIDE, *SAFE} and found["revision"] == commit and found["licence"] == "apache-2.0"
    assert content(found, "generation_config.json") == b'{"num_beams": 6}'
    assert content(found, "model.safetensors") == SAFE["model.safetensors"]
    assert any("refs/pr/3" in line and "SFconvertbot" in line for line in found["said"])
    assert not hub.asked("pytorch_model.bin", "HEAD")
    hub.requests.clear()
    assert names(run(REPO, "--offline", env=env)) == {*BESIDE, *SAFE} and hub.requests == []
    assert run(REPO, env=env)["folder"] == found["folder"]
    assert not hub.asked("/resolve/", "HEAD")


def test_other_tools_read_the_cache_that_is_left(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | PICKLE)
    hub.commit(REPO, BESIDE | PICKLE | SAFE, hub.request_of("SFconvertbot", REPO, 3))
    run(REPO, env=env)
    script = (
        "import huggingface_hub as h; scan = h.scan_cache_dir(); (repo,) = scan.repos; "
        "print(scan.warnings, sorted(repo.refs))"
    )
    done = subprocess.run([command("")[0], "-c", script], env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[] ['main', 'refs/pr/3']", done.stderr


@pytest.mark.parametrize("why", ["somebody else's", "closed", "other weights", "no safetensors", "a discussion"])
def test_a_request_that_is_not_taken(hub: FakeHub, env: dict[str, str], why: str) -> None:
    hub.commit(REPO, BESIDE | PICKLE)
    author = "sfconvertbot" if why == "somebody else's" else "SFconvertbot"
    reference = hub.request_of(author, REPO, 2, "closed" if why == "closed" else "open")
    hub.repositories[REPO].discussions[-1]["isPullRequest"] = why != "a discussion"
    pickle = {"pytorch_model.bin": b"weights of another time"} if why == "other weights" else PICKLE
    hub.commit(REPO, BESIDE | pickle | ({} if why == "no safetensors" else SAFE), reference)
    found = run(REPO, env=env)
    assert names(found) == {*BESIDE, *PICKLE}
    assert any("a pickle is read" in line for line in found["said"])
    assert names(run(REPO, "--offline", env=env)) == {*BESIDE, *PICKLE}


def test_among_many_requests_the_newest_that_fits(hub: FakeHub, env: dict[str, str]) -> None:
    """Of several pages; the newest was made of weights that came later."""
    hub.commit(REPO, BESIDE | PICKLE)
    for number, author in enumerate(["somebody", "SFconvertbot", "somebody", "SFconvertbot", "SFconvertbot"], start=1):
        weights = {"pytorch_model.bin": b"later"} if number == 5 else PICKLE
        reference = hub.request_of(author, REPO, number)
        hub.commit(REPO, BESIDE | weights | {"model.safetensors": b"of %d" % number}, reference)
    assert content(run(REPO, env=env), "model.safetensors") == b"of 4"


def test_a_named_revision_takes_a_request_only_of_its_own_weights(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | {"pytorch_model.bin": b"the first weights"}, "v1")
    hub.commit(REPO, BESIDE | PICKLE)
    hub.commit(REPO, BESIDE | PICKLE | SAFE, hub.request_of("SFconvertbot", REPO, 1))
    assert content(run(REPO, "v1", env=env), "pytorch_model.bin") == b"the first weights"
    assert "model.safetensors" in names(run(REPO, "main", env=env))


def test_a_repository_without_discussions(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | PICKLE)
    hub.faults["/discussions"] = ["always-403"]
    assert names(run(REPO, env=env)) == {*BESIDE, *PICKLE}


# ----- The token


def test_the_token_goes_to_the_hub_alone(hub: FakeHub, tmp_path: Path) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    hub.repositories[REPO].private = True
    names(run(REPO, env=hub.environment(tmp_path / "hf", token=True)))
    sent = {
        server: [r.headers.get("authorization") for r in hub.requests if r.server == server]
        for server in ("hub", "cdn")
    }
    assert f"Bearer {hub.token}" in sent["hub"]
    assert len(sent["cdn"]) >= 3 and set(sent["cdn"]) == {None}


@pytest.mark.parametrize("kind", ["private", "gated", "missing"])
def test_access_that_is_not_given(hub: FakeHub, env: dict[str, str], kind: str) -> None:
    if kind != "missing":
        hub.commit(REPO, BESIDE | SAFE)
        setattr(hub.repositories[REPO], kind, True)
    found = run(REPO, env=env)
    if kind == "gated":
        line = complaint(found, "PermissionError")
        assert "licence must be accepted" in line and f"{hub.endpoint}/{REPO}" in line and "HF_TOKEN" in line
    else:
        line = complaint(found, "FileNotFoundError")
        assert "no such repository" in line and "HF_TOKEN" in line


def test_a_licence_that_was_accepted(hub: FakeHub, tmp_path: Path) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    hub.repositories[REPO].gated = True
    assert names(run(REPO, env=hub.environment(tmp_path / "hf", token=True))) == {*BESIDE, *SAFE}


def test_a_token_that_is_not_valid(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    hub.faults["/revision/main"] = ["401"]
    assert "leave out one that is no longer valid" in complaint(
        run(REPO, env=env | {"HF_TOKEN": "hf_x"}), "PermissionError"
    )


def test_a_cache_that_nobody_may_write(hub: FakeHub, env: dict[str, str], tmp_path: Path) -> None:
    """As on machines that many share: what is there is read."""
    hub.commit(REPO, BESIDE | SAFE)
    first = run(REPO, env=env)
    folders = [path for path in (tmp_path / "hf").rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert run(REPO, "--offline", env=env)["folder"] == first["folder"]
        assert run(REPO, env=env)["folder"] == first["folder"]
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_a_cache_without_links(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | PICKLE)
    hub.commit(REPO, BESIDE | PICKLE | SAFE, hub.request_of("SFconvertbot", REPO, 1))
    env |= {"HF_HUB_DISABLE_SYMLINKS": "1"}
    assert content(run(REPO, env=env), "model.safetensors") == SAFE["model.safetensors"]
    assert content(run(REPO, "--offline", env=env), "vocab.json") == b"{}"


# ----- Failures


def test_a_content_of_another_digest_never_stays(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    hub.faults["model.safetensors"] = ["always-wrong"]
    assert "digest" in complaint(run(REPO, env=env), "OSError")
    assert "does not have main whole" in complaint(run(REPO, "--offline", env=env), "FileNotFoundError")
    hub.faults.clear()
    assert content(run(REPO, env=env), "model.safetensors") == SAFE["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json"])
def test_a_content_that_was_wrong_once_is_fetched_again(hub: FakeHub, env: dict[str, str], name: str) -> None:
    files = BESIDE | SAFE | {"vocab.json": b'{"a": 1}'}
    hub.commit(REPO, files)
    hub.faults[name] = ["wrong"]
    found = run(REPO, env=env)
    assert content(found, name) == files[name]


def test_a_cache_that_was_damaged(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    weights = (Path(run(REPO, env=env)["folder"]) / "model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    found = run(REPO, "--offline", env=env)
    assert found["error"] == "OSError" and "not what its digest says" in found["line"], found
    assert content(run(REPO, env=env), "model.safetensors") == SAFE["model.safetensors"]


@retries
def test_a_connection_that_breaks_goes_on_where_it_was(hub: FakeHub, env: dict[str, str]) -> None:
    weights = b"safe weights" * 2_000_000
    hub.commit(REPO, BESIDE | {"model.safetensors": weights})
    hub.faults["model.safetensors"] = ["cut"]
    assert content(run(REPO, env=env), "model.safetensors") == weights
    ranges = [request.headers.get("range") for request in hub.requests if request.server == "cdn"]
    assert "bytes=10485760-" in ranges  # huggingface_hub writes pieces of 10 MiB


@retries
@pytest.mark.parametrize("fault", ["500", "503"])
def test_an_error_that_passes(hub: FakeHub, env: dict[str, str], fault: str) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    hub.faults["vocab.json"] = [fault]
    assert names(run(REPO, env=env)) == {*BESIDE, *SAFE}


@pytest.mark.parametrize(
    ("fault", "part"),
    [
        ("500", "answers with an error of its own (500)"),
        ("429", "too many requests from here (429); try again in 7 seconds"),
        ("html", "does not answer as the Hugging Face Hub does; check HF_ENDPOINT"),
        ("403", "refuses access (403); set HF_TOKEN"),
    ],
)
def test_errors_of_the_hub(hub: FakeHub, env: dict[str, str], fault: str, part: str) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    hub.faults["/revision/main"] = [f"always-{fault}"]
    assert part in complaint(run(REPO, env=env), "PermissionError" if fault == "403" else "NotReached")


def test_a_hub_that_does_not_answer(hub: FakeHub, env: dict[str, str]) -> None:
    """Wherever it stops, the wait has an end."""
    hub.commit(REPO, BESIDE | PICKLE)
    for path in ("/revision/main", "/discussions"):
        hub.faults = {path: ["always-stall"]}
        found = run(REPO, env=env | {"HF_HUB_DOWNLOAD_TIMEOUT": "1"})
        assert "cannot be reached" in complaint(found, "NotReached"), path


def test_no_network_at_all(env: dict[str, str]) -> None:
    line = complaint(run(REPO, env=env | {"HF_ENDPOINT": "http://127.0.0.1:9"}), "NotReached")
    assert f"http://127.0.0.1:9/{REPO}/resolve/main/config.json" in line and "attnkit convert FOLDER" in line


def test_a_cdn_that_is_away_names_the_files(hub: FakeHub, env: dict[str, str]) -> None:
    commit = hub.commit(REPO, BESIDE | SAFE)
    hub.faults["model.safetensors"] = ["always-500"]
    line = complaint(run(REPO, env=env), "NotReached")
    for name in {*BESIDE, *SAFE} - {"README.md"}:
        assert f"{hub.endpoint}/{REPO}/resolve/{commit}/{name}" in line
    assert "attnkit convert FOLDER" in line


def test_a_model_of_another_kind_is_not_fetched(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, {"config.json": b'{"model_type": "llama"}'} | SAFE)
    hub.repositories[REPO].described = {"library_name": "transformers", "config": {"model_type": "llama"}}
    line = complaint(run(REPO, env=env), "ValueError")
    assert "model_type 'llama', library 'transformers'" in line and "marian" in line
    hub.commit(REPO, NEVER)
    hub.repositories[REPO].described = {"library_name": "diffusers"}
    assert "got library 'diffusers'" in complaint(run(REPO, env=env), "ValueError")
    assert not hub.asked(server="cdn")


MODULES = {
    "modules.json": b"[]",
    "config_sentence_transformers.json": b"{}",
    "1_Pooling/config.json": b"{}",
    "2_Dense/config.json": b"{}",
    "2_Dense/model.safetensors": b"a matrix",
}


def test_the_modules_behind_an_encoder_are_fetched_with_it(hub: FakeHub, env: dict[str, str]) -> None:
    """Those of sentence-transformers lie in folders; of weights in two forms the safetensors are taken."""
    beside = {"config.json": b'{"model_type": "bert"}', "tokenizer.json": b"{}", "vocab.txt": b"a", "README.md": CARD}
    never = {"2_Dense/pytorch_model.bin": b"a pickle", "openvino/config.json": b"{}", "1_Pooling/other.bin": b"x"}
    hub.commit(REPO, beside | MODULES | never | NEVER | SAFE)
    found = run(REPO, env=env)
    folder = Path(found["folder"])
    got = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert got == beside | MODULES | SAFE
    assert found["licence"] == "apache-2.0"


def test_folders_are_nothing_where_no_modules_are_named(hub: FakeHub, env: dict[str, str]) -> None:
    named = {name: content for name, content in MODULES.items() if name != "modules.json"}
    hub.commit(REPO, BESIDE | named | SAFE)
    folder = Path(run(REPO, env=env)["folder"])
    assert not [path for path in folder.rglob("*/*") if path.is_file()]


def test_the_modules_of_a_revision_and_the_weights_of_its_conversion_lie_together(
    hub: FakeHub, env: dict[str, str]
) -> None:
    hub.commit(REPO, BESIDE | MODULES | PICKLE)
    hub.commit(REPO, BESIDE | PICKLE | SAFE, hub.request_of("SFconvertbot", REPO, 3))
    folder = Path(run(REPO, env=env)["folder"])
    for name, content in (MODULES | SAFE).items():
        assert (folder / name).read_bytes() == content


def test_a_disk_that_is_too_small(hub: FakeHub, env: dict[str, str]) -> None:
    """What is known to be too much is not begun; a disk that fills meanwhile is said as well."""
    hub.commit(REPO, BESIDE | SAFE)
    script = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); "
    script += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    python, *rest = command(REPO)
    done = subprocess.run([python, "-c", script, *rest], env=env, capture_output=True, timeout=60)
    assert "the disk is full" in complaint(json.loads(done.stdout), "OSError"), done.stderr
    script = "import shutil, runpy, sys; from collections import namedtuple; "
    script += "shutil.disk_usage = lambda _: namedtuple('U', 'total used free')(1, 1, 1000); "
    script += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run([python, "-c", script, *rest], env=env, capture_output=True, timeout=60)
    assert "do not fit" in complaint(json.loads(done.stdout), "OSError"), done.stderr


def test_the_package_is_an_extra(env: dict[str, str]) -> None:
    script = "import sys, runpy; sys.modules['huggingface_hub'] = None; "
    script += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    python, *rest = command(REPO)
    done = subprocess.run([python, "-c", script, *rest], env=env, capture_output=True, timeout=60)
    assert "pip install 'attnkit[hub]'" in complaint(json.loads(done.stdout), "ModuleNotFoundError")


# ----- Processes


def test_a_killed_run_leaves_nothing_half(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | SAFE)
    hub.faults["model.safetensors"] = ["stall"]
    process = subprocess.Popen(command(REPO), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(hub.stalled)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait(30)
    hub.release.set()
    assert "does not have main whole" in complaint(run(REPO, "--offline", env=env), "FileNotFoundError")
    hub.requests.clear()
    assert content(run(REPO, env=env), "model.safetensors") == SAFE["model.safetensors"]
    assert {path.rsplit("/", 1)[1] for path in hub.asked("/resolve/", "HEAD")} == {*SAFE}  # the others were there


def test_two_processes_at_once(hub: FakeHub, env: dict[str, str]) -> None:
    hub.commit(REPO, BESIDE | PICKLE)
    hub.commit(REPO, BESIDE | PICKLE | SAFE, hub.request_of("SFconvertbot", REPO, 1))
    both = [subprocess.Popen(command(REPO), env=env, stdout=subprocess.PIPE) for _ in range(2)]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert found[0]["folder"] == found[1]["folder"] and all(names(each) == {*BESIDE, *SAFE} for each in found)
    assert content(found[0], "model.safetensors") == SAFE["model.safetensors"]


def test_bars_are_for_terminals(hub: FakeHub, env: dict[str, str], tmp_path: Path) -> None:
    """In a pipe there are none (above); on a terminal huggingface_hub's, on standard error."""
    hub.commit(REPO, BESIDE | SAFE)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    with open(tmp_path / "out", "wb") as out:
        subprocess.run(command(REPO), env=env, stdout=out, stderr=theirs, timeout=60, check=True)
    os.close(theirs)
    shown = b""
    while chunk := _read(ours):
        shown += chunk
    os.close(ours)
    assert b"model.safetensors" in shown and b"100%" in shown
    json.loads((tmp_path / "out").read_bytes())


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


# ----- The whole way


def test_a_model_by_its_name_translates(hub: FakeHub, env: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from marian_checkpoint import write_checkpoint

    from attnkit.interop import convert
    from attnkit.tasks.load import load

    write_checkpoint(tmp_path / "checkpoint")
    files = {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()}
    weights = {"model.safetensors": files.pop("model.safetensors")}
    hub.commit(REPO, files | PICKLE)
    hub.commit(REPO, files | PICKLE | weights, hub.request_of("SFconvertbot", REPO, 1))
    found = run(REPO, env=env)
    assert names(found) == {*files, *weights}
    for source, model in ((tmp_path / "checkpoint", "plain"), (Path(found["folder"]), "fetched")):
        convert(source, tmp_path / model)
    texts = [[result.text for result in load(tmp_path / model, task="translate").translate(["the cat is on the table"])]
             for model in ("plain", "fetched")]  # fmt: skip
    assert texts[0] == texts[1] and texts[0][0]
