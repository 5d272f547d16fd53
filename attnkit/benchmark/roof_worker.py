"""The process that measures how fast products are, beside the contestants: python -m ... THREADS PRECISION..."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from attnkit import _core
from attnkit.benchmark.profile import PRECISIONS, products_per_second
from attnkit.benchmark.runner import Contestant, answer_requests
from attnkit.devices import CPU


def roof_contestants(precisions: Sequence[str], threads: int, device: str) -> list[Contestant]:
    """It; none where the contestants do not compute on the CPU. In every precision some products are float32, such as
    attention's."""
    if device != CPU:
        return []
    names = [name for name in PRECISIONS if name == "fp32" or name in precisions]
    return [Contestant("roof", "attnkit.benchmark.roof_worker", (str(threads), *names))]


def main(threads: str, *precisions: str) -> None:
    _core.set_num_threads(int(threads))
    answer_requests(lambda request: {name: products_per_second(name) for name in precisions})


if __name__ == "__main__":
    main(*sys.argv[1:])
