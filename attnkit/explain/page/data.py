"""What the page's script is given of each input: words as people read them, and packed weights."""

from __future__ import annotations

import base64
import io
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from attnkit.explain.drawing.pieces import SPECIAL, WORD_START, labels, word_spans
from attnkit.explain.maps.weights import AttentionWeights, Grid
from attnkit.explain.page.packing import packed
from attnkit.explain.sentence.merge import joined

if TYPE_CHECKING:
    from PIL.Image import Image

    from attnkit.explain.maps.maps import AttentionMaps

# Bytes of packed weights on a page: in base64 4.8 million characters. Many inputs share them, but never get so few each
# that a sentence loses weights.
PAGE, INPUT = 3_600_000, 65_536


class Input(NamedTuple):
    """What the page shows of `AttentionMaps`, for subjects that have their weights otherwise."""

    kinds: Sequence[AttentionWeights]
    title: str = ""
    output: str = ""
    image: Image | None = None


def plain(inputs: Sequence[AttentionMaps | Input]) -> list[dict[str, Any]]:
    """The inputs as JSON holds them, in about `PAGE` bytes of weights altogether."""
    images = [None if each.image is None else data_url(each.image) for each in inputs]
    left = PAGE - sum(3 * len(url) // 4 for url in images if url)
    sizes = [[kind.weights.size for kind in each.kinds] for each in inputs]
    every = max(sum(map(sum, sizes)), 1)
    return [
        {
            "title": _label(each.title),
            "text": _sentence(each.title.split(" ") if not each.kinds else _read(each)),
            "output": _label(each.output),
            "image": image,
            "kinds": [
                _kind(kind, max(left * size // every, INPUT * size // max(sum(own), 1)))
                for kind, size in zip(each.kinds, own, strict=True)
            ],
        }
        for each, image, own in zip(inputs, images, sizes, strict=True)
    ]


def data_url(image: Image) -> str:
    """PNG where few colours make that small, as for drawings, else JPEG."""
    drawing, photo = io.BytesIO(), io.BytesIO()
    image = image.convert("RGB")
    image.save(drawing, format="PNG", optimize=True)
    image.save(photo, format="JPEG", quality=88)
    kind, data = ("png", drawing) if drawing.tell() <= 2 * photo.tell() else ("jpeg", photo)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"


def _kind(kind: AttentionWeights, budget: int) -> dict[str, Any]:
    weights = packed(kind.weights, kind.scale, budget)
    keys = list(kind.keys)[:: weights["group"]]
    return {
        "kind": _label(kind.kind),
        "scale": kind.scale,
        "layers": [_label(kind.layer_name(index)) for index in range(kind.layers)],
        "heads": [_label(kind.head_name(index)) for index in range(kind.heads)],
        "queryAxis": _label(kind.query_axis),
        "keyAxis": _label(kind.key_axis),
        "queries": _side(kind.queries, kind.query_grid),
        "keys": _side(keys, kind.key_grid),
        "centres": None if kind.centres is None else [round(float(each), 3) for each in kind.centres],
        "sizes": None if kind.sizes is None else [-(-size // weights["group"]) for size in kind.sizes],
        **weights,
    }


def _side(tokens: Sequence[str], grid: Grid | None) -> dict[str, Any]:
    """tokens: as people read them; starts and words: where each word begins, and the words; None where none is in
    pieces; grid: rows and columns of the regions at the end."""
    tokens = list(tokens)
    shown, spans = labels(tokens), word_spans(tokens) if tokens else []
    pieces = grid is None and len(spans) < len(tokens)
    return {
        "tokens": shown,
        "starts": [start for start, _ in spans] if pieces else None,
        "words": labels(joined(tokens, spans)) if pieces else None,
        "grid": None if grid is None else list(grid),
        "direction": _direction(shown),
    }


def _read(maps: AttentionMaps | Input) -> Sequence[str]:
    """What stands for an input in the list: what the first kind reads; of an image, what was written about it."""
    first = maps.kinds[0]
    if maps.image is not None:
        return [maps.output or maps.title]
    return [maps.title] if maps.output and maps.title else first.keys


def _sentence(tokens: Sequence[str]) -> str:
    """The source as one line for the list of sentences, without the marks of pieces and of the sentence's ends."""
    words = [token for token in tokens if token not in SPECIAL]
    pieces = any(token.startswith(WORD_START) for token in words)
    text = "".join(words).replace(WORD_START, " ").strip() if pieces else " ".join(words)
    return _label(text)


def _label(text: str) -> str:
    return labels([text])[0] if text else ""


def _direction(tokens: Sequence[str]) -> str:
    """ "rtl" or "ltr", whichever most of the letters with a direction have."""
    kinds = [unicodedata.bidirectional(character) for token in tokens for character in token]
    return "rtl" if kinds.count("R") + kinds.count("AL") > kinds.count("L") else "ltr"
