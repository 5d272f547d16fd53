"""Speed, measured side by side: each peer in a process of its own, runs interleaved, medians and ratios."""

from attnkit.benchmark.runner import Contestant, Measurement, measure

__all__ = ["Contestant", "Measurement", "measure"]
