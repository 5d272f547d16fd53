"""Every kind of model, loaded and used: what comes out, in a form that can be compared."""

from __future__ import annotations

from random import Random
from typing import Any

import samples

import attnkit
from attnkit._tensor import Precision

LINES = [line for line in (samples.FORMAT / "data" / "pairs.en").read_text("utf-8").splitlines() if line]
PICTURES = [str(path) for path in sorted((samples.FORMAT / "data" / "pictures").rglob("*.png"))]
NAMES = sorted(samples.COMMANDS)


def load(name: str, precision: Precision = "fp32") -> Any:
    return attnkit.load(samples.MODELS / name, precision=precision)


def results(name: str, model: Any, seed: int = 0) -> list[str]:
    """What the model says to some inputs in an order of the seed's, put back into the order of the inputs."""
    picture = samples.COMMANDS[name][1] == samples.PICTURE
    inputs = PICTURES if picture else LINES[:12]
    order = list(range(len(inputs)))
    Random(seed).shuffle(order)
    given = [inputs[index] for index in order]
    match samples.COMMANDS[name][0]:
        case "caption":
            found = model.caption(given, beam=2)
        case "classify":
            found = model.classify(given)
        case "generate":
            found = model.generate(given, max_length=12)
        case _:
            found = model.translate(given, beam=3, **({"to": "it"} if "languages" in name else {}))
    by_place = dict(zip(order, map(_text, found), strict=True))
    return [by_place[index] for index in range(len(inputs))]


def _text(result: Any) -> str:
    """All that a result says, attention aside; numbers as they are, to the bit."""
    if hasattr(result, "label"):
        return f"{result.label} {result.probability!r}"
    return f"{result.text!r} {result.score!r} {result.tokens}"
