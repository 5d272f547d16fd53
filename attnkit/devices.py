"""Where a model may lie: the devices of this build and this machine, by name."""

from __future__ import annotations

from typing import Any

from attnkit import _core

AUTO = "auto"
"""The name that stands for the first GPU where there is one, and else for the CPU."""

CPU = "cpu"


def cuda_devices() -> list[dict[str, Any]]:
    """The GPUs that this process may use, in the order of their numbers: `name`, `capability`, `memory` in bytes,
    `driver` and `runtime`. None in a build without CUDA, and where there is no driver."""
    found = getattr(_core, "cuda_devices", None)
    return [] if found is None else list(found())


def built_with_cuda() -> bool:
    """Whether this build could use a GPU if there were one."""
    return bool(_core.build_info().get("cuda")) or bool(cuda_devices())


def known_device(name: str) -> str:
    """The full name of a device: "cuda" is "cuda:0", `AUTO` one that is here. ValueError for one that is not."""
    if name == AUTO:
        name = "cuda" if cuda_devices() else CPU
    try:
        return _core.zeros((0,), name).device
    except ValueError as error:
        said = str(error)
        if said.endswith(f'got "{name}"') and name.startswith("cuda") and not cuda_devices():
            said += f": {'there is no GPU here' if built_with_cuda() else 'this build has no CUDA'}"
            said += " (attnkit doctor says what it has)"
        raise ValueError(said) from None
