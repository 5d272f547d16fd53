"""The models that earlier versions have written, one of each kind, and what each says of a small input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

MODELS = sorted(path for path in (Path(__file__).parents[1] / "data" / "formats" / "1" / "models").iterdir())
PICTURE = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)


def outputs(model: Any) -> Any:
    match type(model).__name__:
        case "Translator":
            to = model.languages[0] if model.languages else None
            return [each.text for each in model.translate(["il gatto vede", "a b c"], beam=2, max_length=8, to=to)]
        case "Captioner":
            return [each.text for each in model.caption([PICTURE], beam=2, max_length=8)]
        case "Classifier":
            return [each.label for each in model.classify(["good", "bad"])]
        case "ImageClassifier":
            return [each.label for each in model.classify([PICTURE])]
        case _:
            return [each.text for each in model.generate(["a"], beam=1, max_length=8)]
