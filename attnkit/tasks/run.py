"""A run and its folder: begun once, resumed with the configuration it was begun with, and by one process at a time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attnkit.distributed
from attnkit.devices import CPU, known_device
from attnkit.distributed.group import ElsewhereError, Group, together
from attnkit.files import atomic_write, remove_leftovers
from attnkit.printable import quoted
from attnkit.tasks.config_file import encode_config, flatten, read_config
from attnkit.tasks.group_run import make_task_together
from attnkit.tasks.shared.directory import PRETRAINED_FOLDER
from attnkit.text.alignment import ALIGNMENTS_FILE
from attnkit.text.tokenizers.registry import training_files
from attnkit.training.checkpoint import CheckpointFolder
from attnkit.training.errors import ConfigError, Interrupted, NonFiniteError, RunExistsError
from attnkit.training.progress import Mode, Reporter, make_reporter
from attnkit.training.step import count_shards
from attnkit.training.trainer import CHECKPOINTS, CURVE_FILE, METRICS_FILE, Outcome, Trainer
from attnkit.weights import WEIGHTS_FILE

if TYPE_CHECKING:
    from attnkit.tasks.registry import RunConfig

CONFIG_FILE = "training.toml"

# What a run writes before its first checkpoint, beside the tokenizer's files.
_EARLY_FILES = frozenset({CONFIG_FILE, METRICS_FILE, CURVE_FILE, CHECKPOINTS, ALIGNMENTS_FILE, PRETRAINED_FOLDER})

# What may change from one part of a run to the next: when it ends, how often it is saved, whether a list of images is
# trusted, but no weight on the way.
_MAY_CHANGE = frozenset(
    {
        *(f"training.{key}" for key in ("max_steps", "max_epochs", "max_minutes", "patience", "save_every")),
        "training.wire",
        "training.shard_optimizer",
        "data.outside_images",
    }
)


def train(
    config: RunConfig,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    progress: Mode = "auto",
    device: str | None = None,
) -> Outcome:
    """Trains what the configuration says and leaves a model directory in `folder`.

    resume: go on with the run in `folder`, to the same bytes as if it had never stopped; of its configuration only the
    limits may differ. progress: a live bar, plain lines, or nothing on stderr; "auto" looks whether it is a terminal.
    device: where the model computes, as in `attnkit.load`; it is no part of the configuration, so that a run may go on
    on another device than it was begun on.

    Raises RunExistsError for a folder that is not empty (without resume; a run that ended before its first checkpoint
    does not count), ConfigError for one that holds no such run, or no checkpoint of it beside its model
    (with it), ValueError for a device that is not here, CheckpointError for a damaged checkpoint, NonFiniteError for a
    NaN, and Interrupted, a KeyboardInterrupt whose message says how to go on, after Ctrl-C, SIGTERM or SIGHUP.
    """
    group = attnkit.distributed.group()
    try:
        return _train(config, Path(folder), resume, progress, group, device)
    except ElsewhereError:
        raise
    except (Interrupted, NonFiniteError) as error:  # which all processes raise at once, and one tells
        if isinstance(error, Interrupted):
            group.interrupt(128 + error.signal_number)
        if group.rank:
            raise ElsewhereError(0, str(error)) from None
        raise
    except BaseException as error:
        if not getattr(error, "known_to_all", False):
            group.fail(130 if isinstance(error, KeyboardInterrupt) else 1)
        raise


def _train(config: RunConfig, path: Path, resume: bool, progress: Mode, group: Group, device: str | None) -> Outcome:
    leads = group.rank == 0
    group.wait_for_ever(True)
    with ExitStack() as stack:
        reporter = stack.enter_context(make_reporter(progress if leads else "none"))

        def prepare() -> bool:
            count_shards(config.training, group.size)
            _check_device(device, group)
            if not leads:
                return False
            _open_folder(config, path, resume, stack, reporter)
            return resume and CheckpointFolder(path / CHECKPOINTS).exists()

        # A run that was killed before its first checkpoint starts anew.
        resumed = group.broadcast(together(group, prepare))
        task = make_task_together(config, path, reporter, resumed, group)
        if device is not None:
            # A model is made by the CPU wherever it then learns, so that a seed means the same first weights.
            reporter.note(f"device: {task.model.to(known_device(device)).device}")
        trainer = together(group, lambda: Trainer(task, config.training, path, reporter, group))
        if group.size > 1:
            reporter.note(group.description)
        step = together(group, lambda: trainer.resume() if resumed and leads else 0)
        together(group, trainer.join)
        if resumed:
            reporter.note(f"resumed at step {step:,}")
        elif resume:
            reporter.note("no checkpoint was saved yet: starting from the beginning")
        group.wait_for_ever(False)
        return trainer.run()


def _check_device(device: str | None, group: Group) -> None:
    """Raises ValueError for a device that is not here, ConfigError for another than the CPU in a group."""
    if device is not None and known_device(device) != CPU and group.size > 1:
        raise ConfigError(
            f'[device] expected "cpu" for {group.size} processes that train together, whose gradients meet there, got '
            f"{quoted(device)}"
        )


def _open_folder(config: RunConfig, path: Path, resume: bool, stack: ExitStack, reporter: Reporter) -> None:
    if resume:
        _check_same(config, path)
        _check_resumable(path)
    else:
        _make_folder(path)
    stack.enter_context(_alone(path))
    remove_leftovers(path)
    if not resume:
        _make_new(path, reporter)
    with atomic_write(path / CONFIG_FILE, "w") as file:
        file.write(encode_config(config))


def train_once(
    config: RunConfig, folder: str | os.PathLike[str], *, fresh: bool = False, progress: Mode = "auto"
) -> bool:
    """`train`, unless `folder` holds the finished run of this very configuration; returns whether it trained.

    An unfinished run of it is resumed. Raises RunExistsError for another configuration's run, which stays as it is;
    with `fresh` whatever run is there is deleted first.
    """
    path = Path(folder)
    file = path / CONFIG_FILE
    if fresh and file.is_file():
        with _alone(path):
            _empty(path)
    same = file.is_file() and file.read_text("utf-8") == encode_config(config)
    if same and _is_finished(path):
        return False
    if file.is_file() and not same:
        raise RunExistsError(f"{path}: expected no run or one of this configuration, got another; choose a new folder")
    train(config, path, resume=same, progress=progress)
    return True


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _is_finished(folder: Path) -> bool:
    """Whether the last line of the metrics is that of a run that came to its end."""
    metrics = folder / METRICS_FILE
    lines = metrics.read_bytes().splitlines() if metrics.is_file() else []
    return bool(lines) and "final" in json.loads(lines[-1])


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise RunExistsError(f"{folder}: expected a folder, got a file; choose another by --out") from None


def _make_new(folder: Path, reporter: Reporter) -> None:
    if _saved_nothing(folder):
        reporter.note("a run here ended before its first checkpoint: starting anew")
        _empty(folder)
    if (folder / CONFIG_FILE).exists():
        raise RunExistsError(
            f"{folder}: expected a new folder, got one with a run in it; go on with it by --resume, or choose another "
            "by --out"
        )
    if any(folder.iterdir()):
        raise RunExistsError(f"{folder}: expected a new or empty folder, got one with files; choose another by --out")


def _saved_nothing(folder: Path) -> bool:
    """Whether all that is there is the start of a run, as it is left when data cannot be read."""
    file = folder / CONFIG_FILE
    left = {entry.name for entry in folder.iterdir()}
    if not file.is_file() or left - _EARLY_FILES - training_files() or CheckpointFolder(folder / CHECKPOINTS).exists():
        return False
    try:
        return file.read_text("utf-8") == encode_config(read_config(file))  # not one that somebody wrote
    except ValueError:
        return False


def _check_same(config: RunConfig, folder: Path) -> None:
    if not (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"{folder}: expected a run to resume, but there is no {CONFIG_FILE}; begin without --resume")
    before, now = flatten(read_config(folder / CONFIG_FILE)), flatten(config)
    may_change = _MAY_CHANGE & now.keys()
    if config.training.schedule == "cosine":  # it ends at max_steps, so each of its steps depends on that
        may_change -= {"training.max_steps"}
    for key in sorted((before.keys() | now.keys()) - may_change):
        if before.get(key) != now.get(key):
            raise ConfigError(
                f"{key}: expected {quoted(before.get(key))}, with which the run in {folder} was begun, got "
                f"{quoted(now.get(key))}; a resumed run may change {', '.join(sorted(may_change))}"
            )


def _check_resumable(folder: Path) -> None:
    """A model is saved after the first checkpoint: where it has none, what a run would go on from is gone."""
    if (folder / WEIGHTS_FILE).exists() and not CheckpointFolder(folder / CHECKPOINTS).exists():
        raise ConfigError(
            f"{folder}: expected {CHECKPOINTS}/ to go on from, got a model without them, which stays as it is; train "
            f"anew by: attnkit train {folder} --out ANOTHER"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which ends with the process however that ends.

    Raises RunExistsError where another process holds it."""
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunExistsError(f"{folder}: expected to be alone, but another process is training here") from None
        except OSError:
            pass  # a network folder without locks: nothing to hold
        yield
    finally:
        os.close(descriptor)
