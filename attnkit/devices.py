"""Where a model may lie: the devices of this build and this machine, by name."""

from __future__ import annotations

from attnkit import _core

AUTO = "auto"
"""The name that stands for the first GPU where there is one, and else for the CPU."""

CPU = "cpu"


def known_device(name: str) -> str:
    """The full name of a device: "cuda" is "cuda:0", `AUTO` one that is here. ValueError for one that is not."""
    if name == AUTO:
        name = "cuda" if _core.cuda_devices() else CPU
    try:
        return _core.zeros((0,), name).device
    except ValueError as error:
        is_gpu = name.startswith("cuda") and not _core.cuda_devices()
        raise ValueError(f"{error} (attnkit doctor says what is here)" if is_gpu else str(error)) from None


def gpu_name(device: str) -> str | None:
    """What the maker calls it; None for what is no GPU."""
    gpus = {f"cuda:{number}": str(gpu["name"]) for number, gpu in enumerate(_core.cuda_devices())}
    return gpus.get(device)


def device_of(model: object) -> str:
    """Where a model computes; one of somebody's own that does not say it, on the CPU."""
    found: str = getattr(model, "device", CPU)
    return found
