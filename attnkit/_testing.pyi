"""Kernels that only the tests call by themselves: built where attnkit is installed in editable mode, in no wheel."""

from attnkit._core import Floats

def gemm_amx_emulated(a: Floats, b: Floats) -> Floats:
    """a [M, K] · b [K, N] in bf16 as AMX would compute it, on any machine."""

def gemm_int8_amx_emulated(a: Floats, b: Floats) -> Floats:
    """The same in int8."""

def orthogonalise(matrix: Floats) -> Floats:
    """Muon's step: U Vᵀ of a matrix U S Vᵀ, about."""

def all_finite(x: Floats) -> bool: ...
