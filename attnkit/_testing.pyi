"""Kernels that only the tests call by themselves: built where attnkit is installed in editable mode, in no wheel."""

from attnkit._core import _Floats

def gemm_amx_emulated(a: _Floats, b: _Floats) -> _Floats:
    """a [M, K] · b [K, N] in bf16 as AMX would compute it, on any machine."""

def gemm_int8_amx_emulated(a: _Floats, b: _Floats) -> _Floats:
    """The same in int8."""

def register_host2() -> None:
    """Makes the device "host2" known: the CPU's kernels under another name, on memory that the host cannot read."""

def host2_blocks() -> int:
    """How many blocks of its memory are in use."""

def register_emulated_cuda() -> None:
    """Makes the device "cuda-emulated" known: the kernels of CUDA, run by the CPU."""

def set_emulation_seed(seed: int) -> None:
    """The order in which blocks, warps and lanes run, from here on; 0: as they are counted."""

def set_emulated_tensor_cores(there: bool) -> None:
    """Whether the emulated device has tensor cores for bf16, as it has from the start."""

def asked_of_emulated_cuda() -> tuple[int, int]:
    """How many launches and copies to the host, so far."""

def run_faulty_kernel(name: str) -> int:
    """Runs a small kernel that is wrong in the way of its name; what it wrote, where nothing refuses it."""

def orthogonalise(matrix: _Floats) -> _Floats:
    """Muon's step: U Vᵀ of a matrix U S Vᵀ, about."""

def all_finite(x: _Floats) -> bool: ...
