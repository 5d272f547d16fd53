"""PyTorch at its best, in every bench: what its processes need around them."""

from __future__ import annotations

from collections.abc import Callable
from glob import glob

from attnkit.devices import CPU


def tcmalloc() -> str | None:
    """Debian's libtcmalloc-minimal4, under which PyTorch's training step takes about half the time."""
    found = sorted(glob("/usr/lib/*/libtcmalloc_minimal.so.4") + glob("/usr/lib*/libtcmalloc_minimal.so.4"))
    return found[0] if found else None


def torch_environment(threads: int | str) -> dict[str, str]:
    """Variables of a process."""
    preload = tcmalloc()
    return {"OMP_NUM_THREADS": str(threads), **({"LD_PRELOAD": preload} if preload else {})}


def torch_device(device: str) -> Callable[[], None]:
    """Makes it the one where PyTorch's new tensors lie; what is returned waits until it has done what it was asked."""
    import torch

    if device == CPU:
        return lambda: None
    torch.set_default_device(device)
    return lambda: torch.cuda.synchronize(device)


def torch_problem() -> str | None:
    """What PyTorch is to run without, with the command that installs it; None where it lacks nothing."""
    if tcmalloc() is None:
        return "PyTorch runs without tcmalloc, under which it is faster: apt-get install libtcmalloc-minimal4"
    return None
