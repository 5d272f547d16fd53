"""What a folder of answers is the answer to: the model, the options and the inputs, in a file beside the answers."""

from __future__ import annotations

from typing import Any

import msgspec

from attnkit.printable import quoted
from attnkit.ray import storage
from attnkit.ray.parts import Part, Source
from attnkit.ray.work import Work

FILE = "attnkit-job.json"

# They say how fast an answer comes, and how much memory it needs, and not which it is.
_SPEED = {"batch_tokens", "batch_images", "window"}


class Manifest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """options: by which the answers are what they are. inputs: of each the digests of its parts. model, version: what
    made them, for people; digests are what counts."""

    task: str
    model: str
    version: str
    digests: tuple[str, ...]
    options: dict[str, Any]
    inputs: dict[str, list[str]] = {}


def agree(folder: str, work: Work, sources: list[Source], missing: list[Part], more: dict[str, Any]) -> None:
    """Writes the file, or reads it and raises ValueError where it says something else. Inputs that it does not name are
    added, and what is missing may have changed: a line that was mended, say. more: options beside those of the
    work."""
    options = {name: value for name, value in work.options.items() if name not in _SPEED}
    options |= {"precision": work.precision, **more}
    manifest = Manifest(
        task=work.task,
        model=" then ".join(each for each in (work.model, work.then) if each is not None),
        version=work.version,
        digests=work.digests,
        options=msgspec.json.decode(msgspec.json.encode(options)),  # as it is read
        inputs={source.name: [part.digest for part in source.parts] for source in sources},
    )
    path = storage.joined(folder, FILE)
    content = storage.read_whole(path)
    if content is not None:
        earlier = _decoded(path, content)
        _compare(path, earlier, manifest)
        _compare_inputs(path, earlier, sources, {part.target for part in missing})
        manifest.inputs = earlier.inputs | manifest.inputs
    encoded = msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
    if encoded != content:
        storage.write_whole(path, encoded)


def _decoded(path: str, content: bytes) -> Manifest:
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise ValueError(f"[ray] {path}: expected what began this folder: {error}") from None


def _compare(path: str, earlier: Manifest, now: Manifest) -> None:
    if (earlier.task, earlier.digests) != (now.task, now.digests):
        raise _other(path, f"the model {earlier.model}, as it was", f"{now.model}, another one")
    for name in sorted(earlier.options.keys() | now.options.keys()):
        before, value = earlier.options.get(name), now.options.get(name)
        if before != value:
            raise _other(path, f"{name} {_said(before)}", _said(value))


def _compare_inputs(path: str, earlier: Manifest, sources: list[Source], missing: set[str]) -> None:
    for source in sources:
        digests = earlier.inputs.get(source.name)
        if digests is not None and len(digests) != len(source.parts):
            raise _other(path, f"{source.name} with as many lines as it had", f"{source.count:,}")
        for part, digest in zip(source.parts, digests or (), strict=False):
            if part.digest != digest and part.target not in missing:
                raise _other(path, f"{part} as it was", "other content")


def _other(path: str, expected: str, got: str) -> ValueError:
    return ValueError(f"[ray] {path}: expected {expected}, got {got}; give another folder for other answers")


def _said(value: Any) -> str:
    return "not given" if value is None else quoted(str(value))
