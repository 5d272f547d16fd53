"""The one training loop, for every task: steps, validations, checkpoints, and an end that can be resumed from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from attnkit import _core, _tensor
from attnkit.distributed.group import Alone, Group, together
from attnkit.distributed.optimizer import SharedOutOptimizer
from attnkit.nn.module import Module
from attnkit.optim import Adam, AdamW, Muon, clip_scale, grad_norm
from attnkit.optim.schedules import Schedule, constant, cosine, inverse_sqrt
from attnkit.training.checkpoint import CheckpointFolder
from attnkit.training.config import TrainingConfig
from attnkit.training.errors import CheckpointError, ConfigError, Interrupted, NonFiniteError
from attnkit.training.interruption import Interruption, StopRequested
from attnkit.training.metrics import SCORES, Figure, MetricsFile
from attnkit.training.progress import Position, Reporter, duration
from attnkit.training.state import NEVER, State, Window
from attnkit.training.step import StepGradient
from attnkit.training.task import Task, checksum

T = TypeVar("T")
_Chosen: TypeAlias = tuple[list[int], dict[str, np.ndarray]]

METRICS_FILE, CURVE_FILE, CHECKPOINTS = "metrics.jsonl", "learning-curve.png", "checkpoints"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. folder: the model directory. step: updates made. reason: why it stopped. figures: of the weights
    that became the model, on validation and test data."""

    folder: Path
    step: int
    reason: str
    figures: Mapping[str, Figure]


def make_schedule(config: TrainingConfig) -> Schedule:
    """The learning rate of each step, counted from 1."""
    peak, warmup, low = config.learning_rate, config.warmup_steps, config.min_learning_rate
    if config.schedule == "cosine":
        return cosine(peak, config.max_steps, warmup, low)
    return inverse_sqrt(peak, warmup, low) if config.schedule == "inverse-sqrt" else constant(peak, warmup)


def make_optimizer(config: TrainingConfig, model: Module, lr_factors: Mapping[str, float] | None = None) -> Adam | Muon:
    """The optimizer of the model's parameters that require a gradient, before its first step. lr_factors: by which the
    learning rate of some is multiplied, by name."""
    options = (config.learning_rate, config.betas, config.eps, config.weight_decay)
    if config.optimizer == "muon":
        return Muon(model, *options, lr_factors=lr_factors)
    learning = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    factors = [(lr_factors or {}).get(name, 1.0) for name in learning]
    return (AdamW if config.optimizer == "adamw" else Adam)(learning.values(), *options, factors)


def _make_optimizer(task: Task, config: TrainingConfig, group: Group) -> Adam | Muon | SharedOutOptimizer:
    optimizer = make_optimizer(config, task.model, getattr(task, "lr_factors", None))
    if group.size == 1 or not config.shard_optimizer:
        return optimizer
    return SharedOutOptimizer(optimizer, [p for p in task.model.parameters() if p.requires_grad], group)


