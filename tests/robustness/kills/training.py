"""A small training that saves often: begun, resumed, and compared with one that nobody disturbed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import children
import samples
from command_line import command
from training_runs import content

import attnkit
from attnkit.training.checkpoint import CheckpointFolder

TASKS = ("translate", "caption", "classify-text")
SETTINGS = ("max_steps=20", "save_every=2", "log_every=2", "validate_every=5", "warmup_steps=4")
TEMPORARY = ".attnkit-*"


class Training:
    """The training of a task in the folder `work`, and what an undisturbed run of it leaves."""

    def __init__(self, task: str, work: Path) -> None:
        self.task, self.work = task, work
        if not (work / "data").exists():
            samples.copy_data(work)
        self.config = work / f"{task}.toml"
        self.config.write_text(samples.training(task))
        begin = time.monotonic()
        done = self.go_on(work / f"{task}-undisturbed")
        assert done.status == 0, done.stderr
        self.seconds = time.monotonic() - begin
        self.wanted = content(work / f"{task}-undisturbed")

    def line(self, out: Path) -> list[str]:
        """The command that begins the run in `out`, or resumes what is there."""
        if (out / "training.toml").is_file():
            return command("train", out, "--resume", "--threads", "1")
        options = [part for setting in SETTINGS for part in ("--set", f"training.{setting}")]
        return command("train", self.config, "--out", out, "--threads", "1", *options)

    def go_on(
        self, out: Path, before: Sequence[str] = (), env: dict[str, str] | None = None, seconds: float = 120
    ) -> children.Outcome:
        """Runs it, to its end or to a kill after `seconds`; `before` is what the command line begins with."""
        begin = time.monotonic()
        with subprocess.Popen(
            [*before, *self.line(out)], cwd=self.work, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                stdout, stderr = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                stdout, stderr = process.communicate()
        taken = time.monotonic() - begin
        return children.Outcome(process.returncode, taken, 0, stdout.decode(), stderr.decode("utf-8", "replace"))

    def faults_after_a_kill(self, out: Path) -> list[str]:
        """What is there must be whole: the checkpoint, and the model, where there is one."""
        faults = []
        folder = CheckpointFolder(out / "checkpoints")
        try:
            if folder.exists():
                folder.load()
            if (out / "config.json").is_file():
                attnkit.load(out)
        except Exception as error:
            faults.append(f"{self.task}: lost after a kill: {type(error).__name__}: {error}")
        return faults

    def faults_at_the_end(self, out: Path) -> list[str]:
        left = {str(path.relative_to(out)) for path in out.rglob(TEMPORARY)}
        found = content(out)
        differing = {name for name in self.wanted | found if self.wanted.get(name) != found.get(name)} - left
        faults = [f"{self.task}: {name} differs from the undisturbed run's" for name in sorted(differing)]
        return faults + [f"{self.task}: {name} is left over" for name in sorted(left)]
