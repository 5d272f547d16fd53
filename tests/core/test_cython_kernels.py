"""The public C API for Cython: a program that cimports the kernels is compiled, and calls them without the GIL."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from closeness import assert_close

PROGRAM = """
# cython: language_level=3, boundscheck=False
from attnkit.kernels cimport attention, layer_norm, matmul, softmax


def run_softmax(float[:, ::1] x, float[:, ::1] y):
    cdef int status
    with nogil:
        status = softmax(&x[0, 0], x.shape[0], x.shape[1], &y[0, 0])
    return status


def refused(float[:, ::1] x):
    cdef int status
    with nogil:
        status = softmax(&x[0, 0], -1, x.shape[1], &x[0, 0])
    return status


def run_layer_norm(float[:, ::1] x, float[::1] weight, float[:, ::1] y):
    cdef int status
    with nogil:
        status = layer_norm(&x[0, 0], &weight[0], NULL, x.shape[0], x.shape[1], 1e-5, &y[0, 0])
    return status


def run_matmul(float[:, ::1] a, float[:, ::1] b, float[:, ::1] c):
    cdef int status
    with nogil:
        status = matmul(&a[0, 0], &b[0, 0], a.shape[0], b.shape[1], a.shape[1], &c[0, 0])
    return status


def run_attention(float[:, :, :, ::1] q, float[:, :, :, ::1] k, float[:, :, :, ::1] v, bint causal,
                  float[:, :, :, ::1] output, float[:, :, :, ::1] weights):
    cdef int status
    with nogil:
        status = attention(&q[0, 0, 0, 0], &k[0, 0, 0, 0], &v[0, 0, 0, 0], q.shape[0], q.shape[1], k.shape[1],
                           q.shape[2], k.shape[2], q.shape[3], v.shape[3], causal, 0.0, &output[0, 0, 0, 0],
                           &weights[0, 0, 0, 0])
    return status
"""


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """PROGRAM as a module, compiled against what is installed: nothing but kernels.pxd is read."""
    import attnkit.kernels

    folder = tmp_path_factory.mktemp("cython")
    source, generated = folder / "program.pyx", folder / "program.c"
    target = folder / f"program{sysconfig.get_config_var('EXT_SUFFIX')}"
    source.write_text(PROGRAM)
    installed = Path(attnkit.kernels.__file__).parent
    assert (installed / "kernels.pxd").is_file()
    _run(sys.executable, "-m", "cython", str(source), "-o", str(generated), "-I", str(installed.parent))
    compiler = shutil.which(os.environ.get("CC", "cc"))
    assert compiler is not None
    include = sysconfig.get_path("include")
    _run(compiler, "-O1", "-shared", "-fPIC", "-w", f"-I{include}", str(generated), "-o", str(target))
    spec = importlib.util.spec_from_file_location("program", target)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def exact_softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x.astype(np.float64) - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_softmax(program: ModuleType) -> None:
    x = numbers(7, 33)
    y = np.empty_like(x)
    assert program.run_softmax(x, y) == 0
    assert_close(y, exact_softmax(x), terms=33)
    assert program.run_softmax(x, x) == 0  # in place
    np.testing.assert_array_equal(x, y)


def test_a_refusal_is_a_status(program: ModuleType) -> None:
    assert program.refused(numbers(2, 2)) == -1


def test_layer_norm(program: ModuleType) -> None:
    x, weight = numbers(5, 40), numbers(40, seed=1)
    y = np.empty_like(x)
    assert program.run_layer_norm(x, weight, y) == 0
    wide = x.astype(np.float64)
    exact = (wide - wide.mean(axis=1, keepdims=True)) / np.sqrt(wide.var(axis=1, keepdims=True) + 1e-5) * weight
    assert_close(y, exact, terms=40)


def test_matmul(program: ModuleType) -> None:
    a, b = numbers(9, 21), numbers(21, 13, seed=1)
    c = np.empty((9, 13), np.float32)
    assert program.run_matmul(a, b, c) == 0
    assert_close(c, a.astype(np.float64) @ b.astype(np.float64), terms=21)


@pytest.mark.parametrize("causal", [False, True])
def test_attention(program: ModuleType, causal: bool) -> None:
    q, k, v = numbers(2, 4, 6, 16), numbers(2, 2, 9, 16, seed=1), numbers(2, 2, 9, 8, seed=2)
    output, weights = np.empty((2, 4, 6, 8), np.float32), np.empty((2, 4, 6, 9), np.float32)
    assert program.run_attention(q, k, v, causal, output, weights) == 0
    keys, values = (x.repeat(2, axis=1).astype(np.float64) for x in (k, v))  # two heads share a key
    scores = q.astype(np.float64) @ keys.swapaxes(-1, -2) / 4.0
    if causal:
        scores = np.where(np.tril(np.ones((6, 9), bool)), scores, -np.inf)
    assert_close(weights, exact_softmax(scores), terms=16)
    assert_close(output, exact_softmax(scores) @ values, terms=16)
