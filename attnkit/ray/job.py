"""A batch job over files: every part of every input is answered once, and a job that was ended goes on where it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from attnkit.ray import storage
from attnkit.ray.manifest import agree
from attnkit.ray.part_writer import INPUT, Done, PartWriter, Tries
from attnkit.ray.parts import Part, Source, cut_file, cut_list
from attnkit.ray.session import LOCAL, cpus, most_cpus, session
from attnkit.ray.work import Work, prepared

PART_LINES = 10_000
"""Lines of a part, where nothing else is said: seconds to minutes of work."""

PART_IMAGES = 1_000

_MOST_TRIES = 4  # workers that may die of a part


class Job:
    """The parts of a job, and those that are not there yet.

    sources: the inputs as they were cut. missing: the parts to be made. lines: how many lines, or images, all parts
    have; missing_lines: and those.
    """

    def __init__(
        self,
        work: Work,
        inputs: list[str],
        output: str,
        *,
        jsonl: bool = False,
        text_key: str | None = None,
        part_size: int | None = None,
        images: list[str] | None = None,
    ) -> None:
        """Cuts the inputs and agrees with the job that began the folder `output`, where one did.

        inputs: names, patterns and folders of text files. images: names of images instead. jsonl: answers are JSON
        lines. part_size: lines or images of a part. Raises OSError and ValueError: for no input, two of one name, and a
        folder with the answers of another model, to other options or to what an input held before.
        """
        self.output = output if storage.is_remote(output) else os.path.abspath(output)
        self._jsonl, self._text_key, self._work = jsonl, text_key, prepared(work)
        suffix = ".jsonl" if jsonl else ".txt"
        if images is not None:
            size = part_size or PART_IMAGES
            names = [each if storage.is_remote(each) else os.path.abspath(each) for each in images]
            self.sources: list[Source] = [cut_list("images", names, self.output, suffix, size)]
        else:
            size = part_size or PART_LINES
            self.sources = [cut_file(file, self.output, suffix, size) for file in self._files(inputs)]
        self.parts = [part for source in self.sources for part in source.parts]
        self.missing = self._missing()
        options = {"jsonl": jsonl, "text_key": text_key, "part_size": size}
        agree(self.output, self._work, self.sources, self.missing, options)
        self.lines = sum(part.count for part in self.parts)
        self.missing_lines = sum(part.count for part in self.missing)

    def run(self, address: str, workers: int | None = None) -> Iterator[Done]:
        """Makes the missing parts and gives each when it is done. workers: how many at once; None takes as many as the
        CPUs of the cluster allow. Raises RuntimeError where Ray is missing or fails, and ValueError for more threads
        than a node has CPUs."""
        if not self.missing:
            return
        with session(address) as ray:
            threads, most = self._work.threads, most_cpus(ray)
            if threads > most and (address == LOCAL or most > 0):  # with none at all, nodes are still to come
                raise ValueError(f"[ray] expected at most {most:.0f} threads, the CPUs of a node, got {threads}")
            size = min(workers or max(1, int(cpus(ray) // threads)), len(self.missing))
            try:
                yield from (
                    _elsewhere(ray, self, size) if ray.util.client.ray.is_connected() else self.results(ray, size)
                )
            except ray.exceptions.RayError as error:
                raise RuntimeError(f"[ray] {_reason(error)}") from None

    def lost(self) -> list[str]:
        """Parts that this machine does not see, although they were made."""
        return [part.target for part in self._missing()]

    def results(self, ray: Any, size: int) -> Iterator[Done]:
        """`run` on a node of a cluster that is connected. A block a part, so that each goes to the first worker that is
        free."""
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        tries = _beside_us(ray)(Tries).remote()
        items = [{"part": msgspec.json.encode(part).decode()} for part in self.missing]
        arguments = {
            "work": self._work,
            "jsonl": self._jsonl,
            "text_key": self._text_key,
            "tries": tries,
            "most_tries": _MOST_TRIES,
        }
        made = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            PartWriter,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1),
            num_cpus=self._work.threads,
            fn_constructor_kwargs=arguments,
        )
        for row in made.iter_rows():
            done = msgspec.json.decode(row["done"], type=Done)
            if done.failure is not None and done.kind != INPUT:
                raise RuntimeError(done.failure)
            yield done

    def _files(self, inputs: list[str]) -> list[storage.Found]:
        """The files of the inputs, each by its full name, without what an earlier run wrote among them."""
        files: dict[str, storage.Found] = {}
        for pattern in inputs:
            for path, name in storage.found(pattern):
                path = path if storage.is_remote(path) else os.path.abspath(path)
                if path.startswith(storage.joined(self.output, "")):
                    continue
                other = files.setdefault(name, storage.Found(path, name)).path
                if other != path:
                    raise ValueError(f"[ray] expected inputs with names of their own, got {other} and {path}")
        if not files:
            raise ValueError(f"[ray] expected inputs, got none but what is in {self.output}")
        return list(files.values())

    def _missing(self) -> list[Part]:
        there = {source.name: storage.present(storage.joined(self.output, source.name)) for source in self.sources}
        return [
            part
            for source in self.sources
            for part in source.parts
            if os.path.basename(part.target) not in there[source.name]
        ]


class _Director:
    """Ray Data does not run through Ray's client: an actor on a node has the job, and is asked for what is done."""

    def __init__(self, job: Job, size: int) -> None:
        import ray

        self._results = job.results(ray, size)

    def next(self) -> Done | None:
        return next(self._results, None)


def _elsewhere(ray: Any, job: Job, size: int) -> Iterator[Done]:
    director = ray.remote(num_cpus=0)(_Director).remote(job, size)
    while (done := ray.get(director.next.remote())) is not None:
        yield done


def _beside_us(ray: Any) -> Any:
    """What makes an actor of a class, on the node whose end is that of the job, and started anew where it dies."""
    here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=True
    )
    return ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=here)


def _reason(error: Any) -> str:
    """What a worker met, in a line: Ray puts its own tracebacks and advice around it."""
    while getattr(error, "cause", None) is not None:
        error = error.cause
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip().removeprefix("[ray] ")