class Trainer:
    """Trains the model of a task in a folder.

    Between two steps everything that a run depends on is in the model, the optimizer, the task's batches, attnkit's
    random state and `State`; a checkpoint holds these five, and so a resumed run goes on to the same bytes.
    """

    def __init__(
        self, task: Task, config: TrainingConfig, folder: Path, reporter: Reporter, group: Group | None = None
    ) -> None:
        """group: the processes that train together; only the first of them reads and writes the folder, and reports.

        Raises ConfigError where the configuration does not suit their number.
        """
        self._task, self._config, self._folder, self._reporter = task, config, folder, reporter
        self._group: Group = Alone() if group is None else group
        self._checkpoints = CheckpointFolder(folder / CHECKPOINTS)
        self._parameters = list(task.model.parameters())
        self._optimizer = _make_optimizer(task, config, self._group)
        self._restored: Mapping[str, Any] | None = (
            None  # the optimizer's state in the checkpoint, until all have theirs
        )
        self._schedule = make_schedule(config)
        self._gradient = StepGradient(task, config, self._group)
        measured = NEVER if getattr(task, "pretrained", False) else 0
        self._state = State(batches=task.batches.state_dict(), validated_step=measured)
        self._saved_step = -1
        self._measured: dict[int, dict[str, Figure]] = {}  # the figures of each validation of this process, by its step
        self._draws_curve = True  # until it cannot
        self._stage = ""
        self._clock = time.perf_counter()
        self._interruption = Interruption(self._announce_stop, self._group.stop_signals)
        self._stop = 0  # the signal that all processes have agreed to end for

    # ----- The life of a run

    def resume(self) -> int:
        """Takes up the last checkpoint; returns its step. Raises CheckpointError for a damaged one or another run's."""
        state, weights, optimizer = self._checkpoints.load()
        try:
            self._task.model.load_state_dict(weights)
            self._restored = {**optimizer, "steps": state.optimizer_steps}
            self._optimizer.load_state_dict(self._restored)
            self._task.batches.load_state_dict(state.batches)
        except ValueError as error:
            raise CheckpointError(f"{self._checkpoints.last}: does not fit this run: {error}") from None
        self._checkpoints.tidy(state)
        _core.set_random_state(state.random)
        self._state, self._saved_step = state, state.step
        return state.step

    def join(self) -> None:
        """Has all processes begin where the first one is. Raises ConfigError where one has other data."""
        restored, self._restored = self._restored, None  # as large as two models: nobody keeps it
        if self._group.size == 1:
            return
        weights, restored, state = self._group.broadcast((self._task.model.state_dict(), restored, self._state))
        random, batches = self._group.broadcast((_core.random_state(), self._task.batches.state_dict()))
        self._check_same_data(batches)
        if self._leads:
            return
        self._task.model.load_state_dict(weights)
        if restored is not None:
            self._optimizer.load_state_dict(restored)
            self._saved_step = state.step
        _core.set_random_state(random)
        self._state = state

    def _check_same_data(self, position: Mapping[str, int]) -> None:
        """Goes to the position of all. Raises ConfigError where this process's data is not that of the first one."""

        def first_batch() -> int:
            self._task.batches.load_state_dict(position)
            return checksum(next(iter(self._task.batches.pick([0]))))

        try:
            own = together(self._group, first_batch)
        except ValueError as error:
            raise ConfigError(f"data.train: expected the same data on all hosts, got others: {error}") from None
        if self._group.broadcast(own) != own:
            raise ConfigError("data.train: expected the same data on all hosts, got another first batch here")

    @property
    def _leads(self) -> bool:
        return self._group.rank == 0

    def _first(self, work: Callable[[], T]) -> T | None:
        """What only the first process does: where it fails, all know."""
        return together(self._group, lambda: work() if self._leads else None)

    def run(self) -> Outcome:
        """Trains until a limit of the configuration is reached, then chooses, measures and saves the final weights.

        Raises Interrupted, with the run saved, after Ctrl-C, SIGTERM or SIGHUP; NonFiniteError at a NaN or an infinity.
        """
        self._metrics = MetricsFile(self._folder / METRICS_FILE if self._leads else None, self._state.metrics_bytes)
        self._clock = time.perf_counter()
        self._note_stage("")
        try:
            with self._interruption, _tensor.precision(self._config.precision):
                return self._run()
        finally:
            self._metrics.close()

    def _run(self) -> Outcome:
        try:
            reason = self._loop()
        except StopRequested as stop:
            self._save()
            raise self._interrupted(stop) from None
        if self._saved_step != self._state.step:
            self._save()
        try:
            return self._finish(reason)
        except StopRequested as stop:
            raise self._interrupted(stop) from None

    def _loop(self) -> str:
        """Steps, validations and checkpoints, until there is a reason to stop."""
        while True:
            self._check_stop()
            if self._validation_is_due():
                self._validate()
            elif self._config.save_every and self._state.step % self._config.save_every == 0 < self._state.step:
                self._save()
            reason = self._stop_reason()
            if self._config.max_minutes:  # which clocks do not agree on
                reason = self._group.broadcast(reason)
            if reason:
                return reason
            self._step()

    def _check_stop(self) -> None:
        """Raises StopRequested: alone at once, in a group after the step at whose end all have heard of the signal."""
        if self._group.size == 1:
            self._interruption.check()
        elif self._stop:
            raise StopRequested(self._stop)

    def _stop_reason(self) -> str:
        config, state = self._config, self._state
        if config.max_steps and state.step >= config.max_steps:
            return f"{config.max_steps:,} steps done"
        if config.max_epochs and self._task.batches.epoch >= config.max_epochs:
            return f"{config.max_epochs:,} epochs done"
        if config.max_minutes and state.seconds >= 60 * config.max_minutes:
            return f"{config.max_minutes:g} minutes are over"
        if config.patience and state.bad_validations >= config.patience:
            return f"no better validation in the last {config.patience}"
        return ""

    # ----- A step

    def _step(self) -> None:
        """One update of the weights from `accumulate` batches, or fewer at the end of an epoch."""
        config, state, window = self._config, self._state, self._state.window
        started = time.perf_counter()
        sums = self._gradient(self._gradient.draw(config.accumulate), self._interruption.signal_number)
        if sums.bad:
            raise self._not_finite(f"the loss is {sums.bad_loss}", sums.bad)
        norm = grad_norm(self._parameters)
        if not math.isfinite(norm):
            raise self._not_finite(f"the norm of the gradient is {norm}", sums.examples)
        self._optimizer.lr = self._schedule(state.step + 1)
        self._optimizer.step(clip_scale(norm, config.clip_norm) if config.clip_norm else 1.0)
        self._optimizer.zero_grad()
        self._task.batches.turn()  # as soon as an epoch is used up, so that a position has one way to be written
        self._stop = sums.stop
        state.step += 1
        state.tokens += sums.tokens
        window.steps += 1
        window.tokens += sums.tokens
        window.loss += sums.loss
        window.nll += sums.nll
        window.gradient_norm += norm
        window.seconds += time.perf_counter() - started
        self._report_step()

    def _report_step(self) -> None:
        window, state = self._state.window, self._state
        self._note_stage(self._stage)
        logged = state.step % self._config.log_every == 0
        # The epoch that the step belongs to, from 1: at an epoch's end the position is that of the next one.
        epoch = self._task.batches.epoch + (self._task.batches.index > 0)
        figures = {
            "step": state.step,
            "epoch": epoch,
            "loss": window.loss / window.tokens,
            "perplexity": math.exp(min(window.nll / window.tokens, 700.0)),
            "gradient_norm": window.gradient_norm / window.steps,
            "learning_rate": self._optimizer.lr,
            "tokens": state.tokens,
            "tokens_per_second": window.tokens / window.seconds,
            "seconds": self._tick(),
        }
        self._reporter.training(figures, self._position(), logged)
        if logged:
            self._metrics.write(figures)
            state.window = Window()

    def _note_stage(self, before: str) -> None:
        """Says when a stage of training begins or ends: the loss is then another one, and jumps."""
        self._stage = getattr(self._task.model, "stage", "")
        if self._stage != before:
            now = f"{self._stage}, whose loss is its own" if self._stage else f"{before} is over, another loss begins"
            self._reporter.note(f"step {self._state.step:,}: {now}")

    def _tick(self) -> float:
        """Adds the time since the last call to the run's; returns the sum."""
        now = time.perf_counter()
        self._state.seconds += now - self._clock
        self._clock = now
        return self._state.seconds

    def _position(self) -> Position:
        config, state, data = self._config, self._state, self._task.batches
        shares = []
        if config.max_steps:
            shares.append(state.step / config.max_steps)
        if config.max_epochs:
            shares.append((data.epoch + data.index / len(data)) / config.max_epochs)
        if config.max_minutes:
            shares.append(state.seconds / (60 * config.max_minutes))
        unit: str = getattr(self._task, "unit", "tokens")
        if not shares:
            return Position(None, None, unit)
        fraction = min(1.0, max(shares))
        return Position(fraction, state.seconds * (1 - fraction) / fraction, unit)

    def _not_finite(self, what: str, indices: Sequence[int]) -> NonFiniteError:
        shown = ", ".join(map(str, indices[:10])) + (", ..." if len(indices) > 10 else "")
        saved = f"the checkpoint of step {self._saved_step} stays" if self._saved_step >= 0 else "nothing is saved yet"
        return NonFiniteError(
            f"[train] step {self._state.step + 1}: {what}, for {len(indices)} examples of the training data "
            f"(counted from 0: {shown}); {self._first_bad()}; {saved}. "
            "A lower learning_rate, a longer warm-up or a smaller clip_norm may help"
        )

    def _first_bad(self) -> str:
        for name, parameter in self._task.model.named_parameters():
            if not np.isfinite(parameter.numpy(writable=False)).all():
                return f"the first parameter that is not finite is {name}"
        for name, parameter in self._task.model.named_parameters():
            if parameter.grad is not None and not np.isfinite(parameter.grad.numpy()).all():
                return f"the parameters are finite, the first gradient that is not is that of {name}"
        return "all parameters are finite"

    # ----- Validation

    def _validation_is_due(self) -> bool:
        config, state, data = self._config, self._state, self._task.batches
        if state.validated_step == state.step:  # also at the very start of what has learnt nothing, where both are 0
            return False
        if config.validate_unit == "steps":
            return state.step % config.validate_every == 0
        return data.index == 0 and data.epoch % config.validate_every == 0

    def _validate(self) -> None:
        """Measures, keeps the weights that may be needed at the end, and saves."""
        state = self._state
        figures = self._measured[state.step] = self._measure("validation", self._task.validate)
        state.validated_step = state.step
        if self._config.final == "average" and state.step:
            state.snapshots = [*state.snapshots, state.step][-self._config.average_last :]
        best = bool(figures) and self._is_best(figures)
        if best:
            state.best_step, state.best_score, state.bad_validations = state.step, self._score(figures), 0
        elif figures:
            state.bad_validations += 1
        if best or self._config.final == "average":
            self._first(lambda: self._checkpoints.save_weights(state.step, self._task.model.state_dict()))
        self._write_validation(figures, best)
        self._save()
        if best:
            self._first(lambda: self._task.save(self._folder))  # a run that goes on is a usable model directory already

    def _score(self, figures: Mapping[str, Figure]) -> float:
        name, sign = SCORES[self._config.metric]
        return sign * float(figures[name])  # type: ignore[arg-type]

    def _is_best(self, figures: Mapping[str, Figure]) -> bool:
        return self._state.best_score is None or self._score(figures) > self._state.best_score

    def _measure(self, phase: str, measure: Callable[..., Mapping[str, Figure]], **options: Any) -> dict[str, Figure]:
        """Figures of the current weights, in evaluation mode, which leave no trace in the run."""
        self._reporter.phase(phase)
        with self._evaluating():
            figures = dict(measure(self._interruption.check, **options))
        self._reporter.phase("training")
        return figures

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        random = _core.random_state()
        self._task.model.eval()
        try:
            with _tensor.no_grad():
                yield
        finally:
            self._task.model.train()
            _core.set_random_state(random)

    def _write_validation(self, figures: Mapping[str, Figure], best: bool) -> None:
        if not figures:
            return
        state, epoch = self._state, self._task.batches.epoch + (self._task.batches.index > 0)
        self._metrics.write({"step": state.step, "epoch": epoch, **figures, "seconds": self._tick()})
        self._reporter.note(
            f"validation  step {state.step:,}  epoch {epoch}  {_figures(figures)}"
            f"{'  (best so far)' if best else ''}  {duration(state.seconds)}"
        )
        self._draw_curve()

    def _draw_curve(self) -> None:
        if not self._leads:
            return
        try:
            from attnkit.explain import draw_learning_curve

            draw_learning_curve(self._folder / METRICS_FILE, self._folder / CURVE_FILE)
        except Exception as error:  # whatever is wrong with a picture, the weights are worth more
            if self._draws_curve:
                self._reporter.note(f"{CURVE_FILE}: cannot be drawn ({error}); the run goes on without it")
            self._draws_curve = False

    # ----- Checkpoints and the end

    def _save(self) -> None:
        state = self._state
        self._tick()
        state.batches = self._task.batches.state_dict()
        state.random = _core.random_state()
        optimizer = self._optimizer.state_dict()
        state.optimizer_steps = int(optimizer.pop("steps"))
        self._first(lambda: self._write_checkpoint(optimizer))
        self._saved_step = state.step

    def _write_checkpoint(self, optimizer: Mapping[str, Any]) -> None:
        state = self._state
        # Before the checkpoint, which counts on these bytes.
        state.metrics_bytes = self._metrics.sync()
        self._checkpoints.save(state, self._task.model.state_dict(), optimizer)

    def _finish(self, reason: str) -> Outcome:
        """Chooses the final weights, writes the model and measures it.

        The last checkpoint is saved before and stays as it is, so that a run with a raised limit goes on from there as
        if it had never stopped; what is measured here is no part of its history.
        """
        figures = self._closing_validation()
        chosen_weights = self._first(lambda: self._final_weights(figures))
        steps, weights = cast("_Chosen", self._group.broadcast(chosen_weights))
        self._task.model.load_state_dict(weights)
        self._first(
            lambda: self._task.save(self._folder)
        )  # before what may fail: the model is there, whatever its figures
        final = self._final_figures(steps)
        row = {f"final_{name}": value for name, value in final.items()} | self._measure("test", self._task.test)
        chosen = {"final": self._config.final, "final_steps": steps}
        self._metrics.write({"step": self._state.step, **chosen, **row, "seconds": self._tick()})
        self._draw_curve()
        self._reporter.note(f"stopped after {self._state.step:,} steps and {duration(self._state.seconds)}: {reason}")
        self._reporter.note(f"model: {self._describe_choice(steps)}  {_figures(row)}".rstrip())
        return Outcome(self._folder, self._state.step, reason, row)

    def _final_figures(self, steps: list[int]) -> dict[str, Figure]:
        """Of the final weights: as they were measured before, where measuring once more tells nothing new."""
        if len(steps) == 1 and steps[0] in self._measured and getattr(self._task, "final_is_usual", False):
            return self._measured[steps[0]]
        return self._measure("validation", self._task.validate, final=True)

    def _closing_validation(self) -> dict[str, Figure]:
        """The figures of the last weights, where the last validation was of others."""
        if self._state.validated_step == self._state.step:
            return {}
        figures = self._measured[self._state.step] = self._measure("validation", self._task.validate)
        self._write_validation(figures, bool(figures) and self._is_best(figures))
        return figures

    def _final_weights(self, closing: Mapping[str, Figure]) -> _Chosen:
        """The weights that become the model, and the steps they are from."""
        state, current = self._state, self._task.model.state_dict()
        if self._config.final == "average":
            steps = state.snapshots
            if state.validated_step == state.step:
                return steps, self._checkpoints.average(steps)
            kept = steps[-(self._config.average_last - 1) :]
            return [*kept, state.step], self._checkpoints.average(kept, current)
        if self._config.final == "best" and state.best_score is not None and not (closing and self._is_best(closing)):
            return [state.best_step], self._checkpoints.load_weights(state.best_step)
        return [state.step], current

    def _describe_choice(self, steps: list[int]) -> str:
        if self._config.final == "average":
            return f"the mean of the weights of steps {', '.join(map(str, steps))}"
        return f"the {self._config.final} weights, of step {steps[0]}"

    # ----- Signals

    def _announce_stop(self, name: str) -> None:
        self._reporter.note(f"{name}: saving after this step (again to abort at once)")

    def _interrupted(self, stop: StopRequested) -> Interrupted:
        message = f"stopped and saved at step {self._state.step:,}; go on with: attnkit train {self._folder} --resume"
        return Interrupted(message, stop.signal_number)


def _figures(figures: Mapping[str, Figure]) -> str:
    """`validation_loss 1.234  bleu 34.56`; text such as signatures is left to metrics.jsonl."""
    parts = []
    for name, value in figures.items():
        if isinstance(value, float | int):
            parts.append(f"{name} {value:.{4 if 'loss' in name else 2}f}")
    return "  ".join(parts)
