"""`--ray`: a command's work as a batch job over files, on a cluster of Ray."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from . import errors
from .device_option import chosen_device
from .line_counter import line_counter
from .loading import said_of_names
from .noticed import Noticed

if TYPE_CHECKING:
    from attnkit.ray.job import Job
    from attnkit.ray.part_writer import Done

_EVERY = 10.0  # seconds between two lines of progress, where there is no terminal


class BatchChoice(NamedTuple):
    """What `batch_options` gave."""

    address: str
    workers: int | None
    part_size: int | None


def batch_options(command: Any) -> Any:
    """All of them, in this order; `batch_choice` takes them out of a command's arguments."""
    options = (
        click.option(
            "--ray",
            metavar="ADDRESS",
            help="On a cluster of Ray: auto, host:port, ray://host:port, or local for this machine. Inputs are files, "
            "patterns or folders (s3://... too), -o is a folder.",
        ),
        click.option(
            "--workers", type=click.IntRange(1), metavar="N", help="Of --ray, --threads each.", show_default="all CPUs"
        ),
        click.option(
            "--part-size",
            type=click.IntRange(1),
            metavar="N",
            help="Lines, or images, of a file of the result.",
            show_default="10000, or 1000 images",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def batch_choice(arguments: dict[str, Any], inputs: tuple[str, ...], output: str, **without: Any) -> BatchChoice | None:
    """None where the work is not for a cluster. without: other options, which cannot go with it. Raises
    click.UsageError."""
    address, workers, part_size = (arguments.pop(name) for name in ("ray", "workers", "part_size"))
    if address is None:
        for name, value in (("--workers", workers), ("--part-size", part_size)):
            if value is not None:
                raise click.UsageError(f"{name}: expected --ray ADDRESS with it")
        return None
    if not inputs or "-" in inputs:
        raise click.UsageError("--ray: expected names, patterns or folders of files, got standard input")
    if output == "-":
        raise click.UsageError("--ray: expected -o DIR, a folder for the results, got standard output")
    if chosen_device() is not None:
        raise click.UsageError("--device does not go with --ray, whose workers compute on their CPUs")
    for name, value in without.items():
        if value:
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with --ray")
    return BatchChoice(address, workers, part_size)


def run_batch(
    choice: BatchChoice,
    task: str,
    model: str,
    inputs: tuple[str, ...],
    output: str,
    options: dict[str, Any],
    *,
    precision: Any,
    threads: int | None,
    then: str | None = None,
    jsonl: bool = False,
    text_key: str | None = None,
    images: bool = False,
) -> None:
    """Makes the parts of the result that are not there. options: of the task's stream of results. images: the inputs
    are images, not texts. Ends the command with status 1 where a part could not be made."""
    from attnkit.ray.job import Job
    from attnkit.ray.library import library
    from attnkit.ray.work import Work

    library()  # before files are read
    said = said_of_names()
    given = {name: value for name, value in options.items() if value not in (None, False, ())}
    job = Job(
        Work(
            task=task,
            model=model,
            then=then,
            revision=said["revision"],
            offline=said["offline"],
            precision=precision,
            threads=threads or 1,
            options=given,
        ),
        list(inputs),
        output,
        jsonl=jsonl,
        text_key=text_key,
        part_size=choice.part_size,
        images=_found_images(inputs) if images else None,
    )
    _Run(job, choice, "images" if images else "lines").go()


def _found_images(inputs: tuple[str, ...]) -> list[str]:
    """Those that are named, and the files of patterns and folders that have the suffix of an image."""
    from attnkit.ray.storage import found
    from attnkit.vision.images import SUFFIXES

    files = [(pattern, file) for pattern in inputs for file in found(pattern)]
    return [file.path for pattern, file in files if file.path == pattern or Path(file.name).suffix.lower() in SUFFIXES]


class _Run:
    """A job at work, and what is said of it."""

    def __init__(self, job: Job, choice: BatchChoice, what: str) -> None:
        self._job, self._choice, self._what = job, choice, what
        self._made = set[str]()
        self._failures = self._lines = self._lines_before = 0
        self._cut = Noticed()
        self._start = self._last = time.monotonic()

    def go(self) -> None:
        job = self._job
        there = len(job.parts) - len(job.missing)
        before = f", {there:,} of them there already" if there else ""
        errors.tell(f"{self._inputs()}: {self._counted(job.lines)} in {_parts(len(job.parts))}{before}")
        try:
            with line_counter(total=job.missing_lines, what=self._what) as advance:
                for done in job.run(self._choice.address, self._choice.workers):
                    self._take(done)
                    advance(done.part.count)
        except KeyboardInterrupt as error:
            error.args = (f"{str(error) or 'interrupted'}: {self._standing()}; the same command makes the others",)
            raise
        self._finish()

    def _take(self, done: Done) -> None:
        if done.attempt > 1:
            errors.say(f"a worker died while it made {done.part}; another one took over")
        for reason in done.unread:
            self._failures += 1
            errors.say(reason)
        if done.truncated:
            self._cut.add(str(done.part))
        if done.failure is not None:
            self._failures += 1
            errors.say(done.failure)
            return
        now = time.monotonic()
        if not self._made:  # workers take a while to start, and the first parts of all are done almost at once
            self._start, self._lines_before = now, done.part.count
        self._made.add(done.part.target)
        self._lines += done.part.count
        if now - self._last >= _EVERY and not sys.stderr.isatty():
            self._last = now
            rate = (self._lines - self._lines_before) / max(now - self._start, 1e-9)
            shown = f", {rate:,.0f} a second" if rate else ""
            errors.tell(f"{self._lines:,} of {self._job.missing_lines:,} {self._what}{shown}")

    def _finish(self) -> None:
        if lost := sorted(self._made.intersection(self._job.lost())):
            raise RuntimeError(
                f"[ray] {lost[0]}: expected a folder that all nodes share, got none: a worker wrote this"
            )
        if self._cut.count:
            errors.say(f"some answers are cut, in {self._cut.names()}")
        if self._failures:
            errors.say(f"{self._standing()}; once the fault is mended, the same command makes the others")
            raise click.exceptions.Exit(errors.FAILURE)
        errors.tell(f"{_parts(len(self._job.parts))} in {self._job.output}; the whole of an input: {self._how()}")

    def _standing(self) -> str:
        there = len(self._job.parts) - len(self._job.missing) + len(self._made)
        return f"{there:,} of {_parts(len(self._job.parts))} are there"

    def _counted(self, count: int) -> str:
        return f"1 {self._what.removesuffix('s')}" if count == 1 else f"{count:,} {self._what}"

    def _inputs(self) -> str:
        names = [source.name for source in self._job.sources]
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1:,} more"

    def _how(self) -> str:
        from attnkit.ray.storage import joined

        return f"cat {joined(self._job.output, self._job.sources[0].name, 'part-*')}"


def _parts(count: int) -> str:
    return "1 part" if count == 1 else f"{count:,} parts"
