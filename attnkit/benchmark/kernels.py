"""`attnkit bench kernels`: the kernels that models spend their time in, beside PyTorch's and this machine's limits.

CASES is the table of what is measured. A kernel has an entry in `WORK` (what it has to do), and a function of its name
in each library's worker (kernels_attnkit.py, kernels_torch.py) that makes the call to be timed.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from attnkit.benchmark.peers.torch_setting import torch_environment
from attnkit.benchmark.runner import Contestant, Process, in_turn, started
from attnkit.devices import CPU

Shape = tuple[int, ...]
Direction = Literal["forward", "both"]
"""both: forward and backward."""


@dataclass(frozen=True)
class Case:
    """One row of the table. variant: "causal", "weights" (attention that also returns its weights), or nothing."""

    kernel: str
    shape: Shape
    precision: str = "fp32"
    direction: Direction = "forward"
    variant: str = ""

    @property
    def size(self) -> int:
        """The product of the shape."""
        return math.prod(self.shape)

    def to_line(self) -> str:
        return json.dumps(self.__dict__)

    @classmethod
    def from_line(cls, line: str) -> Case:
        record = json.loads(line)
        return cls(**{**record, "shape": tuple(record["shape"])})


@dataclass(frozen=True)
class Amount:
    """Floating-point operations, or bytes that must at least cross memory, of the forward pass and of both passes."""

    forward: float
    both: float
    unit: Literal["flop", "byte"] = "flop"

    def of(self, direction: Direction) -> float:
        return self.forward if direction == "forward" else self.both


def _matmul(m: int, k: int, n: int) -> Amount:
    """[m, k] · [k, n]; the two products of backward have the same size."""
    return Amount(2.0 * m * k * n, 6.0 * m * k * n)


def _attention(batch: int, heads: int, tokens: int, width: int) -> Amount:
    """Two products forward; backward five, since the weights are computed again."""
    product = 2.0 * batch * heads * tokens * tokens * width
    return Amount(2 * product, 7 * product)


def _rows(rows: int, width: int) -> Amount:
    """Read once and written once; backward reads two arrays and writes one."""
    array = 4.0 * rows * width
    return Amount(2 * array, 5 * array, "byte")


def _linear_cross_entropy(tokens: int, width: int, vocabulary: int) -> Amount:
    return _matmul(tokens, width, vocabulary)


def _recurrent(gates: int) -> Callable[[int, int, int], Amount]:
    """A layer: B sentences of N tokens, inputs and states of the same width."""

    def amount(batch: int, tokens: int, width: int) -> Amount:
        return _matmul(batch * tokens, 2 * width, gates * width)

    return amount


def _conv2d(batch: int, side: int, channels: int, outputs: int, kernel: int) -> Amount:
    """Images [side, side, channels], kernels [kernel, kernel] of stride 1, padded to the same size."""
    return _matmul(batch * side * side, kernel * kernel * channels, outputs)


def _copy(size: int) -> Amount:
    return Amount(8.0 * size, 8.0 * size, "byte")


WORK: dict[str, Callable[..., Amount]] = {
    "matmul": _matmul,
    "attention": _attention,
    "softmax": _rows,
    "layer_norm": _rows,
    "linear_cross_entropy": _linear_cross_entropy,
    "gru": _recurrent(3),
    "lstm": _recurrent(4),
    "conv2d": _conv2d,
    "copy": _copy,
}

# The machine's limits: a product too large for caches to matter, and a copy of an array that no cache holds.
ROOFS = {
    "fp32": Case("matmul", (1536, 1536, 1536)),
    "bf16": Case("matmul", (1536, 1536, 1536), "bf16"),
    "copy": Case("copy", (1 << 25,)),
}

# Layers of transformer-tiny and transformer-base in training, and of base in a step of decoding.
_MATMUL: list[Shape] = [
    (4096, 128, 384),
    (4096, 256, 128),
    (1024, 512, 1536),
    (1024, 512, 2048),
    (1024, 2048, 512),
    (32, 512, 2048),
]
# (batch, heads, tokens, width of a head): sentences, the ViTs Ti and B, long texts.
_ATTENTION: list[Shape] = [
    (256, 4, 16, 32),
    (32, 8, 64, 64),
    (64, 3, 65, 64),
    (16, 12, 197, 64),
    (8, 8, 512, 64),
    (1, 8, 4096, 64),
]
_LONGEST_WEIGHTS = 512  # returned weights are tokens² numbers a head
_ROWS: list[Shape] = [(16384, 64), (4096, 512), (4096, 10_000)]
_CROSS_ENTROPY: list[Shape] = [(4096, 128, 10_000), (1024, 512, 32_000)]
_RECURRENT: list[Shape] = [(64, 20, 256), (64, 20, 512)]
_CONV2D: list[Shape] = [(64, 32, 64, 64, 3), (16, 56, 64, 64, 3), (64, 32, 3, 64, 3)]


def _cases() -> Iterator[Case]:
    directions: tuple[Direction, ...] = ("forward", "both")
    shape: tuple[int, ...]
    for shape in _MATMUL:
        for precision in ("fp32", "bf16"):
            yield Case("matmul", shape, precision)
    for shape in _ATTENTION:
        for precision in ("fp32", "bf16"):
            for variant in ("", "causal"):
                for direction in directions:
                    yield Case("attention", shape, precision, direction, variant)
        if shape[2] <= _LONGEST_WEIGHTS:
            yield Case("attention", shape, variant="weights")
    for kernel in ("softmax", "layer_norm"):
        for shape in _ROWS:
            for direction in directions:
                yield Case(kernel, shape, direction=direction)
    for shape in _CROSS_ENTROPY:
        for precision in ("fp32", "bf16"):
            yield Case("linear_cross_entropy", shape, precision, "both")
    for kernel, shapes in (("gru", _RECURRENT), ("lstm", _RECURRENT), ("conv2d", _CONV2D)):
        for shape in shapes:
            for precision in ("fp32", "bf16"):
                for direction in directions:
                    yield Case(kernel, shape, precision, direction)


CASES = tuple(_cases())
KERNELS = tuple(dict.fromkeys(case.kernel for case in CASES))


@dataclass(frozen=True)
class KernelMeasurement:
    """A case, and for each contestant the seconds of a call in every run; roof: the limit in units a second."""

    case: Case
    seconds: dict[str, tuple[float, ...]]
    roof: float

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def amount(self) -> Amount:
        amount = WORK[self.case.kernel](*self.case.shape)
        if self.case.variant != "causal":
            return amount
        tokens = self.case.shape[2]
        seen = (tokens + 1) / (2 * tokens)  # of the pairs, a query sees those before it and itself
        return Amount(amount.forward * seen, amount.both * seen)

    def rate(self, name: str) -> float:
        """Units a second."""
        return self.amount().of(self.case.direction) / self.median(name)

    def share_of_roof(self, name: str) -> float:
        return self.rate(name) / self.roof


def peer_problems(against: tuple[str, ...]) -> list[str]:
    """What is missing for the peers to run at their best, each with the command that installs it."""
    from attnkit.benchmark import train

    return train.peer_problems(against)


def bench_kernels(
    cases: tuple[Case, ...] = CASES,
    against: tuple[str, ...] = (),
    runs: int = 7,
    threads: int | None = None,
    min_seconds: float = 0.05,
    progress: Callable[[str], None] = lambda message: None,
    device: str = CPU,
) -> tuple[list[KernelMeasurement], dict[str, float]]:
    """Every case by attnkit and each peer on a device, in turn, and the roofs: flop/s of fp32 and bf16 products, byte/s
    of a copy.

    A run repeats a call for `min_seconds`. The roof is the best that any contestant reached.
    """
    from attnkit import get_num_threads

    count = str(threads or get_num_threads())
    arguments = (count, str(min_seconds), device)
    contestants = [Contestant("attnkit", "attnkit.benchmark.kernels_attnkit", arguments)]
    if "torch" in against and find_spec("torch") is not None:
        module, environment = "attnkit.benchmark.peers.kernels_torch", torch_environment(count)
        contestants.append(Contestant("torch", module, arguments, environment))
    with started(contestants) as processes:
        progress("measuring the machine's limits")
        roofs = {name: _roof(processes, case, runs) for name, case in ROOFS.items()}
        measurements = []
        for number, case in enumerate(cases, start=1):
            progress(f"{number} of {len(cases)}: {case.kernel} {'x'.join(map(str, case.shape))}")
            seconds = _seconds(processes, case, runs)
            limit = roofs["copy" if WORK[case.kernel](*case.shape).unit == "byte" else case.precision]
            measurements.append(KernelMeasurement(case, seconds, limit))
    return measurements, roofs


def _roof(processes: list[Process], case: Case, runs: int) -> float:
    seconds = _seconds(processes, case, runs)
    return WORK[case.kernel](*case.shape).forward / min(statistics.median(each) for each in seconds.values())


def _seconds(processes: list[Process], case: Case, runs: int) -> dict[str, tuple[float, ...]]:
    answers = in_turn(processes, runs, 1, request=case.to_line())
    return {
        process.name: tuple(answer["seconds"] for answer in kept)
        for process, kept in zip(processes, answers, strict=True)
    }
