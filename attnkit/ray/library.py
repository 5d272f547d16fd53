"""The library Ray, which is an extra; one that is missing is said in a line."""

from __future__ import annotations

from typing import Any


def library() -> Any:
    """The module `ray`, with `ray.data`. Raises RuntimeError where it is not installed."""
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        missing = (error.name or "ray").partition(".")[0]  # ray without pyarrow is not enough
        raise RuntimeError(f"[ray] expected the package {missing}; install it by: pip install 'attnkit[ray]'") from None
    return ray
