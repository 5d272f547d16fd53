"""What this machine can do: the facts behind `attnkit doctor`."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from attnkit import _core, devices, environment
from attnkit._version import __version__

_SIDE = 512  # of the square matrices that are multiplied: within the caches, large enough to show the units' speed
_REPEATS = 8
_BF16 = ("avx512_bf16", "amx")
_AVX512 = ("avx512", "avx512_bf16")
_WORTH = 1.1  # bf16 gives up 16 bits of every weight; it must be faster than noise to be worth that


@dataclass(frozen=True)
class Diagnosis:
    """CPU, instruction sets, threads and measured speed. `quota` is in CPUs, None where the cgroup sets none; `cuda`
    has the GPUs, None in a build that can use none; `environment` the variables that attnkit reads, None where one is
    not set."""

    cpu: str
    supported_isas: tuple[str, ...]
    active_isa: str
    vnni: bool
    threads: int
    machine_cpus: int
    affinity_cpus: int
    quota: float | None
    fp32_gflops: float
    bf16_gflops: float
    cuda: tuple[dict[str, Any], ...] | None
    versions: dict[str, str]
    environment: dict[str, str | None]

    @property
    def precision_that_pays(self) -> Literal["fp32", "bf16"]:
        """bf16 where the CPU has products of it and they are faster; what is measured of others is noise."""
        faster = self.bf16_gflops >= _WORTH * self.fp32_gflops
        return "bf16" if faster and self.active_isa in _BF16 else "fp32"

    @property
    def paths(self) -> dict[str, str]:
        """Which of its ways this machine takes for the products of each precision, and why."""
        return {"bf16 products": _bf16_path(self.active_isa), "int8 products": _int8_path(self.active_isa, self.vnni)}

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {**asdict(self), "precision_that_pays": self.precision_that_pays, "paths": self.paths}

    def lines(self) -> list[tuple[str, str]]:
        """(name, value) as a person reads them."""
        quota = "none" if self.quota is None else f"{self.quota:g} CPUs"
        ratio = self.bf16_gflops / self.fp32_gflops
        return [
            ("CPU", self.cpu),
            ("instruction sets", " ".join(self.supported_isas)),
            ("in use", self.active_isa + (" (ATTNKIT_ISA)" if os.environ.get("ATTNKIT_ISA") else "")),
            *self.paths.items(),
            ("threads", str(self.threads)),
            ("affinity", f"{self.affinity_cpus} of {self.machine_cpus} CPUs"),
            ("cgroup quota", quota),
            ("matmul fp32", f"{_rounded(self.fp32_gflops)} GFLOP/s"),
            ("matmul bf16", f"{_rounded(self.bf16_gflops)} GFLOP/s ({ratio:.1f} x fp32)"),
            ("precision", f"{self.precision_that_pays} pays here"),
            *_cuda_lines(self.cuda),
            *self.versions.items(),
            *((setting.name, _shown(setting, self.environment[setting.name])) for setting in environment.VARIABLES),
        ]


def _bf16_path(isa: str) -> str:
    if isa == "amx":
        return "tiles of AMX"
    if isa in _BF16:
        return "dot products of bf16: two multiply-adds where fp32 has one"
    return f"as fp32, of rounded numbers: {isa} has no products of bf16"


def _int8_path(isa: str, vnni: bool) -> str:
    if isa == "amx":
        return "tiles of AMX; VNNI for a few rows"
    if vnni and isa in _AVX512:
        return "dot products of VNNI: four multiply-adds where fp32 has one"
    if isa in ("avx2", *_AVX512):
        lacks = "has no VNNI" if isa == "avx2" else "is one whose CPU has no VNNI"
        return f"pairs of 16-bit numbers, in 256 bits: {isa} {lacks}"
    return f"number by number: {isa} has no products of small integers"


def _cuda_lines(found: tuple[dict[str, Any], ...] | None) -> list[tuple[str, str]]:
    """A line for each GPU, under the name that it has as a device."""
    if not found:
        return [("CUDA", "not in this build" if found is None else "in this build, but no GPU here")]
    return [(f"cuda:{number}", _described(gpu)) for number, gpu in enumerate(found)]


def _described(gpu: dict[str, Any]) -> str:
    return (
        f"{gpu['name']}, compute capability {gpu['capability']}, {gpu['memory'] / (1 << 30):.1f} GiB; "
        f"driver {gpu['driver']}, runtime {gpu['runtime']}"
    )


def _rounded(speed: float) -> str:
    """Whole numbers; a slow machine's two digits."""
    return f"{speed:.0f}" if speed >= 10.0 else f"{speed:.2g}"


def _shown(setting: environment.Variable, value: str | None) -> str:
    return f"not set ({setting.default})" if value is None else value


def diagnose() -> Diagnosis:
    """Looks at the machine and multiplies two small matrices in each precision (well under a second)."""
    info = _core.cpu_info()
    fp32, bf16 = _matmul_gflops()
    return Diagnosis(
        cpu=info["model"],
        supported_isas=tuple(info["supported_isas"]),
        active_isa=info["active_isa"],
        vnni=info["vnni"],
        threads=info["threads"],
        machine_cpus=os.cpu_count() or 1,
        affinity_cpus=_affinity_cpus(),
        quota=info["cgroup_quota"] or None,
        fp32_gflops=fp32,
        bf16_gflops=bf16,
        cuda=tuple(devices.cuda_devices()) if devices.built_with_cuda() else None,
        versions={
            "attnkit": __version__,
            "Python": platform.python_version(),
            "NumPy": np.__version__,
            "system": platform.platform(),
        },
        environment=environment.current(),
    )


def _affinity_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # a system without affinity masks


def _matmul_gflops() -> tuple[float, float]:
    """fp32 and bf16, taken in turns so that another program's burst does not hit only one of them."""
    generator = np.random.default_rng(0)
    a, b = (generator.standard_normal((_SIDE, _SIDE), dtype=np.float32) for _ in range(2))
    best = {"fp32": float("inf"), "bf16": float("inf")}
    for _ in range(_REPEATS):
        for precision in best:
            start = time.perf_counter()
            _core.gemm(a, b, precision)
            best[precision] = min(best[precision], time.perf_counter() - start)
    work = 2.0 * _SIDE**3 / 1e9
    return work / best["fp32"], work / best["bf16"]
