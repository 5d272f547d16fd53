"""`mpirun attnkit train` for every kind of model: with `exact` the bytes of one process; and the other options."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mpi
import pytest
from command_line import attnkit_run, command
from text_runs import masked_toml
from training_images import GLIMPSE, LSTM, caption_task, classify_task
from training_runs import FEW_PAIRS, TINY, content, copy_task, metrics

pytestmark = pytest.mark.skipif(mpi.why_not_here() is not None, reason=str(mpi.why_not_here()))

SHORT = """exact = true
max_steps = 6
batch_tokens = 120
learning_rate = 0.01
warmup_steps = 2
log_every = 2
validate_unit = "steps"
validate_every = 3
"""

# What moves without a gradient: the baseline of sampled attention, and the count of batches that are soft yet.
HARD_ATTENTION = f"""{FEW_PAIRS}[model]
type = "recurrent"
embedding_size = 8
hidden_size = 12
encoder_size = 6
dropout = 0.1
normaliser = "hard"
soft_batches = 2
[training]
{SHORT}[decoding]
bleu = false
"""


def trained(config: Path, folder: Path, ranks: int = 1, *options: str) -> Path:
    """The folder of a run by so many processes, of one thread each."""
    words = command("train", config, "--out", folder, "--threads", "1", *options)
    done = subprocess.run(mpi.mpirun_here(ranks, words), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder}\n", "one process says where the model is"
    return folder


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


FEW = ("max_steps=6", "validate_every=3", "schedule=constant", "exact=true")


def _config(kind: str, folder: Path) -> Path:
    if kind == "hard attention":
        return written(folder, HARD_ATTENTION)
    if kind == "captions":  # whose encoder has batch normalisation: its means move without a gradient
        return caption_task(folder, decoder=LSTM.replace("0.0", "0.1"))
    return classify_task(folder, GLIMPSE) if kind == "glimpses" else masked_toml(folder)


@pytest.mark.parametrize("kind", ["captions", "glimpses", "hard attention", "masked words"])
def test_every_task_makes_the_bytes_of_one_process(tmp_path: Path, kind: str) -> None:
    config = _config(kind, tmp_path)
    few = [word for setting in FEW for word in ("--set", f"training.{setting}")]
    assert content(trained(config, tmp_path / "two", 2, *few)) == content(trained(config, tmp_path / "one", 1, *few))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("tiny"), TINY)


def test_three_processes_and_half_the_bytes_learn_the_same(tiny: Path, tmp_path: Path) -> None:
    """Without exact, another number of shards has other dropout; without dropout, only rounding differs."""
    plain = "--set", "model.dropout=0"
    alone = metrics(trained(tiny, tmp_path / "one", 1, *plain))
    others = {
        "parts": trained(tiny, tmp_path / "three", 3, *plain),
        "half": trained(tiny, tmp_path / "half", 2, *plain, "--set", "training.wire=bf16"),
    }
    expected = [row["loss"] for row in alone if "loss" in row]
    for name, folder in others.items():
        rows = metrics(folder)
        losses = [row["loss"] for row in rows if "loss" in row]
        # bfloat16 rounds gradients to 8 bits: of the first steps, whose weights are equal, the loss is that of all.
        assert losses == pytest.approx(expected, rel=1e-4 if name == "parts" else 5e-3)
        assert [row["tokens"] for row in rows if "tokens" in row] == [row["tokens"] for row in alone if "tokens" in row]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_moments_in_shares_are_resumed_by_any_number(tiny: Path, tmp_path: Path, optimizer: str) -> None:
    options = "--set", "training.exact=true", "--set", f"training.optimizer={optimizer}"
    shares = "--set", "training.shard_optimizer=true"
    whole = content(trained(tiny, tmp_path / "whole", 1, *options))
    folder = tmp_path / "parts"
    trained(tiny, folder, 2, *options, *shares, "--set", "training.max_steps=6")
    trained(tiny, folder, 4, *options, *shares, "--resume")
    resumed = content(folder)
    assert {name for name in whole if resumed[name] != whole[name]} == {"training.toml"}  # which says shard_optimizer


def test_a_loss_that_is_not_finite_is_told_once(tiny: Path, tmp_path: Path) -> None:
    words = command("train", tiny, "--out", tmp_path / "run", "--set", "training.learning_rate=1e30")
    done = subprocess.run(mpi.mpirun_here(2, words), capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if line.startswith("attnkit")]
    assert done.returncode == 1 and len(said) == 1 and "[train] step" in said[0], done.stderr


def test_shards_that_cannot_be_shared_out(tiny: Path, tmp_path: Path) -> None:
    words = command("train", tiny, "--out", tmp_path / "run", "--set", "training.exact=true")
    done = subprocess.run(mpi.mpirun_here(3, words), capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if line.startswith("attnkit")]
    assert done.returncode == 2 and len(said) == 1, done.stderr
    assert "training.shards: expected a multiple of the number of processes, 3, with exact = true, got 4" in said[0]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("training.shards=3", "shards: expected a power of two"), ("training.wire=bf16", 'wire: expected "fp32"')],
)
def test_settings_that_exact_excludes(tiny: Path, tmp_path: Path, setting: str, expected: str) -> None:
    done = attnkit_run("train", tiny, "--out", tmp_path / "run", "--set", "training.exact=true", "--set", setting)
    assert done.returncode == 2 and expected in done.stderr.decode()


def test_other_data_on_another_host_is_found_out(tmp_path: Path) -> None:
    """As many lines of as many words: nothing but the words themselves is another."""
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
        path = copy_task(tmp_path / str(rank))
        path.write_text(path.read_text().replace(f"{tmp_path / str(rank)}/", ""))
    target = tmp_path / "1" / "target"
    target.write_text("".join(reversed(target.read_text().splitlines(keepends=True))))
    words = command("train", "copy.toml", "--out", tmp_path / "run")
    where = f'cd "{tmp_path}/${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}}" && exec "$@"'
    done = subprocess.run(
        mpi.mpirun_here(2, ["sh", "-c", where, "sh", *words]), capture_output=True, text=True, timeout=120
    )
    said = [line for line in done.stderr.splitlines() if line.startswith("attnkit")]
    assert done.returncode == 1 and len(said) == 1, done.stderr
    assert said[0].startswith("attnkit: process 1, on ") and said[0].endswith("got another first batch here")
